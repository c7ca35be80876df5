"""One class per resource, used by the command line and by Python: endpoint → normalizer → table."""
