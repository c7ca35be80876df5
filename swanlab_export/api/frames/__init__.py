"""Frames of pandas, polars and Arrow: from tables, to tables, to files and back."""
