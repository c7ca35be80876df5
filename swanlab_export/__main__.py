"""``python -m swanlab_export`` is the same program as ``swanlab-export``."""

from swanlab_export.cli import main

main()
