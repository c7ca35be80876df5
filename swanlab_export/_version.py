"""The name and the version of this distribution."""

__title__ = "swanlab-export"
__version__ = "0.2.0"
