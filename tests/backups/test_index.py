"""The index of a project, and the ends of Parquet files, where they are not as they mostly are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.index import Index
from swanlab_export.backups.parquet import count_rows, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from backup_support import Nights
    from living import LivingData


@pytest.mark.parametrize("more", [0, *range(7000, 8600, 100), 200_000])
def test_rows_are_counted_however_long_the_footer_is(more: int, tmp_path: Path) -> None:
    """A footer that is longer than what is read at first is read as a whole."""
    destination = open_destination(tmp_path)
    schema = pa.schema({"step": pa.int64()})
    batches = [pa.record_batch([pa.array(range(count))], schema) for count in (3, 4)]
    about: dict[str, Any] = {"about": "x" * more}
    rows, size, _ = write_rows(destination, "tables/x.parquet", schema, batches, about)
    assert (rows, count_rows(destination, "tables/x.parquet", size)) == (7, 7)


@pytest.mark.parametrize("column", ["run_id", "receipt_json"])
def test_an_index_of_which_a_part_cannot_be_read(
    column: str, world: LivingData, ended: Nights
) -> None:
    """What its later parts would have is read from receipts; nothing is fetched again or lost."""
    world.start("three")
    world.delete("two")
    ended.run()
    path = ended.folder / "state/index/lab/digits.parquet"
    table = pq.read_table(path)
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    pq.write_table(table, path, row_group_size=1, write_page_checksum=True, **options)
    group = pq.read_metadata(path).row_group(1)
    found = group.column(table.schema.names.index(column))
    content = bytearray(path.read_bytes())
    content[found.data_page_offset + found.total_compressed_size - 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read_row_group(1)
    index = Index(open_destination(ended.folder), "lab/digits")
    assert {receipt.run_id for _, _, receipt in index.receipts()} == {"one", "two", "three"}
    assert (index.is_current, index.broken, index.lost) == (False, {}, [])
    before = {path: content for path, content in ended.objects("tables").items() if "/m" in path}
    assert set(ended.run()) == {"three"}  # which goes on
    assert set(ended.runs()) == {"one", "two", "three"}
    after = ended.objects("tables")
    assert {path: after[path] for path in before} == before
    assert Index(open_destination(ended.folder), "lab/digits").is_current
