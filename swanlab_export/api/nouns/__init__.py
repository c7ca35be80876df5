"""The nouns of the Python API: what ``connect`` returns has one attribute for each."""
