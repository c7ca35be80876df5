"""From paths and key patterns to runs and keys that exist."""

from __future__ import annotations

import csv
import difflib
import fnmatch
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

from swanlab_export.api.filters import Where, filter_rules
from swanlab_export.endpoints import project as project_endpoint
from swanlab_export.endpoints import run as run_endpoint
from swanlab_export.endpoints.run import RunSource
from swanlab_export.errors import (
    IncompleteError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UsageError,
    argument,
)
from swanlab_export.normalizers.runs import flatten_groups
from swanlab_export.normalizers.values import as_time_ms
from swanlab_export.pagination import Pages, fetch_by_cursor
from swanlab_export.refs import ProjectRef, RunRef, escape, parse_project, parse_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context

RUNS_PER_REQUEST = 200
