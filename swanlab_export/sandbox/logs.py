"""Console logs, one shard at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    refuse,
    refuse_left_out,
    require_project,
)
from swanlab_export.sandbox.references import data_run

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State

_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2, "ERROR": 3}


def log_shard(state: State) -> Response:
    """The lines of one shard, from a level on."""
    current_user(state)
    args = request.args
    require_project(state, args.get("projectId"))
    reference: dict[str, object] = {
        name: args[name]
        for name in ("projectId", "experimentId", "rootProId", "rootExpId")
        if name in args
    }
    if "createdAt" in args:
        is_number = args["createdAt"].isdigit()
        reference["createdAt"] = int(args["createdAt"]) if is_number else None
    run = data_run(state, reference)
    refuse_left_out(state, run, "logs")
    level = _LEVELS.get(args.get("level", "INFO"))
    size, shard = args.get("size", ""), args.get("epoch", "")
    if level is None or not size.isdigit() or not shard.isdigit():
        refuse(400, "invalid level, size or epoch", "Bad_Request")
    if run is None:
        return jsonify({"logs": None, "count": 0})
    places = state.data.lines_above(run, [name for name, rank in _LEVELS.items() if rank < level])
    start = int(shard) * int(size)
    shown = places[start : start + int(size)]
    count = len(shown) if state.faults.has("shard-count") else len(places)
    return jsonify({"logs": state.data.lines(run, shown) or None, "count": count})
