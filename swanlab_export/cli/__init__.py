"""The command line: ``swanlab api …``, ``swanlab-export api …``, ``python -m swanlab_export``.

Modules here import click and nothing heavy; what a command needs is imported when it runs.
"""

from swanlab_export.cli.main import main

__all__ = ["main"]
