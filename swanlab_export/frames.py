"""Tables → the frames that analysts work with.

Arrow and polars distinguish a missing number from NaN. In pandas both are NaN in a column of floats,
and ``isna()`` is true of both.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from swanlab_export.errors import UsageError
from swanlab_export.limits import FRAMES
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swanlab_export.report import Report
    from swanlab_export.tables import Table


def check_frame(kind: str) -> None:
    """Refuse a kind of frame that is unknown or not installed, before any request.

    Raises:
        UsageError: It is; names what to install.
    """
    if kind not in FRAMES:
        raise UsageError(
            f"{argument('frame')} is one of {', '.join(FRAMES)}, not {quote(str(kind))}"
        )
    if kind == "polars" and find_spec("polars") is None:
        raise UsageError(f"{argument('frame', kind)} needs polars: pip install polars")


def to_frame(
    table: Table, kind: str, source: Mapping[str, Any], report: Report | None = None
) -> Any:
    """Convert a table to the kind of frame asked for.

    Args:
        table: The table; it is read to its end, for batches when they are read.
        kind: One of ``limits.FRAMES``.
        source: Where the data came from.
        report: What was left out, known at the end of the table; the metadata and ``.attrs`` say it.

    Returns:
        A pandas DataFrame, equal to what ``pd.read_parquet`` and ``pd.read_feather`` read from a
        file of this table, with the source, the table's name and its total in ``.attrs``; an Arrow
        table with the metadata of a file; a polars DataFrame; or an iterator of record batches.
    """
    # Imported here: a kind of frame is checked before anything heavy is loaded.
    import pyarrow as pa

    from swanlab_export.tables import decode_batch, describe

    schema = describe(table.schema, table.name, source)
    batches = (decode_batch(batch, schema) for batch in table)
    if kind == "batches":
        return batches
    gathered = pa.Table.from_batches(batches, schema)
    left_out = [] if report is None else report.left_out()
    if left_out:
        described = describe(table.schema, table.name, source, left_out)
        gathered = gathered.replace_schema_metadata(described.metadata)
    if kind == "arrow":
        return gathered
    if kind == "polars":
        import polars as pl

        frame: Any = pl.from_arrow(gathered)
        frame.columns = gathered.column_names  # polars replaces an empty name by its own
        return frame
    frame = gathered.to_pandas()
    frame.attrs.update(source, table=table.name)
    if table.total is not None:
        frame.attrs["total"] = table.total
    if left_out:
        frame.attrs.update(incomplete=True, left_out=left_out)
    return frame
