"""The declared schema of every table: grain, columns, types, units, order.

Columns are named here and nowhere else. What the server sends beyond them follows the declared
ones, flattened and in alphabetical order (see ``normalizers.rows``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, closest, quote
from swanlab_export.patterns import is_pattern, matching, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = pa.string()
INT = pa.int64()
FLOAT = pa.float64()
BOOL = pa.bool_()
TIME = pa.timestamp("ms", tz="UTC")
TEXTS = pa.list_(pa.field("item", TEXT))

# What pandas makes of each type, as its metadata in Parquet and Feather files name it: the logical
# type, and the dtype of a column that can be null.
_PANDAS_TYPES = {
    TEXT: ("unicode", "object"),
    INT: ("int64", "Int64"),
    FLOAT: ("float64", "float64"),
    BOOL: ("bool", "boolean"),
    TIME: ("datetimetz", "datetime64[ms]"),
    TEXTS: ("list[unicode]", "object"),
}


# Columns of the runs table that are there where a run has the key, with the type that they have
# where no run has it.
KEY_TYPES = {"config.": TEXT, "summary.": FLOAT}


@dataclass(frozen=True)
class Column:
    """One declared column.

    Args:
        name: Its name.
        arrow_type: Its type.
        meaning: What it holds, in a few words.
        unit: Its unit, empty where there is none.
        never_null: Every row has a value, whatever the server sent: an integer is then a plain
            int64 in pandas, and not its nullable Int64. Only where the value is our own.
        is_json: Its text is JSON, which is an object and no string in JSON formats.
    """

    name: str
    arrow_type: pa.DataType
    meaning: str
    unit: str = ""
    never_null: bool = False
    is_json: bool = False

    def field(self) -> pa.Field:
        """The Arrow field, with meaning and unit in its metadata."""
        metadata = {"meaning": self.meaning} | ({"unit": self.unit} if self.unit else {})
        if self.is_json:
            metadata |= {"json": "true"}
        return pa.field(self.name, self.arrow_type, not self.never_null, metadata)


@dataclass(frozen=True)
class TableSchema:
    """One declared table: what a row is, and its columns in order.

    Args:
        name: Its name.
        grain: What one row is.
        columns: The declared columns, which are always there.
        families: Beginnings of the names of columns that follow the declared ones, in this order,
            before whatever else the server sent.
        is_closed: It has no other columns than the declared ones.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    families: tuple[str, ...] = ()
    is_closed: bool = False

    def arrow(self) -> pa.Schema:
        """The Arrow schema of the declared columns."""
        return pa.schema([column.field() for column in self.columns])

    @property
    def names(self) -> list[str]:
        """The declared column names, in order."""
        return [column.name for column in self.columns]

    def check_fields(self, fields: str | Sequence[str], *, is_final: bool = False) -> None:
        """Refuse names that cannot be columns of this table, before any request.

        Args:
            fields: The names that were asked for.
            is_final: Undeclared names are refused, too: the call creates or downloads something,
                and must not fail afterwards.

        Raises:
            UsageError: A name is not a column; names similar ones.
        """
        names = parse_names(fields, "fields")
        if is_final or self.is_closed:
            parse_fields(names, self.names)


def pandas_column(field: pa.Field) -> dict[str, Any]:
    """Describe a column as pandas does in its metadata; its type depends on the field alone."""
    pandas_type, dtype = _PANDAS_TYPES[field.type]
    return {
        "name": field.name,
        "field_name": field.name,
        "pandas_type": pandas_type,
        "numpy_type": dtype if field.nullable else dtype.lower(),
        "metadata": {"timezone": "UTC"} if field.type == TIME else None,
    }


