"""``write`` and ``read``: frames to files and back, in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from swanlab_export.api.frames.gather import gather
from swanlab_export.api.frames.to_frame import Frame, arrow_to_frame, check_frame
from swanlab_export.writers import parse_target, write_table
from swanlab_export.writers.formats import TEXT_FORMATS, parse_source
from swanlab_export.writers.reading import read_table

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa


def write(frame: Any, path: str | os.PathLike[str]) -> Path:
    """Save a frame, whole or not at all; the extension says the format.

    No value is changed on the way: what a file cannot hold as it is, is refused.

    - **Missing and NaN** stay apart. A pandas column of floats has one NaN for both, of which
      ``isna()`` is true. What came from this package as NaN is still known to be a value, whatever
      was filtered, joined or computed since; any other NaN is missing, as pandas has it. Arrow,
      polars, and pandas columns of Arrow's types tell the two apart themselves.
    - **The index** of a pandas frame becomes its first columns. Of an index without a name, whole
      numbers are row numbers and left out (``rename_axis("row")`` keeps them); anything else is a
      column ``index``.
    - **Types**: .parquet and .feather keep numbers with their width, text, truth values, times with
      unit and zone, dates, times of day, durations, decimals, binary, lists, objects and categories
      of text with their order; other categories become their values. Text formats spell all of them
      but binary, times in UTC (``read`` says what comes back). Anything else is refused, such as
      intervals, periods, complex numbers, objects of Python, and columns of several kinds.
    - **Metadata**: .parquet and .feather keep ``.attrs`` as JSON, the table's name, and meaning and
      unit of its columns. A frame about one entity is one object in .json.

    Args:
        frame: A pandas or polars DataFrame, an Arrow table or record batch.
        path: .parquet .feather .arrow .csv .tsv .json .jsonl, text also .gz and .zst.

    Returns:
        The path.

    Raises:
        UsageError: The extension is unknown, ``frame`` is not a frame, or a column or an entry of
            ``.attrs`` cannot be kept as it is; names it.
        OutputError: The file cannot be written.

    >>> import tempfile, pandas as pd
    >>> frame = pd.DataFrame({"lr": [0.1, 0.2], "loss": [0.5, 0.25]}).groupby("lr").min()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(frame, f"{folder}/best.csv")
    ...     print(path.read_text(), end="")
    lr,loss
    0.1,0.5
    0.2,0.25
    """
    target = parse_target(str(path), called="path")
    table = gather(frame, has_metadata=target.format not in TEXT_FORMATS)
    return write_table(table, target).path


@overload
def read(path: str | os.PathLike[str], frame: Literal["pandas"] = ...) -> pd.DataFrame: ...
@overload
def read(path: str | os.PathLike[str], frame: Literal["arrow"]) -> pa.Table: ...
@overload
def read(path: str | os.PathLike[str], frame: Literal["polars"]) -> pl.DataFrame: ...
def read(path: str | os.PathLike[str], frame: Frame = "pandas") -> Any:
    """Read a file that this package saved, with the types that it had.

    Parquet and Feather bring back types and metadata. Text holds neither: of a table that is
    recognised by its header, text, categories and lists have their declared types; any other column
    has the narrowest type that spells all its cells as they stand, of whole numbers, floats, truth
    values, times and durations. What would be changed stays text (``0012``, ``1.10``, whole numbers
    beyond 64 bits), and so do dates and times of day, decimals in JSON, and lists and objects in
    CSV. A column of nothing but ``"NaN"`` and ``"Infinity"`` is of floats in JSON, too, and an empty
    ``[]`` has no columns.

    Args:
        path: .parquet .feather .arrow .csv .tsv .json .jsonl, text also .gz and .zst.
        frame: ``"pandas"``, ``"arrow"`` or ``"polars"``.

    Returns:
        A pandas DataFrame: floats are numpy's, with NaN both for missing and for NaN (``write``
        knows which), whole numbers and truth values are nullable, what pandas has no type for is of
        Arrow's, and ``.attrs`` say where the data came from. Or an Arrow table with all metadata,
        or a polars DataFrame without any.

    Raises:
        UsageError: The extension or ``frame`` is unknown, or ``frame`` has no type for a column.
        OutputError: The file cannot be read, or is not what its name says.

    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(pd.DataFrame({"step": [1, None], "note": ["0012", "x"]}), f"{folder}/x.csv")
    ...     read(path, "arrow").to_pylist()
    [{'step': 1.0, 'note': '0012'}, {'step': None, 'note': 'x'}]
    """
    check_frame(frame)
    return arrow_to_frame(read_table(parse_source(str(path))), frame)
