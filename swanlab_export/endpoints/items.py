"""Which item a payload is: for lists that repeat items, and for responses about something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.errors import ServerError
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence


def identify_by(name: str) -> Callable[[Any], Hashable]:
    """A function that tells items apart by their field ``name``, else by their whole content."""

    def identify(item: Any) -> Hashable:
        found = item.get(name) if isinstance(item, dict) else None
        return found if isinstance(found, str | int) else repr(item)

    return identify


def check_same(
    payload: Any, names: Sequence[str], asked: str, what: str, *, ignores_case: bool = True
) -> None:
    """Insist that a payload is about what was asked for, where it has all fields that say so.

    Args:
        payload: The response.
        names: Fields of which one must be ``asked``.
        asked: Which one was asked for.
        what: What it is, for the message.
        ignores_case: Upper and lower case count as equal, as in the database of many servers.

    Raises:
        ServerError: All of the fields are there, and none is ``asked``.
    """
    fields = [payload.get(name) for name in names] if isinstance(payload, dict) else []
    found = [each for each in fields if isinstance(each, str) and each]
    compared = str.casefold if ignores_case else str
    if len(found) == len(names) and compared(asked) not in map(compared, found):
        raise ServerError(f"the server sent {what} {quote(found[0])}, not {quote(asked)}")
