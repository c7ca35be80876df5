"""What a unit fetches of its run, each part through the endpoints that its command uses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export import schemas
from swanlab_export.api.partial import Partial
from swanlab_export.api.runs.export import exported_batches
from swanlab_export.api.runs.find import FoundRun
from swanlab_export.api.runs.keys import column_pages, fetch_keys
from swanlab_export.api.runs.plan import Plan, Query
from swanlab_export.backups.parquet import ParquetObject
from swanlab_export.backups.receipts import Row, Stored, json_float, json_rows
from swanlab_export.client import NOT_CHECKED, NotOfferedError
from swanlab_export.decoding import decode
from swanlab_export.endpoints import logs as log_endpoint
from swanlab_export.endpoints import medias as media_endpoint
from swanlab_export.endpoints import metrics as metrics_endpoint
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.limits import LOG_LEVELS, LOG_SHARD_LINES, METRIC_TYPES
from swanlab_export.normalizers.details import key_class, normalize_columns, normalize_logs
from swanlab_export.normalizers.metrics import Layout
from swanlab_export.normalizers.runs import normalize_runs, normalize_summaries
from swanlab_export.normalizers.stored import config_rows, profile_json
from swanlab_export.normalizers.values import as_text, exact_json
from swanlab_export.pagination import fetch_log_shards
from swanlab_export.patterns import matching
from swanlab_export.progress import Progress
from swanlab_export.refs import ProjectRef, RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.backups.destination import Destination, Pending
    from swanlab_export.backups.receipts import Asked
    from swanlab_export.backups.unit import ProjectPlace
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.report import Report
    from swanlab_export.tables import Table

Logged = dict[str, dict[str, Any]]


@dataclass
class Written:
    """An object of a run that is written, and not yet in its place.

    Attributes:
        pending: The object; None where it has no row.
        files: Files of media that belong to it.
        latest: Of metrics, the latest step of each key.
        points: Of metrics, how many points each key has.
    """

    pending: Pending | None
    stored: Stored
    files: list[tuple[Pending | None, Row]] = field(default_factory=list)
    latest: dict[str, int | None] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)


def fetch_run(client: Client, project: ProjectPlace, run_id: str) -> FoundRun:
    """Fetch the run itself, with its full profile."""
    ref = RunRef(ProjectRef(project.workspace, project.name), run_id)
    payload = endpoint.fetch_run(client, ref)
    return FoundRun(ref, payload, endpoint.read_source(payload, project.project_id))


def describe_run(context: Context, run: FoundRun, report: Report) -> dict[str, Any]:
    """What the receipt has of the run itself: its row and its configuration."""
    table = normalize_runs(
        [(run.payload, None)],
        report,
        run.ref.project,
        run.source.project_id,
        context.web_host,
        is_single=True,
    )
    (row,) = json_rows(table.to_arrow(), schemas.STORED_RUNS)
    # Names of projects change without the run: the tables get them anew.
    kept = {name: value for name, value in row.items() if name not in {"path", "url"}}
    for name in ("config", "metadata"):
        kept[name] = profile_json(run.payload, name) or row.get(name)
    return {
        "workspace": run.ref.project.workspace,
        "project": run.ref.project.project,
        "slug": row["slug"],
        "row": kept,
        "configs": [_json_row(row) for row in config_rows(run.payload)],
    }


def _json_row(row: Row) -> Row:
    """A row of the configuration as JSON holds it."""
    return row | {"float": json_float(row["float"])} if "float" in row else row


def describe_summary(summary: Mapping[str, Any], run_id: str, report: Report) -> list[Row]:
    """The rows of a run in the table of summaries."""
    return _without_id(normalize_summaries([(run_id, summary)], report), schemas.STORED_SUMMARY)


def describe_columns(
    columns: Sequence[Any] | None, keys: Mapping[str, Sequence[str]], run_id: str, report: Report
) -> list[Row]:
    """The rows of a run in the table of columns; its keys where the server lists no columns."""
    if columns is None:
        columns = [
            endpoint.key_as_column(key, key_class(key, metric_type))
            for metric_type, found in keys.items()
            for key in found
        ]
    return _without_id(normalize_columns(columns, report, run_id), schemas.STORED_COLUMNS)


def _without_id(table: Table, declared: schemas.TableSchema) -> list[Row]:
    rows = json_rows(table.to_arrow(), declared)
    for row in rows:
        del row["run_id"]
    return rows


def fetch_logged(client: Client, run: FoundRun) -> Logged | None:
    """Fetch each key of a run with its latest step, of metrics, media and log, in one request.

    None where the server does not tell.
    """
    try:
        payload = metrics_endpoint.fetch_latest(client, run.source)
    except SwanlabExportError as error:
        if error.status not in NOT_CHECKED:
            raise
        return None
    return {
        kind: {
            key: item["step"] for key, item in metrics_endpoint.read_latest(payload, kind).items()
        }
        for kind in ("SCALAR", "MEDIA", "LOG")
    }


def find_keys(
    client: Client, run: FoundRun, logged: Logged | None, summary: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Find the keys of a run, of numbers and of media, in order."""
    found: dict[str, list[str]] = {}
    for metric_type in METRIC_TYPES:
        known = set(summary) if metric_type == METRIC_TYPES[0] else set()
        if logged is not None:
            known |= set(logged[metric_type])
        else:
            with suppress(NotOfferedError):
                known |= set(fetch_keys(client, [run.source], metric_type))
        found[metric_type] = sorted(known)
    return found