def parse_names(names: str | Sequence[str], name: str) -> list[str]:
    """Read ``loss,acc`` or a list of names; quotes protect a comma, each name counts once.

    Args:
        names: What was given.
        name: The argument that it was given for.

    Raises:
        UsageError: A name is empty, or no text.

    >>> parse_names('loss,"a,b",loss', "keys")
    ['loss', 'a,b']
    """
    if isinstance(names, str):
        found = split_names(names, name)
    else:
        found = list(names) if isinstance(names, Iterable) else []
    if not found or not all(isinstance(each, str) and each.strip() for each in found):
        raise UsageError(
            f"{argument(name)} {quote(str(names))} is empty or has an empty name in it"
        )
    return list(dict.fromkeys(found))


def split_names(text: str, name: str) -> list[str]:
    """Split a text at its commas; quotes protect a comma, and a quote in them is doubled.

    Args:
        text: What was given.
        name: The argument that it was given for.

    Raises:
        UsageError: The quotes cannot be read.

    >>> split_names('tanh, "a ""b"", c"', "keys")
    ['tanh', 'a "b", c']
    """
    plain = unquote(text) if text.strip().startswith("'") else text
    try:
        rows = list(csv.reader([plain], skipinitialspace=True, strict=True))
    except csv.Error:
        raise UsageError(
            f"{argument(name)}: the quotes or line breaks in {quote(text)} cannot be read: put "
            "what has a comma, a double quote at its start or a line break in double quotes, "
            'and write a double quote inside it twice, as in "a, ""b"""'
        ) from None
    return [each.strip() for row in rows for each in row]


def parse_fields(
    fields: str | Sequence[str], known: Sequence[str], name: str = "fields"
) -> list[str]:
    """Read names of columns that must exist, or patterns that some of them match.

    Args:
        fields: What was given.
        known: The columns that there are.
        name: The argument that it was given for.

    Raises:
        UsageError: There is no such column; names similar ones.

    >>> parse_fields("run_id,config.*", ["config.lr", "run_id"])
    ['run_id', 'config.lr']
    """
    names: list[str] = []
    for each in parse_names(fields, name):
        found = matching(each, known)
        if not found:
            raise no_column(each, known, name)
        names += found
    return list(dict.fromkeys(names))


def no_column(
    column: str, known: Sequence[str], name: str, *, has_keys: bool = False
) -> UsageError:
    """The error that there is no such column; ``name`` is the argument that named it.

    With ``has_keys``, keys of runs have columns, too, which are added where they are named.
    """
    there = [*closest(column, known, 20), *(f"{start}<key>" for start in KEY_TYPES if has_keys)]
    return UsageError(f"{argument(name)}: no column {quote(column)}; there are {', '.join(there)}")


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
        Column("workspace", TEXT, "username of its owner: a person, or a team"),
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

RUN_GROUPS = TableSchema(
    "run_groups",
    "one row per group of runs; before these the columns that make a group, after them statistics",
    (Column("n", INT, "runs in the group"),),
)
# The same columns every night, whatever the runs hold.
RUNS_AS_JSON = replace(
    RUNS,
    columns=(
        *RUNS.columns,
        Column("config", TEXT, "JSON of the configuration", is_json=True),
        Column("metadata", TEXT, "JSON of what SwanLab recorded", is_json=True),
        Column("requirements", TEXT, "installed packages, as pip lists them"),
        Column("conda", TEXT, "installed packages, as conda lists them"),
        Column("more", TEXT, "JSON of the fields that have no column", is_json=True),
    ),
    families=("summary.",),
)
SNAPSHOT_AT = Column("snapshot_at", TIME, "when the call began", "UTC")


def with_project(table: TableSchema) -> TableSchema:
    """A table over several projects, whose first column names the project of each row."""
    project = Column("project", TEXT, "workspace/project")
    return replace(table, columns=(project, *table.columns))


