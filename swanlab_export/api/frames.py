"""Tables → the frames that analysts work with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from swanlab_export.errors import UsageError, argument

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from swanlab_export.tables import Table

Frame = Literal["pandas", "arrow", "polars"]


def check_frame(frame: str) -> None:
    """Refuse a kind of frame that is unknown or not installed, before anything is fetched.

    Raises:
        UsageError: It is; names what to install.
    """
    if frame not in get_args(Frame):
        raise UsageError(f"{argument('frame')} is pandas, arrow or polars, not {frame!r}")
    if frame == "polars" and find_spec("polars") is None:
        raise UsageError(
            f"{argument('frame')} polars needs polars: pip install 'swanlab-export[polars]'"
        )


def to_frame(table: Table, frame: Frame) -> Any:
    """Gather a table as the kind of frame asked for."""
    gathered = table.to_arrow()
    if frame == "arrow":
        return gathered
    if frame == "polars":
        import polars as pl

        return pl.from_arrow(gathered)
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
