"""``api.run``: runs, and what they have logged."""

from __future__ import annotations

from swanlab_export.api.resource import F
from swanlab_export.api.runs.columns import RunColumns
from swanlab_export.api.runs.listing import RunRecords
from swanlab_export.api.runs.logs import RunLogs
from swanlab_export.api.runs.medias import RunMedias
from swanlab_export.api.runs.metrics import RunMetrics

__all__ = ["Runs"]


class Runs(RunRecords[F], RunColumns[F], RunMetrics[F], RunMedias[F], RunLogs[F]):
    """Runs: configs, metrics, media and logs.

    A path is workspace/project/run (id or slug), or the URL of the run's web page.
    """
