"""One short function per command: endpoint → normalizer → table."""
