"""The index of a project: its receipts in one file, of which only those that changed are read again."""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from swanlab_export import schemas
from swanlab_export.backups.layout import RECEIPTS, index_path
from swanlab_export.backups.receipts import Receipt
from swanlab_export.files.store_objects import Entry
from swanlab_export.limits import JOBS
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.backups.destination import Destination

# How many receipts one thread reads before the next one gets some.
_AT_ONCE = 16
_LIGHT = ("run_id", "receipt", "receipt_size", "receipt_version", "created_at")


class Held(NamedTuple):
    """Where the receipt of a run is: in a row of the index, or (``group`` < 0) as an object."""

    created_ms: int
    run_id: str
    entry: Entry
    group: int
    row: int

    @property
    def order(self) -> tuple[int, str]:
        """Its place among the runs of a project: the newest first."""
        return -self.created_ms, self.run_id


class Index:
    """The receipts of one project, by run; those that are in the index are read from it.

    Args:
        destination: The backup.
        folder: The folder of the project.
        entries: Its receipts, as a list had them; by default they are listed here.

    Attributes:
        is_current: The index file holds exactly these receipts.
        broken: Receipts that cannot be read, with the reason.
        lost: Receipts that the index holds, and that are missing.
    """

    def __init__(
        self, destination: Destination, folder: str, entries: Iterable[Entry] | None = None
    ) -> None:
        self.is_current = True
        self.broken: dict[str, str] = {}
        self._destination = destination
        self._path = index_path(folder)
        self._read_group = lru_cache(maxsize=2)(self._read_group_once)
        indexed = {held.entry.path: held for held in self._indexed()}
        self._spare: dict[str, Held] = {}
        self._held: dict[str, Held] = {}
        changed: dict[Entry, Held | None] = {}
        for entry in entries or destination.list(f"{RECEIPTS}/{folder}"):
            known = indexed.pop(entry.path, None)
            if known is not None and known.entry == entry:
                self._held[known.run_id] = known
            else:
                changed[entry] = known
        self._read_changed(changed)
        self.lost = sorted(indexed)
        # What the index has of them is all that is known of their runs.
        self._spare |= indexed
        for held in indexed.values():
            self._held.setdefault(held.run_id, held)
        self.is_current &= not indexed and destination.find(self._path) is not None

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def get(self, run_id: str) -> Receipt | None:
        """Read the receipt of a run; None where there is none."""
        held = self._held.get(run_id)
        return None if held is None else Receipt.parse(self._text(held))

    def path(self, run_id: str) -> str | None:
        """The path of a run's receipt."""
        held = self._held.get(run_id)
        return None if held is None else held.entry.path

    def spare(self, path: str) -> str | None:
        """The text that the index has of a receipt that cannot be read; None where it has none."""
        held = self._spare.get(path)
        return None if held is None else self._text(held)

    def paths(self) -> Iterator[str]:
        """The paths of all receipts."""
        return (held.entry.path for held in self._held.values())

    def reload(self, run_id: str, path: str) -> None:
        """Have the receipt of a run that was written since."""
        entry = self._destination.find(path)
        held = None if entry is None else self._read_entry(entry)
        if held is not None:
            self._held[run_id] = held
            self.is_current = False

    def receipts(self) -> Iterator[tuple[Entry, str, Receipt]]:
        """Yield each receipt with its object and its text, those of the newest runs first."""
        indexed = (held for held in self._held.values() if held.group >= 0)
        fresh = (held for held in self._held.values() if held.group < 0)
        streams = [sorted(each, key=lambda held: held.order) for each in (indexed, fresh)]
        for held in heapq.merge(*streams, key=lambda held: held.order):
            text = self._text(held)
            yield held.entry, text, Receipt.parse(text)

    def _indexed(self) -> Iterator[Held]:
        """Yield what the index file holds; nothing where it cannot be read."""
        try:
            with self._destination.open(self._path) as file, pq.ParquetFile(file) as parquet:
                for group in range(parquet.num_row_groups):
                    table = parquet.read_row_group(group, columns=list(_LIGHT))
                    columns = table.set_column(
                        table.schema.get_field_index("created_at"),
                        "created_at",
                        table["created_at"].cast(schemas.INT),
                    ).to_pydict()
                    for row, found in enumerate(zip(*(columns[n] for n in _LIGHT), strict=True)):
                        run_id, path, size, version, created = found
                        yield Held(created or 0, run_id, Entry(path, size, version), group, row)
        except (OSError, pa.ArrowInvalid, KeyError):
            return

    def _read_changed(self, changed: Mapping[Entry, Held | None]) -> None:
        """Read receipts that are not in the index, several at a time; it may have others of them."""
        self.is_current &= not changed
        entries = list(changed)
        parts = [entries[i : i + _AT_ONCE] for i in range(0, len(entries), _AT_ONCE)]
        with ThreadPoolExecutor(JOBS) as pool:
            read = chain.from_iterable(
                pool.map(lambda part: list(map(self._read_entry, part)), parts)
            )
            for (entry, known), held in zip(changed.items(), read, strict=True):
                if held is None and known is not None:
                    self._spare[entry.path] = known
                if found := held or known:
                    self._held[found.run_id] = found

    def _read_entry(self, entry: Entry) -> Held | None:
        try:
            receipt = Receipt.parse(self._destination.read(entry.path))
        except (OSError, ValueError) as error:
            self.broken[entry.path] = f"it is no receipt: {quote(str(error))}"
            return None
        return Held(receipt.row.get("created_at") or 0, receipt.run_id, entry, -1, 0)

    def _text(self, held: Held) -> str:
        if held.group < 0:
            return self._destination.read(held.entry.path).decode()
        return self._read_group(held.group)[held.row]

    def _read_group_once(self, group: int) -> list[str]:
        with self._destination.open(self._path) as file, pq.ParquetFile(file) as parquet:
            table = parquet.read_row_group(group, columns=["receipt_json"])
        found: list[str] = table["receipt_json"].to_pylist()
        return found
