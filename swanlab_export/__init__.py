"""Every `swanlab api` command, with every response turned into a typed table."""

__version__ = "0.1.0"
