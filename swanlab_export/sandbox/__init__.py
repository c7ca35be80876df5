"""A local SwanLab API server over recorded runs: no account, no network.

It imports nothing of the rest of the package, so it cannot share its mistakes.
"""

from swanlab_export.sandbox.dataset import DatasetError
from swanlab_export.sandbox.faults import Faults, fault_help, parse_faults
from swanlab_export.sandbox.generations import GENERATIONS
from swanlab_export.sandbox.server import Sandbox, serve

__all__ = [
    "GENERATIONS",
    "DatasetError",
    "Faults",
    "Sandbox",
    "fault_help",
    "parse_faults",
    "serve",
]
