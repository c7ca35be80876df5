"""The declared schema of every table: grain, columns, types, units, order.

Columns are named here and nowhere else. What the server sends beyond them follows the declared
ones, flattened and in alphabetical order (see ``normalizers.rows``).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
INT = pa.int64()
FLOAT = pa.float64()
BOOL = pa.bool_()
TIME = pa.timestamp("ms", tz="UTC")
# Repeated over millions of rows: indices into one small list, a category in pandas.
CATEGORY = pa.dictionary(pa.int32(), TEXT)
TEXTS = pa.list_(pa.field("item", TEXT))


@dataclass(frozen=True)
class Column:
    """One declared column; ``unit`` is empty where there is none."""

    name: str
    arrow_type: pa.DataType
    meaning: str
    unit: str = ""

    def field(self) -> pa.Field:
        """The Arrow field, with meaning and unit in its metadata."""
        notes = {"meaning": self.meaning, "unit": self.unit}
        return pa.field(self.name, self.arrow_type, metadata={k: v for k, v in notes.items() if v})


@dataclass(frozen=True)
class TableSchema:
    """One declared table: what a row is, and its columns in order.

    ``families`` are the beginnings of column names that follow the declared ones in this order,
    before whatever else the server sent.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    families: tuple[str, ...] = ()

    def arrow(self) -> pa.Schema:
        """The Arrow schema of the declared columns."""
        return pa.schema([column.field() for column in self.columns])

    @property
    def names(self) -> list[str]:
        """The declared column names, in order."""
        return [column.name for column in self.columns]


_RUN_ID = Column("run_id", TEXT, "id of the run")
_KEY = Column("key", TEXT, "metric key as logged")

_PROFILE = tuple(
    Column(f"profile.{name}", TEXT, f"{name} on the public page")
    for name in ("bio", "url", "institution", "school", "email", "location")
)

WORKSPACES = TableSchema(
    "workspaces",
    "one row per workspace",
    (
        Column("username", TEXT, "name in paths and URLs"),
        Column("name", TEXT, "display name"),
        Column("type", TEXT, "TEAM or PERSON"),
        Column("role", TEXT, "your role in it: VISITOR, VIEWER, MEMBER or OWNER"),
        Column("comment", TEXT, "note of its owner"),
        *_PROFILE,
    ),
)

PROJECTS = TableSchema(
    "projects",
    "one row per project",
    (
        Column("path", TEXT, "workspace/project, as commands take it"),
        Column("name", TEXT, "name in the workspace"),
        Column("project_id", TEXT, "id of the project"),
        Column("workspace", TEXT, "username of its workspace"),
        Column("visibility", TEXT, "PUBLIC or PRIVATE"),
        Column("description", TEXT, "text of its owner"),
        Column("labels", TEXTS, "names of its labels"),
        Column("count.experiments", INT, "runs in it"),
        Column("count.contributors", INT, "people who logged to it"),
        Column("count.collaborators", INT, "people it is shared with"),
        Column("count.clones", INT, "copies made of it"),
        Column("created_at", TIME, "when it was created", "UTC"),
        Column("updated_at", TIME, "when it last changed", "UTC"),
        Column("role", TEXT, "your role in it"),
        Column("url", TEXT, "its web page"),
    ),
)

RUNS = TableSchema(
    "runs",
    "one row per run",
    (
        Column("path", TEXT, "workspace/project/run, as commands take it"),
        Column("run_id", TEXT, "id of the run"),
        Column("slug", TEXT, "short name in URLs, where it has one"),
        Column("name", TEXT, "display name"),
        Column("state", TEXT, "RUNNING, FINISHED, CRASHED, ABORTED or OFFLINE"),
        Column("type", TEXT, "CHAPTER or SUMMARY"),
        Column("description", TEXT, "text of its owner"),
        Column("labels", TEXTS, "names of its labels"),
        Column("group", TEXT, "group it was logged under"),
        Column("job_type", TEXT, "job type it was logged under"),
        Column("show", BOOL, "shown in the project's charts"),
        Column("user.username", TEXT, "who logged it"),
        Column("user.name", TEXT, "display name of who logged it"),
        Column("created_at", TIME, "when it began", "UTC"),
        Column("updated_at", TIME, "when it last changed", "UTC"),
        Column("finished_at", TIME, "when it ended, missing while it runs", "UTC"),
        Column("duration_s", FLOAT, "from created_at to finished_at", "s"),
        Column("project_id", TEXT, "id of its project"),
        Column("root_exp_id", TEXT, "of a clone: id of the run that holds its data"),
        Column("root_pro_id", TEXT, "of a clone: id of the project that holds its data"),
        Column("url", TEXT, "its web page"),
    ),
    families=("config.", "summary.", "metadata", "requirements", "conda"),
)

