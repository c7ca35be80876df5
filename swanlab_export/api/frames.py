"""Tables → the frames that analysts work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swanlab_export.errors import UsageError, argument

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from swanlab_export.tables import Table

Frame = Literal["pandas", "arrow", "polars"]


def to_frame(table: Table, frame: str) -> Any:
    """Gather a table as the kind of frame asked for.

    Raises:
        UsageError: The kind is unknown, or polars is not installed.
    """
    gathered = table.to_arrow()
    if frame == "arrow":
        return gathered
    if frame == "polars":
        return _to_polars(gathered)
    if frame != "pandas":
        raise UsageError(f"{argument('frame')} is pandas, arrow or polars, not {frame!r}")
    found = arrow_to_pandas(gathered)
    found.attrs.update(table.source)
    if table.total is not None:
        found.attrs["total"] = table.total
    return found


def arrow_to_pandas(gathered: pa.Table) -> pd.DataFrame:
    """Convert with types that can be missing: whole numbers stay whole, truth values stay so."""
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    found: pd.DataFrame = gathered.to_pandas(types_mapper=nullable.get)
    return found


def _to_polars(gathered: pa.Table) -> Any:
    try:
        import polars as pl
    except ImportError:
        raise UsageError(
            f"{argument('frame')} polars needs polars: pip install 'swanlab-export[polars]'"
        ) from None
    return pl.from_arrow(gathered)