def announced(summary: Mapping[str, Any], logged: Logged | None) -> dict[str, int]:
    """The latest step that the server announces of each key: an export must reach it."""
    steps = metrics_endpoint.read_latest_steps(summary)
    items = {key: {"step": step} for key, step in (logged or {}).get("SCALAR", {}).items()}
    for key, step in metrics_endpoint.read_latest_steps(items).items():
        steps[key] = max(step, steps.get(key, step))
    return steps


def chosen_keys(asked: Asked, known: Sequence[str]) -> list[str]:
    """The keys that are wanted of those that there are."""
    if asked.keys is None:
        return list(known)
    wanted = {key for pattern in asked.keys for key in matching(pattern, known)}
    return [key for key in known if key in wanted]


def absent_keys(asked: Asked, known: Sequence[str]) -> tuple[str, ...]:
    """The names and patterns that are asked for and match nothing of what there is."""
    return tuple(pattern for pattern in asked.keys or () if not matching(pattern, known))


def fetch_columns(client: Client, run: FoundRun) -> list[Any] | None:
    """Fetch the columns of a run; None where the server lists none."""
    try:
        return list(column_pages(client, run.run_id))
    except NotFoundError:
        return None


def is_offered(client: Client, source: RunSource, table: str) -> bool:
    """Say whether the server offers a table that it may lack; asks for it once per connection."""
    requests = {
        "logs": log_endpoint.logs_page(source, 0, LOG_LEVELS[0]),
        "medias": media_endpoint.medias_request(source, []),
    }
    request = requests.get(table)
    if request is None:
        return True
    if client.capabilities.is_unknown(request):
        with suppress(SwanlabExportError):
            client.send(request)
    return not client.capabilities.lacks(str(request))


def write_metrics(
    context: Context,
    destination: Destination,
    path: str,
    run: FoundRun,
    keys: Sequence[str],
    steps: dict[str, int],
    report: Report,
) -> Written:
    """Fetch every point of some keys, as ``run metrics --all`` does, in rows by key and step."""
    if not keys:
        return Written(None, Stored())
    query = Query.parse(
        keys,
        None,
        all=True,
        sample=1,
        x_axis="step",
        layout="long",
        has_timestamp=True,
        partial=False,
        now_ms=0,
        has_text=True,
    )
    having = {key: {run.run_id} for key in keys}
    layout = Layout((run.run_id,), tuple(keys), has_text=True)
    quiet = replace(context, progress=Progress())
    whole = Partial(report, is_wanted=False)
    plan = Plan(
        query, [run], list(keys), having, set(), lambda: {run.run_id: steps}, layout, whole, report
    )
    written = Written(None, Stored())

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in exported_batches(quiet, plan, can_restart=False):
            key = batch["key"][0].as_py()
            written.points[key] = written.points.get(key, 0) + batch.num_rows
            highest = pc.max(batch["step"]).as_py()
            before = written.latest.get(key)
            written.latest[key] = max((s for s in (before, highest) if s is not None), default=None)
            yield _metric_rows(run, batch)

    write_rows_of(destination, path, schemas.STORED_METRICS, batches(), written)
    return written


