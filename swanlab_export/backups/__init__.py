"""Backups: a dataset of plain Parquet that is kept up to date, one unit of work per run."""
