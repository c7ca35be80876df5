"""The index of a project: its receipts in one file, of which only those that changed are read again."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swanlab_export import schemas
from swanlab_export.backups.layout import RECEIPTS, index_path, payload_path
from swanlab_export.backups.receipts import Noted, Receipt
from swanlab_export.files.store_objects import Entry
from swanlab_export.limits import JOBS
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.backups.destination import Destination

_Parsed = TypeVar("_Parsed")
# How many receipts one thread reads before the next one gets some.
_AT_ONCE = 16
_LISTED_AT_ONCE = 10_000
_LIGHT = pa.schema(
    [
        ("run_id", schemas.TEXT),
        ("receipt", schemas.TEXT),
        ("receipt_size", schemas.INT),
        ("receipt_version", schemas.TEXT),
        ("created_at", schemas.INT),
    ]
)
_ENTRIES = pa.schema([("path", schemas.TEXT), ("size", schemas.INT), ("version", schemas.TEXT)])


class Held(NamedTuple):
    """A receipt that is not in the index."""

    created_ms: int
    run_id: str
    entry: Entry

    @property
    def order(self) -> tuple[int, str]:
        """Its place among the runs of a project: the newest first."""
        return -self.created_ms, self.run_id


class Index:
    """The receipts of one project, by run; those that are in the index are read from it.

    Of these it holds little more than their rows there, in Arrow: a project may have 100,000.

    Args:
        destination: The backup.
        folder: The folder of the project.
        entries: Its receipts, as a list had them; by default they are listed here.

    Attributes:
        is_current: The index file holds exactly these receipts.
        broken: Receipts that cannot be read, with the reason.
        lost: Receipts that the index holds, and that are missing.
        is_damaged: A part of the index file, or all of it, cannot be read: others may be missing.
    """

    def __init__(
        self, destination: Destination, folder: str, entries: Iterable[Entry] | None = None
    ) -> None:
        self.broken: dict[str, str] = {}
        self._destination = destination
        self._folder = folder
        self._path = index_path(folder)
        self._read_group = lru_cache(maxsize=2)(self._read_group_once)
        self.is_damaged = False
        self._starts: list[int] = []  # the first row of each row group
        self._table = self._read_light()
        listed = _gather(entries or destination.list(f"{RECEIPTS}/{folder}"))
        rows = pc.index_in(listed["path"], value_set=self._table["receipt"])
        known = self._table.select(["run_id", "receipt_size", "receipt_version"]).take(rows)
        is_known = pc.fill_null(
            pc.and_(
                pc.equal(known["receipt_size"], listed["size"]),
                pc.equal(known["receipt_version"], listed["version"]),
            ),
            False,
        )
        # The row in the index of each run whose receipt is not newer.
        self._rows: dict[str, int] = dict(
            zip(
                known["run_id"].filter(is_known).to_pylist(),
                rows.filter(is_known).to_pylist(),
                strict=True,
            )
        )
        self._fresh: dict[str, Held] = {}
        # What the index has of receipts that are lost or broken, which is all that is known of them.
        self._spare: dict[str, int] = {}
        is_changed = pc.invert(is_known)
        changed = [Entry(**each) for each in listed.filter(is_changed).to_pylist()]
        self._read_changed(changed, rows.filter(is_changed).to_pylist())
        all_rows = pa.array(range(self._table.num_rows), rows.type)
        is_lost = pc.invert(pc.is_in(all_rows, value_set=rows.drop_null()))
        lost = pc.indices_nonzero(is_lost).to_pylist()
        self.lost = sorted(self._entry(row).path for row in lost)
        for row in lost:
            self._keep_spare(row)
        self.is_current = not (changed or lost) and destination.find(self._path) is not None

    def __len__(self) -> int:
        return len(self._rows) + len(self._fresh)

    def __iter__(self) -> Iterator[str]:
        return chain(self._rows, self._fresh)

    def get(self, run_id: str) -> Receipt | None:
        """Read the receipt of a run; None where there is none that can be read."""
        return self._read(run_id, Receipt.parse)

    def noted(self, run_id: str) -> Noted | None:
        """Read what tells whether a run has changed; None where its receipt cannot be read."""
        return self._read(run_id, Noted.parse)

    def _read(self, run_id: str, parse: Callable[[bytes], _Parsed]) -> _Parsed | None:
        held, row = self._fresh.get(run_id), self._rows.get(run_id)
        try:
            if held is not None:
                return parse(self._destination.read(held.entry.path))
            return None if row is None else parse(self._text(row))
        except (OSError, ValueError):
            return None

    def path(self, run_id: str) -> str | None:
        """The path of a run's receipt."""
        if (held := self._fresh.get(run_id)) is not None:
            return held.entry.path
        row = self._rows.get(run_id)
        return None if row is None else self._entry(row).path

    def spare(self, path: str) -> str | None:
        """The text that the index has of a receipt that cannot be read; None where it has none."""
        row = self._spare.get(path)
        try:
            return None if row is None else self._text(row).decode()
        except OSError:
            return None

    def paths(self) -> Iterator[str]:
        """The paths of all receipts."""
        yield from (self._entry(row).path for row in self._rows.values())
        yield from (held.entry.path for held in self._fresh.values())

    def reload(self, path: str) -> None:
        """Have a receipt that was written since."""
        entry = self._destination.find(path)
        held = None if entry is None else self._read_entry(entry)
        if held is not None:
            self._add(held)
            self.is_current = False

    def receipts(self) -> Iterator[tuple[Entry, str, Receipt]]:
        """Yield each receipt with its object and its text, those of the newest runs first.

        What neither its object nor the index can give is in ``broken`` afterwards.
        """
        # The index was written in this order.
        rows = ((self._order(row), row) for row in sorted(self._rows.values()))
        fresh = sorted((held.order, -1) for held in self._fresh.values())
        for (_, run_id), row in heapq.merge(rows, fresh):
            entry = self._entry(row) if row >= 0 else self._fresh[run_id].entry
            try:
                raw = self._text(row) if row >= 0 else self._destination.read(entry.path)
                text = raw.decode()
                receipt = Receipt.parse(raw)
            except (OSError, ValueError) as error:
                self.broken[entry.path] = f"it is no receipt: {quote(str(error))}"
                continue
            yield entry, text, receipt

    def _read_light(self) -> pa.Table:
        """Read what tells which receipts are in the index; nothing where it cannot be read."""
        groups = []
        try:
            with self._open() as parquet:
                for group in range(parquet.num_row_groups):
                    found = parquet.read_row_group(group, _LIGHT.names, use_threads=False)
                    groups.append(found.select(_LIGHT.names).cast(_LIGHT))
        except FileNotFoundError:
            pass
        except (OSError, pa.ArrowInvalid, KeyError):
            self.is_damaged = True  # what was not read counts as changed
        table = pa.concat_tables([_LIGHT.empty_table(), *groups])
        of_folder = pc.starts_with(table["receipt"], f"{RECEIPTS}/{self._folder}/")
        if pc.any(pc.invert(of_folder)).as_py():  # it is the index of another project
            table, groups, self.is_damaged = _LIGHT.empty_table(), [], True
        ends = accumulate(group.num_rows for group in groups)
        self._starts = [0, *ends][: len(groups)]
        return table.combine_chunks()

    def _read_changed(self, changed: list[Entry], rows: list[int | None]) -> None:
        """Read receipts that are not in the index, several at a time; it may have others of them."""
        parts = [changed[i : i + _AT_ONCE] for i in range(0, len(changed), _AT_ONCE)]
        with ThreadPoolExecutor(JOBS) as pool:
            read = chain.from_iterable(
                pool.map(lambda part: list(map(self._read_entry, part)), parts)
            )
            for held, row in zip(read, rows, strict=True):
                if held is not None:
                    self._add(held)
                elif row is not None:
                    self._keep_spare(row)

    def _add(self, held: Held) -> None:
        self._rows.pop(held.run_id, None)
        self._fresh[held.run_id] = held

    def _keep_spare(self, row: int) -> None:
        """Have what the index has of a receipt that cannot be read."""
        run_id = self._table["run_id"][row].as_py()
        self._spare[self._entry(row).path] = row
        if run_id not in self._fresh:
            self._rows.setdefault(run_id, row)

    def _read_entry(self, entry: Entry) -> Held | None:
        try:
            receipt = Receipt.parse(self._destination.read(entry.path))
            payload = receipt.objects["payload"].path
        except (OSError, ValueError, KeyError) as error:
            self.broken[entry.path] = f"it is no receipt: {quote(str(error))}"
            return None
        stem = entry.path.rpartition("/")[2].removesuffix(".json")
        if payload != payload_path(self._folder, stem):
            self.broken[entry.path] = f"it is the receipt of another run, with {payload}"
            return None
        return Held(receipt.row.get("created_at") or 0, receipt.run_id, entry)

    def _entry(self, row: int) -> Entry:
        names = ("receipt", "receipt_size", "receipt_version")
        return Entry(*(self._table[name][row].as_py() for name in names))

    def _order(self, row: int) -> tuple[int, str]:
        """The place of a receipt among those of a project: the newest first."""
        created_ms, run_id = (self._table[name][row].as_py() for name in ("created_at", "run_id"))
        return -(created_ms or 0), run_id

    def _text(self, row: int) -> bytes:
        group = bisect_right(self._starts, row) - 1
        try:
            texts = self._read_group(group)
        except OSError:  # its checksum is wrong
            self.is_current = False
            return self._destination.read(self._entry(row).path)
        found: bytes = texts[row - self._starts[group]].as_py()
        return found

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        with (
            self._destination.open(self._path) as file,
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            yield parquet

    def _read_group_once(self, group: int) -> pa.Array:
        with self._open() as parquet:
            table = parquet.read_row_group(group, columns=["receipt_json"], use_threads=False)
        return table["receipt_json"].cast(pa.binary()).combine_chunks()


def _gather(entries: Iterable[Entry]) -> pa.Table:
    """Objects as a table, which takes less memory than as many tuples."""
    left, batches = iter(entries), []
    while some := list(islice(left, _LISTED_AT_ONCE)):
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*some, strict=True), _ENTRIES, strict=True)
        ]
        batches.append(pa.record_batch(columns, schema=_ENTRIES))
    return pa.Table.from_batches(batches, _ENTRIES).combine_chunks()
