"""Lists, one page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Response

    from swanlab_export.sandbox.state import State

PAGE_SIZES = (10, 12, 15, 20, 24, 27, 50, 100)


def page_of(state: State, items: Sequence[Any], show: Callable[[Any], Any]) -> Response:
    """Respond with the page of a list that ``?page=&size=`` asks for."""
    page = request.args.get("page", "1")
    size = request.args.get("size", "20")
    if not page.isdigit() or int(page) < 1 or not size.isdigit() or int(size) not in PAGE_SIZES:
        refuse(400, "invalid page or size", "Bad_Request")
    added, gone = _moved(state, len(items))
    count = added + len(items) - gone
    start = (int(page) - 1) * int(size)

    def show_place(place: int) -> Any:
        if place < added:
            return show(items[0]) | {"cuid": f"new{place}", "slug": None, "name": f"new {place}"}
        return show(items[place - added + gone])

    body = {
        "list": [show_place(place) for place in range(count)[start : start + int(size)]] or None,
        "size": int(size),
        "pages": -(-count // int(size)),
        "total": count + state.faults.total_off,
    }
    return jsonify(body)


def _moved(state: State, count: int) -> tuple[int, int]:
    """How many items have been added to and removed from the front of a list by that fault."""
    faults = state.faults
    kind = faults.choice.get("moving")
    if kind is None or count < 2 or not faults.is_meant(request.path):
        return 0, 0
    with state.lock:
        served = state.pages_served
        # A list that has moved as often as it may stays as it is then.
        state.pages_served += bool(faults.chosen("moving", request.path))
    return (served, 0) if kind == "grow" else (0, min(served, count - 1))
