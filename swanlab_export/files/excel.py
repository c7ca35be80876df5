"""Excel workbooks of one sheet, row by row.

Text is always text, never a formula or a link. What a cell of Excel cannot hold is text, too: integers
of more than 15 digits, NaN and infinities, times before 1900, lists (as JSON). Fractions have 16 digits.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export.cells import csv_cells, json_cells
from swanlab_export.errors import OutputError
from swanlab_export.files.atomic import folder_of
from swanlab_export.messages import quote
from swanlab_export.tables import decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swanlab_export.tables import Table

# The limits of a sheet.
_ROWS_MAX = 1_048_576
_COLUMNS_MAX = 16_384
_TEXT_MAX = 32_767
_EXACT_MAX = 10**15
# With the 16 digits that a number has in the file, larger ones would be read as infinite.
_LARGEST = 1.797693134862315e308
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times of Excel have no zone; ours are UTC
_FIRST_MS, _END_MS = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (1900, 9999)
)
# Equal tables give equal files.
_CREATED = datetime(1980, 1, 1)  # noqa: DTZ001  as above


def write_excel(table: Table, path: Path) -> int:
    """Write a workbook with one sheet, the names of the columns in its first row; counts rows.

    Raises:
        OutputError: The table is larger than a sheet, or a text longer than a cell.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    if len(table.schema) > _COLUMNS_MAX:
        raise _too_large(f"{len(table.schema):,} columns, and a sheet of Excel {_COLUMNS_MAX:,}")
    # In constant memory, rows go to a temporary file; they must come in order.
    folder = folder_of(path)
    folder.mkdir(mode=0o700)
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(folder)})
    book.set_properties({"created": _CREATED})
    sheet = book.add_worksheet(table.name[:31])
    try:
        rows = _write_rows(table, book, sheet)
        book.close()
    except FileCreateError as error:
        raise error.args[0] from None
    finally:
        sheet.row_data_fh.close()
        rmtree(folder, ignore_errors=True)
    return rows


def _write_rows(table: Table, book: Any, sheet: Any) -> int:
    sheet.freeze_panes(1, 0)
    bold = book.add_format({"bold": True})
    for i, name in enumerate(table.schema.names):
        sheet.write_string(0, i, name, bold)
    writers = [_writer(field, sheet, book) for field in table.schema]
    rows = 0
    for batch in table:
        if rows + batch.num_rows >= _ROWS_MAX:
            raise _too_large(f"more rows than a sheet of Excel, which has {_ROWS_MAX:,}")
        columns = [_values(column) for column in decode_batch(batch, table.schema).columns]
        for row in zip(*columns, strict=True):
            rows += 1
            for i, value in enumerate(row):
                if value is not None:
                    writers[i](rows, i, value)
    return rows


def _values(column: pa.Array) -> list[Any]:
    """Values as a writer takes them: times in ms, lists as JSON."""
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).to_pylist())
    if pa.types.is_list(column.type):
        return list(json_cells(column).to_pylist())
    return list(column.to_pylist())


def _writer(field: pa.Field, sheet: Any, book: Any) -> Callable[[int, int, Any], object]:
    """Choose how the cells of a column are written."""
    kind = field.type

    def write_text(row: int, column: int, value: str) -> None:
        if len(value) > _TEXT_MAX:
            raise _too_large(
                f"a text of {len(value):,} characters in {quote(field.name)}, and a cell of Excel "
                f"holds {_TEXT_MAX:,}"
            )
        sheet.write_string(row, column, value)

    def write_number(row: int, column: int, value: float) -> None:
        if isinstance(value, int) and abs(value) >= _EXACT_MAX:
            sheet.write_string(row, column, str(value))
        elif abs(value) <= _LARGEST:
            sheet.write_number(row, column, value)
        else:
            sheet.write_string(row, column, "NaN" if math.isnan(value) else str(value))

    if pa.types.is_timestamp(kind):
        return _time_writer(kind, sheet, book)
    if pa.types.is_boolean(kind):
        write_boolean: Callable[[int, int, Any], object] = sheet.write_boolean
        return write_boolean
    return write_number if pa.types.is_integer(kind) or pa.types.is_floating(kind) else write_text


def _time_writer(kind: pa.DataType, sheet: Any, book: Any) -> Callable[[int, int, Any], object]:
    format_ = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})

    def write_time(row: int, column: int, ms: int) -> None:
        if _FIRST_MS <= ms < _END_MS:
            sheet.write_datetime(row, column, _EPOCH + timedelta(milliseconds=ms), format_)
        else:
            text = csv_cells(pa.array([ms]).cast(kind), ",")[0].as_py()
            sheet.write_string(row, column, text)

    return write_time


def _too_large(what: str) -> OutputError:
    return OutputError(f"the table has {what}: save it as .parquet or .csv")
