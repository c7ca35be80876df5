"""Tables → the terminal, drawn for people."""