METRICS = TableSchema(
    "metrics",
    "one row per run, key and step",
    (
        Column("run_id", CATEGORY, _RUN_ID.meaning),
        Column("key", CATEGORY, _KEY.meaning),
        Column("step", INT, "step the point was logged at"),
        Column("value", FLOAT, "the logged value; NaN and infinities are values"),
        Column("timestamp", TIME, "when the point was logged", "UTC"),
    ),
)

# The last column of metrics whenever another x axis than the step was asked for.
X = Column("x", FLOAT, "value on the chosen x axis; missing where that axis has no point")
X_TIME = Column("x", TIME, "time of the point", "UTC")

SUMMARY = TableSchema(
    "summary",
    "one row per run and key",
    (
        _RUN_ID,
        _KEY,
        Column("step", INT, "step of the latest point"),
        Column("value", FLOAT, "latest value"),
        Column("min", FLOAT, "smallest value"),
        Column("min_step", INT, "step of the smallest value"),
        Column("max", FLOAT, "largest value"),
        Column("max_step", INT, "step of the largest value"),
        Column("avg", FLOAT, "mean of the values"),
        Column("median", FLOAT, "median of the values"),
        Column("std", FLOAT, "standard deviation of the values"),
    ),
)

COLUMNS = TableSchema(
    "columns",
    "one row per run and key",
    (
        _RUN_ID,
        _KEY,
        Column("name", TEXT, "display name"),
        Column("class", TEXT, "CUSTOM (logged by the user) or SYSTEM"),
        Column("type", TEXT, "FLOAT, STRING, IMAGE, …"),
        Column("created_at", TIME, "when the key first appeared", "UTC"),
    ),
)

SERIES = TableSchema(
    "series",
    "one row per run and key",
    (
        _RUN_ID,
        _KEY,
        Column("class", TEXT, "CUSTOM (logged by the user) or SYSTEM"),
        Column("type", TEXT, "SCALAR or MEDIA"),
    ),
)

MEDIAS = TableSchema(
    "medias",
    "one row per run, key, step and item",
    (
        _RUN_ID,
        _KEY,
        Column("step", INT, "step the item was logged at"),
        Column("item", INT, "position among the items of that key and step, from 0"),
        Column("path", TEXT, "file name on the server"),
        Column("url", TEXT, "presigned download URL; it expires"),
        Column("caption", TEXT, "caption as logged"),
    ),
)

MEDIA_FILES = (
    Column("file", TEXT, "where the file was saved"),
    Column("size_bytes", INT, "size of the saved file", "bytes"),
)

LOGS = TableSchema(
    "logs",
    "one row per line of the console log",
    (
        _RUN_ID,
        Column("line", INT, "line number, from 1"),
        Column("level", TEXT, "DEBUG, INFO, WARN or ERROR"),
        Column("timestamp", TIME, "when the line was printed", "UTC"),
        Column("tag", TEXT, "tag of the line"),
        Column("message", TEXT, "the line"),
    ),
)

LOG_EXPORTS = TableSchema(
    "log_exports",
    "one row per exported file",
    (
        _RUN_ID,
        Column("start", INT, "first exported line, from 0"),
        Column("rows", INT, "lines asked for"),
        Column("url", TEXT, "presigned download URL; it expires"),
    ),
)

USER = TableSchema(
    "user",
    "one row: who is logged in",
    (
        Column("username", TEXT, "name in paths and URLs"),
        Column("name", TEXT, "display name"),
        *(
            Column(name, TEXT, f"{name} on the public page")
            for name in ("bio", "url", "institution", "school", "email", "location")
        ),
    ),
)

INSTANCE = TableSchema(
    "instance",
    "one row: the self-hosted instance",
    (
        Column("enabled", BOOL, "the instance is self-hosted"),
        Column("expired", BOOL, "its licence has run out"),
        Column("root", BOOL, "you are its administrator"),
        Column("plan", TEXT, "free or commercial"),
        Column("seats", INT, "seats of the licence"),
    ),
)

USAGE = TableSchema("usage", "one row: totals of the self-hosted instance", ())

USERS = TableSchema(
    "users",
    "one row per user of the self-hosted instance",
    (
        Column("username", TEXT, "name in paths and URLs"),
        Column("name", TEXT, "display name"),
    ),
)

DECLARED = (
    WORKSPACES,
    PROJECTS,
    RUNS,
    METRICS,
    SUMMARY,
    COLUMNS,
    SERIES,
    MEDIAS,
    LOGS,
    LOG_EXPORTS,
    USER,
    INSTANCE,
    USAGE,
    USERS,
)