RUN_NAME = Column("run_name", TEXT, "display name of the run; its id where it has no name")
POINTS = (
    Column("run_id", TEXT, _RUN_ID.meaning),
    Column("key", TEXT, _KEY.meaning),
    Column("step", INT, "step the point was logged at"),
    Column("value", FLOAT, "the logged value; NaN and infinities are values"),
    Column("timestamp", TIME, "when the point was logged", "UTC"),
)
METRICS = TableSchema(
    "metrics", "one row per run, key and step", (*POINTS, RUN_NAME), is_closed=True
)
METRICS_BY_GROUP = TableSchema(
    "metrics_by_group",
    "one row per group of runs, key and step; before these the columns that make a group",
    (
        Column("key", TEXT, _KEY.meaning),
        Column("step", INT, "step that some runs of the group have"),
        Column("n", INT, "runs of the group that have a point there"),
        Column("mean", FLOAT, "mean of their finite values"),
        Column("std", FLOAT, "standard deviation (ddof 1), missing for one value"),
        Column("min", FLOAT, "smallest finite value"),
        Column("max", FLOAT, "largest finite value"),
        Column("n_nonfinite", INT, "values that are NaN or infinite"),
    ),
)


def summary_key(column: str, *, is_grouped: bool = False) -> str | None:
    """The key, or pattern, whose summary is a column; of groups, whose statistic is.

    >>> summary_key("summary.val/acc"), summary_key("summary.val/acc.mean", is_grouped=True)
    ('val/acc', 'val/acc')
    """
    kind, _, key = column.partition(".")
    if is_grouped and not is_pattern(key):
        key, _, statistic = key.rpartition(".")
        kind = kind if statistic in METRICS_BY_GROUP.names[2:] else ""
    elif is_grouped:
        key = key.rpartition(".")[0] or key
    return key if kind == "summary" and key else None


# A column of metrics after the value, where it is asked for.
TEXT_VALUE = Column("text", TEXT, "the logged value where it is no number; value is missing there")
# A column of metrics before the name of the run, where the points are smoothed.
SMOOTHED = Column("smoothed", FLOAT, "exponentially smoothed value of the run and key")
# A column of metrics before it whenever another x axis than the step was asked for.
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
        RUN_NAME,
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
    is_closed=True,
)

