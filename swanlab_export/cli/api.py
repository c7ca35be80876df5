"""``swanlab api``: where the tree of commands finds the group."""

from swanlab_export.cli.main import api

__all__ = ["api"]