def _metric_rows(run: FoundRun, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows as the backup has them, from rows of the metrics table."""
    rows = batch.num_rows
    columns = [
        pa.repeat(run.source.project_id, rows),
        pa.repeat(run.run_id, rows),
        batch["key"].cast(schemas.TEXT),
        *(batch[name] for name in ("step", "value", "timestamp")),
        batch["text"],
    ]
    return pa.record_batch(columns, schema=schemas.STORED_METRICS.arrow())


def write_logs(
    client: Client,
    destination: Destination,
    path: str,
    run: FoundRun,
    logged: Logged | None,
    report: Report,
) -> Written:
    """Fetch the whole log, at its lowest level."""
    steps = [step for step in (logged or {}).get("LOG", {}).values() if isinstance(step, int)]

    def lines() -> Iterator[Any]:
        for payload in fetch_log_shards(
            client,
            lambda shard: log_endpoint.logs_page(run.source, shard, LOG_LEVELS[0]),
            size=LOG_SHARD_LINES,
            read_number=log_endpoint.read_number,
            announced=steps[0] if len(steps) == 1 else None,
        ):
            yield from log_endpoint.read_lines(payload)

    written = Written(None, Stored())
    table = normalize_logs(lines(), report, run.run_id)
    batches = (_with_more(run, batch, schemas.STORED_LOGS) for batch in table)
    write_rows_of(destination, path, schemas.STORED_LOGS, batches, written)
    return written


def _with_more(
    run: FoundRun, batch: pa.RecordBatch, declared: schemas.TableSchema
) -> pa.RecordBatch:
    """Rows as the backup has them: what is not declared is JSON in the column ``more``."""
    names = set(declared.names)
    others = [name for name in batch.schema.names if name not in names]
    more = [
        dump_text({name: value for name, value in row.items() if value is not None})
        for row in batch.select(others).to_pylist()
    ]
    columns = {name: batch[name] for name in declared.names if name in batch.schema.names}
    columns["project_id"] = pa.repeat(run.source.project_id, batch.num_rows)
    columns["more"] = pa.array(more, schemas.TEXT)
    return pa.record_batch([columns[name] for name in declared.names], schema=declared.arrow())


def write_rows_of(
    destination: Destination,
    path: str,
    declared: schemas.TableSchema,
    batches: Iterator[pa.RecordBatch],
    written: Written,
) -> None:
    """Write the rows of an object, under a temporary name; without a row there is none."""
    parquet: ParquetObject | None = None
    try:
        for batch in batches:
            if parquet is None:
                parquet = ParquetObject(destination.create(path), declared.arrow())
            parquet.write(batch)
        if parquet is not None:
            size, sha256 = parquet.finish()
            written.pending = parquet.pending
            written.stored = Stored(path, parquet.rows, size, sha256)
    finally:
        if parquet is not None and written.pending is None:
            parquet.discard()


def write_payload(destination: Destination, path: str, payload: Mapping[str, Any]) -> Written:
    """Write what the server sent, compressed."""
    pending = destination.create(path)
    try:
        with pa.CompressedOutputStream(pa.PythonFile(pending, mode="w"), "zstd") as stream:
            stream.write(exact_json(payload))
        size, sha256 = pending.finish()
    except BaseException:
        pending.discard()
        raise
    return Written(pending, Stored(path, 1, size, sha256))


def read_payload(destination: Destination, path: str) -> dict[str, Any]:
    """Read what the server sent of a run.

    Raises:
        ValueError: It is not there, or not as it was written.
    """
    try:
        with destination.open(path) as file, pa.input_stream(file, compression="zstd") as stream:
            found = decode(stream.read())
        return dict(found)
    except (OSError, TypeError) as error:
        raise ValueError(str(error)) from None


def dump_text(payload: Mapping[str, Any]) -> str | None:
    """JSON of an object as text; None if it is empty."""
    return as_text(dict(payload)) if payload else None
