"""Media of runs, by step and all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify

from swanlab_export.sandbox.access import refuse_left_out
from swanlab_export.sandbox.generations import has_texts_inside
from swanlab_export.sandbox.references import body_of, columns_of, data_run

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State


def media_of_step(state: State) -> Response:
    """The media of one step, the first by default, and the steps that there are."""
    body = body_of(state)
    items = _items(state, body, columns_of(body, None))
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
    body = body_of(state)
    columns = columns_of(body, None)
    items = _items(state, body, columns)
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


def _items(
    state: State, body: dict[str, Any], columns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    wanted: dict[Run | None, set[str]] = {}
    for ref in columns:
        run = data_run(state, ref, body["projectId"])
        refuse_left_out(state, run, "medias")
        wanted.setdefault(run, set()).add(ref["key"])
    return [
        _show(state, run, item)
        for run, keys in wanted.items()
        if run is not None
        for item in state.data.media(run)
        if item["key"] in keys
    ]


def _show(state: State, run: Run, item: dict[str, Any]) -> dict[str, Any]:
    """An item as this generation of servers keeps it: older ones keep texts, not their files."""
    if not has_texts_inside(state.generation):
        return item
    return item | {"data": [_text_of(state, run, path) for path in item["data"] or []]}


def _text_of(state: State, run: Run, path: str) -> str:
    is_text = isinstance(path, str) and path.endswith(".txt")
    content = state.data.media_file(run, path) if is_text else None
    return path if content is None else content.decode()
