"""Payloads (JSON and CSV) → typed tables. Pure: no network, no clock, no disk but through spools."""
