"""Media of runs, by step and all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify

from swanlab_export.sandbox.references import body_of, columns_of, data_id

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State


def media_of_step(state: State) -> Response:
    """The media of one step, the first by default, and the steps that there are."""
    body = body_of(state)
    items = _items(state, columns_of(body, None))
    steps = sorted({item["step"] for item in items})
    step = body.get("step")
    step = steps[0] if step is None and steps else step
    metrics = [
        {"key": item["key"], "data": item["data"], "more": item["more"]}
        for item in items
        if item["step"] == step
    ]
    shown = None if state.faults.has("nulls") else metrics or None
    return jsonify({"steps": steps, "step": step, "metrics": shown})


def media_of_all_steps(state: State) -> Response:
    """The media of every step of each key; null for a key without media."""
    columns = columns_of(body_of(state), None)
    items = _items(state, columns)
    response: list[Any] = []
    is_null = state.faults.has("nulls")
    for ref in reversed(columns):
        metrics = [
            {"index": item["step"], "data": item["data"], "more": item["more"]}
            for item in items
            if item["key"] == ref["key"]
        ]
        shown = {"key": ref["key"], "metrics": metrics} if metrics and not is_null else None
        response.append(shown)
    return jsonify(response)


def _items(state: State, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {(data_id(state, ref), ref["key"]) for ref in columns}
    return [item for item in state.data.media if (item["runId"], item["key"]) in wanted]
