"""Every default, choice and limit that more than one module needs."""

from __future__ import annotations

# Requests
JOBS = 8
JOBS_MAX = 64
TIMEOUT_S = 30.0
TIMEOUT_MAX_S = 3600.0
RETRIES = 5
RETRIES_MAX = 20
MAX_RESPONSE_MB = 256

# Lists
PAGE_SIZE = 20
PAGE_SIZES = (10, 12, 15, 20, 24, 27, 50, 100)
RUNS_PER_REQUEST = 200
CONFIG_FORMS = ("columns", "json")
RUN_STATES = ("RUNNING", "FINISHED", "CRASHED", "ABORTED", "OFFLINE")

# Metrics
SAMPLE_MAX = 1500
EXPORT_COLUMNS_MAX = 16
X_AXES = ("step", "time", "relative_time")
RANGE_TYPES = ("step", "timestamp", "custom")
LAYOUTS = ("long", "wide")
METRIC_TYPES = ("SCALAR", "MEDIA")
COLUMN_CLASSES = ("CUSTOM", "SYSTEM")
COLUMN_TYPES = (
    *("FLOAT", "BOOLEAN", "STRING", "IMAGE", "AUDIO", "VIDEO", "OBJECT3D", "MOLECULE"),
    *("ECHARTS", "TABLE", "TEXT"),
)

# Logs
LOG_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
LOG_SHARD_LINES = 1000
LOG_EXPORT_LINES_MAX = 500_000

# Projects
VISIBILITIES = ("PUBLIC", "PRIVATE")
PROJECT_SORTS = ("create", "name")

# Output
TEXT_FORMATS = ("json", "jsonl", "csv", "tsv")
FRAMES = ("pandas", "arrow", "polars", "batches")
SANDBOX = "sandbox"
BACKUP = "backup"
PICTURES = {".png": "plot", ".svg": "plot", ".pdf": "plot"}

# Servers: each generation is named after a release of the self-hosted server; with the release of
# the official client that its endpoints came with.
RELEASES = {
    "2.6": "client 0.7.7 (February 2026)",
    "2.8": "client 0.8.0 (June 2026)",
    "3.1": "client 0.9.0 (July 2026)",
}
GENERATIONS = tuple(RELEASES)
