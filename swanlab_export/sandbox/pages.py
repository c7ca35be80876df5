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
    items = _move(state, items)
    start = (int(page) - 1) * int(size)
    shown = [show(item) for item in items[start : start + int(size)]]
    body = {
        "list": shown or None,
        "size": int(size),
        "pages": -(-len(items) // int(size)),
        "total": len(items) + state.faults.total_off,
    }
    return jsonify(body)


def _move(state: State, items: Sequence[Any]) -> Sequence[Any]:
    """Change the list after each page, where that fault is on."""
    faults = state.faults
    kind = faults.choice.get("moving")
    if kind is None or len(items) < 2 or not faults.is_meant(request.path):
        return items
    with state.lock:
        served = state.pages_served
        # A list that has moved as often as it may stays as it is then.
        state.pages_served += bool(faults.chosen("moving", request.path))
    if kind == "shrink":
        return items[min(served, len(items) - 1) :]
    newest = [
        {**items[0], "cuid": f"new{i}", "slug": None, "name": f"new {i}"} for i in range(served)
    ]
    return [*newest, *items]
