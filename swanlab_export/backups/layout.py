"""Where everything lies in a backup, which is format 1; readers find paths in index and receipts.

What lies under ``tables/`` is what is true now, so that any reader of Parquet reads it as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import orjson

from swanlab_export._version import __title__, __version__
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote, shell_word
from swanlab_export.normalizers.values import exact_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swanlab_export.backups.destination import Destination

FORMAT = 1
FORMAT_FILE = "swanlab-backup.json"
README_FILE = "README.md"
PROJECTS_FILE = "state/projects.json"
LOCK_FILE = "state/lock.json"
# There while runs are being written: where a backup finds it, the one before was interrupted.
UNFINISHED_FILE = "state/unfinished.json"
TEMPORARY = "state/tmp"
SNAPSHOTS = "state/snapshots"
RECEIPTS = "state/receipts"
# The tables that are chosen by name; the first three come without a request of their own.
FREE_TABLES = ("runs", "configs", "summary")
CHOSEN_TABLES = ("columns", "metrics", "logs", "medias")
PROJECT_TABLES = (*FREE_TABLES, "columns")
RUN_TABLES = ("metrics", "logs", "medias")

_NAME_BYTES_MAX = 100
# Readers of folders skip names that begin with . or _, and take = for a column.
_PLAIN = re.compile(r"[0-9A-Za-z+(,@-][0-9A-Za-z._+(),@ -]*(?<![. ])")
_OTHER = re.compile(r"[^0-9A-Za-z._+(),@ -]")
# Names of devices on Windows, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)\d|con(in|out)\$) *(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Make a name that every file system and every reader of Parquet takes as one.

    >>> safe_name("digits"), safe_name("a=1")
    ('digits', 'a-1~c22fea5d7428e5cf')
    """
    is_plain = _PLAIN.fullmatch(name) and len(name) <= _NAME_BYTES_MAX
    return name if is_plain and not _RESERVED.fullmatch(name) else marked_name(name)


def marked_name(name: str, mark: str = "") -> str:
    """A safe name with a mark behind it, by default the hash of the name.

    >>> marked_name("nul.png", "1")
    '-ul.png~1'
    """
    plain = _OTHER.sub("-", name)[: _NAME_BYTES_MAX // 2].rstrip(". ")
    first = plain if _PLAIN.match(plain) and not _RESERVED.fullmatch(plain) else f"-{plain[1:]}"
    return f"{first}~{mark or hashlib.sha256(name.encode()).hexdigest()[:16]}"


class Names:
    """Names in one folder, of which no two are equal where upper and lower case are.

    Args:
        taken: The names that are in use.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}

    def take(self, name: str, mark: str = "") -> str:
        """Find a name that is safe and free.

        Args:
            name: What it is called.
            mark: What tells it from another one of its very name; without one that is the hash.
        """
        candidates = [safe_name(name), marked_name(name, mark and safe_name(mark))]
        if mark:
            candidates.append(marked_name(f"{name}/{mark}"))
        found = next(each for each in candidates if each.casefold() not in self._taken)
        self._taken.add(found.casefold())
        return found


def run_object(table: str, folder: str, file: str) -> str:
    """The path of one run's object of a table."""
    return f"tables/{table}/{folder}/{file}.parquet"


def project_object(table: str, folder: str) -> str:
    """The path of one project's object of a table."""
    return f"tables/{table}/{folder}.parquet"


def run_file(path: str, folder: str) -> str:
    """What the objects of a run are called in the folder of its project, from the path of one.

    >>> run_file("files/a/b/x.json/1.png", "a/b"), run_file("state/payloads/a/b/x.json.zst", "a/b")
    ('x.json', 'x')
    """
    first, is_folder, _ = path.partition(f"/{folder}/")[2].partition("/")
    if is_folder:
        return first
    return first.removesuffix(".zst").removesuffix(".json").removesuffix(".parquet")


def receipt_path(folder: str, file: str) -> str:
    """The path of one run's receipt."""
    return f"{RECEIPTS}/{folder}/{file}.json"


def payload_path(folder: str, file: str) -> str:
    """The path of what the server sent of one run."""
    return f"state/payloads/{folder}/{file}.json.zst"


def kept_folder(folder: str, file: str) -> str:
    """The folder of versions of one run that were refused."""
    return f"state/kept/{folder}/{file}"


def index_path(folder: str) -> str:
    """The path of one project's index."""
    return f"state/index/{folder}.parquet"


def dump_json(value: Any) -> bytes:
    """JSON as it is written in a backup: equal values give equal bytes."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return exact_json(value, options)


def check_format(destination: Destination, host: str | None) -> dict[str, Any] | None:
    """Read which backup a destination holds; None where it is still empty.

    Args:
        destination: Where it is.
        host: The server that is about to be backed up; None to read only.

    Raises:
        UsageError: It holds something else, a newer format, or a backup of another server.
    """
    where = quote(str(destination))
    try:
        # It is not looked for first: how stores refuse to look says less about what is wrong.
        content = destination.read(FORMAT_FILE)
    except (FileNotFoundError, NotADirectoryError):
        if host is None:
            raise UsageError(f"{where} holds no backup: {FORMAT_FILE} is missing") from None
        if not destination.is_empty():
            raise UsageError(
                f"{where} is not empty and holds no backup: give an empty folder, or a new one"
            ) from None
        return None
    try:
        found = orjson.loads(content)
        number = int(found["format"])
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{where}: {FORMAT_FILE} cannot be read: {_verify(destination)}") from None
    if number > FORMAT:
        raise UsageError(
            f"{where} holds a backup in format {number}, and this version reads format {FORMAT}: "
            f"install a newer {__title__}"
        )
    if host is not None and found.get("host") != host:
        raise UsageError(
            f"{where} holds a backup of {found.get('host')}, not of {host}: give each server a "
            f"{argument('to')} of its own"
        )
    return dict(found)


def _verify(destination: Destination) -> str:
    where = shell_word(str(destination))
    return f"`{__title__} backup verify {where} --repair` writes it again"


def format_content(host: str, web_host: str, created_at: str) -> dict[str, Any]:
    """What the file says that tells a backup from other folders."""
    return {
        "format": FORMAT,
        "host": host,
        "web_host": web_host,
        "created_at": created_at,
        "program": f"{__title__} {__version__}",
    }
