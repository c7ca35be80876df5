"""Which keys a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify

from swanlab_export.sandbox.access import refuse, refuse_not_found
from swanlab_export.sandbox.references import body_of, check_reference, data_run
from swanlab_export.sandbox.summaries import references_of

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State


def keys(state: State, kind: str) -> Response:
    """A page of the keys of some runs, with the cursor of the next page."""
    body = body_of(state)
    found = list(dict.fromkeys(k for _, having in _keys_of(state, kind, body) for k in having))
    limit = body.get("limit")
    if not isinstance(limit, int) or not 1 <= limit <= 2000:
        refuse(400, "limit must be 1 to 2000", "Bad_Request")
    start = int(body.get("cursor") or 0)
    # Smaller pages than asked for: a client that stops after the first one shows its mistake.
    end = start + min(limit, 5)
    has_more = end < len(found)
    return jsonify(
        {
            "keys": found[start:end],
            "hasMore": has_more,
            "nextCursor": str(end) if has_more else "",
        }
    )


def availability(state: State, kind: str) -> Response:
    """Which of the runs have which of the keys."""
    body = body_of(state)
    having = _keys_of(state, kind, body)
    wanted = body.get("keys") or []
    return jsonify({key: [run_id for run_id, keys in having if key in keys] for key in wanted})


def _keys_of(state: State, kind: str, body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    if kind not in {"scalar", "media"}:
        refuse_not_found()
    find = state.data.keys if kind == "scalar" else state.data.media_keys
    found = []
    for reference in references_of(body):
        run = data_run(state, reference)
        found.append((check_reference(state, reference), [] if run is None else find(run)))
    return found
