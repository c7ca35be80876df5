"""Tables → the frames that analysts work with.

Arrow and polars tell a missing number from NaN. pandas does not: both are NaN in a column of floats,
and ``isna()`` is true of both. So that a pandas frame can be written as it was, a NaN that is a
value carries a mark, in bits of which arithmetic takes no notice (R marks its NA in the same way).
It stays with its value through filters, sorts, joins, ``concat`` and arithmetic. A NaN without the
mark, which pandas or its user has put there, is missing.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from swanlab_export.errors import UsageError, argument
from swanlab_export.tables import read_stamp

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from swanlab_export.tables import Table

Frame = Literal["pandas", "arrow", "polars"]

# A quiet NaN of which the first ten bits of the fraction are set so: half a float keeps them, too.
_MARKED_BITS = 0x7FFD_5400_0000_0000
_WITHOUT_SIGN = 0x7FFF_FFFF_FFFF_FFFF
_MARKED = struct.unpack("<d", struct.pack("<Q", _MARKED_BITS))[0]


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
    """Gather a table as the kind of frame asked for; pandas also gets the total in ``.attrs``."""
    found = arrow_to_frame(table.to_arrow(), frame)
    if frame == "pandas" and table.total is not None:
        found.attrs["total"] = table.total
    return found


def arrow_to_frame(gathered: pa.Table, frame: Frame) -> Any:
    """Convert to the kind of frame asked for.

    The metadata of ``gathered`` come along as far as the frame has a place for them: Arrow keeps
    all, pandas has the source and the table's name in ``.attrs``, polars none.

    Raises:
        UsageError: The frame has no type for a column, as only foreign files can hold.
    """
    if frame == "arrow":
        return gathered
    try:
        return _to_polars(gathered) if frame == "polars" else _to_pandas(gathered)
    except (ValueError, NotImplementedError, TypeError, OverflowError) as error:
        raise UsageError(
            f"{argument('frame')} {frame} cannot hold this table: {first_line(error)}; arrow can"
        ) from None


def first_line(error: Exception) -> str:
    """What a library says, without its hints."""
    return str(error).partition("\n")[0]


def find_marked(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Say of each float whether it is a NaN that is a value, as ``arrow_to_frame`` has marked it."""
    import numpy as np

    bits = values.astype(np.float64).view(np.uint64)
    found: np.ndarray[Any, Any] = (bits & np.uint64(_WITHOUT_SIGN)) == np.uint64(_MARKED_BITS)
    return found


def _to_polars(gathered: pa.Table) -> Any:
    import polars as pl

    # On the way, a name could not be empty or hold a null character.
    numbered = gathered.rename_columns([str(place) for place in range(gathered.num_columns)])
    try:
        found: Any = pl.from_arrow(numbered)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(str(error)) from None
    found.columns = gathered.column_names
    return found


def _to_pandas(gathered: pa.Table) -> pd.DataFrame:
    marked = [_mark(column) for column in gathered.columns]
    table = gathered.from_arrays(marked, schema=gathered.schema)
    found: pd.DataFrame = table.to_pandas(types_mapper=_pandas_type)
    stamp = read_stamp(gathered.schema)
    found.attrs.update(stamp.source)
    if stamp.table:
        found.attrs["table"] = stamp.table
    if stamp.single:
        found.attrs["single"] = True
    return found


def _mark(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(column.type):
        return column
    is_nan = pc.is_nan(column.cast(pa.float64()))
    if not pc.any(is_nan).as_py():
        return column
    mark = pa.scalar(column.type.to_pandas_dtype()(_MARKED), column.type)
    return pc.if_else(is_nan, mark, column)


def _pandas_type(kind: pa.DataType) -> Any:
    """The type in pandas, where the one that Arrow takes by itself would lose something.

    Whole numbers and truth values become types that can be missing, so that whole numbers stay
    whole. Numbers, text, times, durations and categories pandas has itself. What it would hold as
    objects of Python stays in Arrow's type, but for lists of text, such as labels.
    """
    import pandas as pd
    import pyarrow as pa

    from swanlab_export.schemas import TEXTS

    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("uint", "UInt").replace("int", "Int"))
    is_of_pandas = (
        pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
        or pa.types.is_dictionary(kind)
        or pa.types.is_null(kind)
        or isinstance(kind, pa.BaseExtensionType)
    )
    return None if is_of_pandas or kind == TEXTS else pd.ArrowDtype(kind)