MEDIAS = TableSchema(
    "medias",
    "one row per run, key, step and item",
    (
        _RUN_ID,
        _KEY,
        Column("step", INT, "step the item was logged at"),
        Column(
            "item", INT, "position among the items of that key and step, from 0", never_null=True
        ),
        Column("path", TEXT, "file name on the server"),
        Column("url", TEXT, "presigned download URL; it expires"),
        Column("caption", TEXT, "caption as logged"),
        Column("text", TEXT, "the text itself, of TEXT media on older servers"),
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
        Column("start", INT, "first exported line, from 0", never_null=True),
        Column("rows", INT, "lines asked for", never_null=True),
        Column("url", TEXT, "presigned download URL; it expires"),
    ),
    is_closed=True,
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

CREATED_USERS = TableSchema(
    "created_users",
    "one row per user that was to be created",
    (
        Column("username", TEXT, "name in paths and URLs"),
        Column("status", TEXT, "created, exists (it did before) or failed"),
        Column("reason", TEXT, "why it failed"),
    ),
    is_closed=True,
)

ENDPOINTS = TableSchema(
    "endpoints",
    "one row per endpoint of the server",
    (
        Column("endpoint", TEXT, "method and path, without names of yours"),
        Column("generation", TEXT, "generations of servers that have it"),
        Column("status", INT, "status of the response; missing where none came"),
        Column("took_ms", FLOAT, "until the response had been read", "ms"),
        Column("size_bytes", INT, "size of the response", "bytes"),
        Column("result", TEXT, "as declared, differs, missing, refused, failed or not asked"),
        Column("differences", TEXT, "names, types and nulls that differ from what is declared"),
    ),
    is_closed=True,
)

TABLES = TableSchema(
    "tables",
    "one row per declared table and column",
    (
        Column("table", TEXT, "name of the table"),
        Column("column", TEXT, "name of the column"),
        Column("type", TEXT, "Arrow type"),
        Column("unit", TEXT, "unit, where it has one"),
        Column("meaning", TEXT, "what it holds"),
        Column("grain", TEXT, "what one row of the table is"),
    ),
    is_closed=True,
)

DECLARED = (
    WORKSPACES,
    PROJECTS,
    RUNS,
    RUN_GROUPS,
    METRICS,
    METRICS_BY_GROUP,
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
    CREATED_USERS,
    ENDPOINTS,
    TABLES,
)

# What a backup holds, as its Parquet files have it: see the README inside of a backup.
_PROJECT_ID = Column("project_id", TEXT, "id of the project")
SEEN = (
    Column(
        "backup.seen_at", TIME, "when the server was asked, before the data were fetched", "UTC"
    ),
    Column("backup.gone_at", TIME, "since when the server no longer has it", "UTC"),
)


def _stored(table: TableSchema, *more: Column) -> TableSchema:
    """A declared table of runs, with the ids of project and run first and no other columns."""
    own = tuple(column for column in table.columns if column.name not in {"run_id", "url"})
    return replace(table, columns=(_PROJECT_ID, _RUN_ID, *own, *more), families=(), is_closed=True)


_MORE = Column("more", TEXT, "JSON of what else the server sent of it, null if nothing")
STORED_RUNS = replace(
    RUNS,
    columns=(
        *RUNS.columns,
        Column("config", TEXT, "JSON of the configuration"),
        Column("metadata", TEXT, "JSON of what SwanLab recorded of machine and program"),
        *SEEN,
        Column("backup.complete", BOOL, "everything that was asked for is in the backup"),
    ),
    families=(),
    is_closed=True,
)
STORED_CONFIGS = TableSchema(
    "configs",
    "one row per run and config",
    (
        _PROJECT_ID,
        _RUN_ID,
        Column("key", TEXT, "name of the config, nested ones joined by ."),
        Column("type", TEXT, "int, float, bool, text or null"),
        Column("int", INT, "an integer; one beyond 64 bits is in text alone"),
        Column("float", FLOAT, "a number that is no integer"),
        Column("bool", BOOL, "true or false"),
        Column("text", TEXT, "a text, or a list as JSON"),
    ),
    is_closed=True,
)
STORED_SUMMARY = _stored(replace(SUMMARY, columns=SUMMARY.columns[:-1]))
STORED_COLUMNS = _stored(COLUMNS)
STORED_METRICS = _stored(
    replace(METRICS, columns=POINTS),
    Column("text", TEXT, "the logged word, where the value is no number"),
)
STORED_LOGS = _stored(LOGS, _MORE)
STORED_MEDIAS = _stored(
    MEDIAS,
    Column("file", TEXT, "path of the file in the backup, null if it was not fetched"),
    Column("size_bytes", INT, "size of the file", "bytes"),
    Column("sha256", TEXT, "sha256 of the file"),
    _MORE,
)
BACKUP_INDEX = TableSchema(
    "index",
    "one row per run, newest first",
    (
        _PROJECT_ID,
        _RUN_ID,
        *(column for column in RUNS.columns if column.name in {"slug", "name", "state"}),
        Column("created_at", TIME, "when it began", "UTC"),
        Column("root_exp_id", TEXT, "of a clone: id of its original"),
        Column("root_pro_id", TEXT, "of a clone: id of the project of its original"),
        Column("receipt", TEXT, "path of its receipt"),
        Column("receipt_size", INT, "size of the receipt", "bytes", never_null=True),
        Column("receipt_version", TEXT, "changes whenever the receipt is written"),
        Column("receipt_json", TEXT, "the receipt"),
        Column("gone_at", TIME, "since when the server no longer has it", "UTC"),
        Column("complete", BOOL, "everything that was asked for is in the backup"),
        *(
            Column(name, TEXT, f"path of its {name}, null if it has none")
            for name in ("payload", "metrics", "logs", "medias")
        ),
    ),
    is_closed=True,
)
SNAPSHOT_RUNS = TableSchema(
    "snapshot_runs",
    "one row per run that a snapshot holds",
    (
        Column("path", TEXT, "workspace/project/run, as commands take it"),
        _PROJECT_ID,
        _RUN_ID,
        Column("name", TEXT, "display name"),
        Column("gone_at", TIME, "since when the server no longer has it", "UTC"),
        Column("points", INT, "points of metrics", never_null=True),
        Column("lines", INT, "lines of the log", never_null=True),
        Column("items", INT, "media", never_null=True),
        Column("row", TEXT, "JSON of its fields"),
        *(
            Column(name, TEXT, f"hash of its {name}")
            for name in ("config", "metadata", "summary", "columns", "metrics", "logs", "medias")
        ),
    ),
    is_closed=True,
)

# What the commands about backups print.
BACKUP_RUN = TableSchema(
    "backup_run",
    "one row per run that was fetched, failed or is gone",
    (
        Column("path", TEXT, "workspace/project/run, as commands take it"),
        _PROJECT_ID,
        _RUN_ID,
        Column("action", TEXT, "whole, part, row, gone, refused or failed"),
        Column("reason", TEXT, "why"),
        Column("rows", INT, "points, log lines and media that were fetched", never_null=True),
        Column("bytes", INT, "what was written", "bytes", never_null=True),
        Column("seconds", FLOAT, "how long it took", "s"),
        Column("error", TEXT, "what went wrong, null where nothing did"),
    ),
    is_closed=True,
)
BACKUP_STATUS = TableSchema(
    "backup_status",
    "one row per project in the backup",
    (
        Column("path", TEXT, "workspace/project"),
        _PROJECT_ID,
        Column("folder", TEXT, "its folder below tables/runs, tables/metrics and so on"),
        Column("runs", INT, "runs in the backup", never_null=True),
        Column("complete", INT, "runs of which everything is there", never_null=True),
        Column("unfinished", INT, "runs that were still running", never_null=True),
        Column("incomplete", INT, "runs of which a part could not be fetched", never_null=True),
        Column("gone", INT, "runs that the server no longer has", never_null=True),
        Column("rows", INT, "points, log lines and media", never_null=True),
        Column("bytes", INT, "size of the data of its runs", "bytes", never_null=True),
        Column("seen_at", TIME, "when it was last compared with the server", "UTC"),
    ),
    is_closed=True,
)
BACKUP_SNAPSHOTS = TableSchema(
    "backup_snapshots",
    "one row per snapshot, the oldest first",
    (
        Column("snapshot", TEXT, "its name, as `backup diff` takes it"),
        Column("began_at", TIME, "when the backup began", "UTC"),
        Column("runs", INT, "runs in the backup", never_null=True),
        Column("fetched", INT, "runs that were fetched, whole or in part", never_null=True),
        Column("failed", INT, "runs and projects that failed", never_null=True),
        Column("gone", INT, "runs that the server no longer has", never_null=True),
        Column("rows", INT, "points, log lines and media", never_null=True),
        Column("bytes", INT, "size of the data of all runs", "bytes", never_null=True),
    ),
    is_closed=True,
)
BACKUP_DIFF = TableSchema(
    "backup_diff",
    "one row per run that differs between two snapshots",
    (
        Column("path", TEXT, "workspace/project/run, as commands take it"),
        _RUN_ID,
        Column("name", TEXT, "display name"),
        Column("change", TEXT, "added, changed or gone"),
        Column("fields", TEXTS, "what has changed"),
        Column("points", INT, "points of metrics that came, negative if fewer are there"),
        Column("lines", INT, "log lines that came"),
        Column("items", INT, "media that came"),
    ),
    is_closed=True,
)
BACKUP_VERIFY = TableSchema(
    "backup_verify",
    "one row per object that is not as it was written",
    (
        Column("object", TEXT, "path of the object in the backup"),
        Column("run", TEXT, "project folder and id of the run that it is of"),
        Column("cause", TEXT, "what is wrong with it"),
        Column("cure", TEXT, "what helps, or that it was repaired"),
    ),
    is_closed=True,
)
