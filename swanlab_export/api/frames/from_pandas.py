"""pandas frames → named Arrow arrays: the index too, and no value changed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from swanlab_export.api.frames.to_frame import find_marked
from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator


def named_series(frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Give the columns of a frame, those of its index first; names become text.

    Of an index without a name, whole numbers are row numbers and left out, whichever rows a filter
    has kept; anything else is a column named ``index``, as ``reset_index`` calls it.

    Raises:
        UsageError: The columns have levels.
    """
    if frame.columns.nlevels > 1:
        raise UsageError(
            f"{argument('frame')} has columns of {frame.columns.nlevels} levels: join their names, "
            "as in frame.columns = ['.'.join(map(str, names)) for names in frame.columns]"
        )
    for name, level in _levels(frame.index):
        yield str(name), pd.Series(level)
    for place, name in enumerate(frame.columns):
        yield str(name), frame.iloc[:, place]


def series_to_arrow(series: pd.Series[Any]) -> Any:
    """Convert the values of a column; NaN in floats is missing unless it is marked as a value.

    Raises:
        UsageError: Arrow would change a value; says which one and into what.
        ValueError, TypeError, OverflowError, NotImplementedError: Arrow has no type for it.
    """
    if isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    if series.dtype == np.dtype(object):
        return _objects(series)
    if series.dtype in {np.dtype(f"float{bits}") for bits in (16, 32, 64)}:
        values = series.to_numpy()
        is_nan = np.isnan(values)
        if not is_nan.any():
            return pa.array(values)
        is_value = find_marked(values)
        plain = np.where(is_value, values.dtype.type(np.nan), values)
        return pa.array(plain, mask=is_nan & ~is_value, from_pandas=False)
    return pa.array(series, from_pandas=True)


def _levels(index: pd.Index[Any]) -> list[tuple[Hashable, pd.Index[Any]]]:
    if isinstance(index, pd.MultiIndex):
        names = [f"level_{i}" if name is None else name for i, name in enumerate(index.names)]
        return [(name, index.get_level_values(i)) for i, name in enumerate(names)]
    if index.name is not None:
        return [(index.name, index)]
    is_numbering = len(index) == 0 or pd.api.types.is_integer_dtype(index.dtype)
    return [] if is_numbering else [("index", index)]


def _objects(series: pd.Series[Any]) -> Any:
    values = list(series)
    floats = np.array([value if isinstance(value, float) else 0.0 for value in values])
    is_missing = series.isna().to_numpy() & ~find_marked(floats)
    cells = [None if gone else value for value, gone in zip(values, is_missing, strict=True)]
    found = pa.array(cells, from_pandas=False)
    if pa.types.is_string(found.type):
        return found
    for value, back in zip(cells, found.to_pylist(), strict=True):
        if not _is_same(value, back):
            raise UsageError(f"holds {_shown(value)}, which would come back as {_shown(back)}")
    return found


def _is_same(value: Any, back: Any) -> bool:
    """Compare what went into Arrow with what comes out; 1 and 1.0 are the same number."""
    if value is None or back is None:
        return value is back
    if isinstance(value, (list, tuple, np.ndarray)):
        return (
            isinstance(back, list) and len(value) == len(back) and all(map(_is_same, value, back))
        )
    if isinstance(value, dict):
        return value.keys() == back.keys() and all(_is_same(value[k], back[k]) for k in value)
    if isinstance(value, (float, np.floating)) and np.isnan(value):
        return isinstance(back, float) and bool(np.isnan(back))
    return isinstance(value, (bool, np.bool_)) == isinstance(back, bool) and bool(value == back)


def _shown(value: Any) -> str:
    return escape(repr(value))[1:-1]
