"""Wire JSON and CSV → typed tables. Pure: no network and no clock, and no disk but for spools."""
