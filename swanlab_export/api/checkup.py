"""Every endpoint asked once: whether it is there, and where its payload is not as declared."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from swanlab_export.api.suggestions import suggest
from swanlab_export.client import Download, ProbingClient, is_refusal, media_type
from swanlab_export.decoding import decode
from swanlab_export.endpoints.checks import CHECKS, Check, Facts, learn
from swanlab_export.endpoints.shapes import differences
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.limits import GENERATIONS

if TYPE_CHECKING:
    from swanlab_export.api.context import Context
    from swanlab_export.client.probe import Exchange
    from swanlab_export.client.response import Response
    from swanlab_export.normalizers.flatten import Row
    from swanlab_export.refs import RunRef

_SHOWN = 20
# The codes of servers are such words; anything else might be a value.
_CODE = re.compile(r"[A-Z][A-Za-z]{1,20}(_[A-Z][A-Za-z]{1,20}){0,4}")
_KINDS_SHOWN = {"text/html", "text/plain", "application/json", "application/xml"}
_OK, _DIFFERS, _MISSING, _REFUSED = "as declared", "differs", "missing", "refused"
_FAILED, _NOT_ASKED = "failed", "not asked"
# Forms of a request that was refused in its newest one.
_OLDER, _UNDATED = " (older form)", " (without creation times)"


def ask_endpoints(context: Context, ref: RunRef) -> list[Row]:
    """Ask every endpoint that reads once, for one run; the rows of the table.

    Raises:
        NotFoundError: There is no such run.
    """
    facts = Facts(ref)
    rows: list[Row] = []
    ours = context.client
    limits = {"timeout_s": ours.timeout_s, "max_response_bytes": ours.max_response_bytes}
    with (
        ProbingClient(ours.settings, **limits) as client,
        context.progress.bar("endpoints", total=len(CHECKS), unit="endpoints") as bar,
    ):
        for check in CHECKS:
            with suggest(context, ref):
                rows += _rows(client, check, facts)
            bar.add(1)
    return rows


def _rows(client: ProbingClient, check: Check, facts: Facts) -> list[Row]:
    """Ask one endpoint: a row, and another one where the request was repeated in its older form.

    Raises:
        NotFoundError: It is the run itself, or its project, that is not there.
    """
    row: Row = {"endpoint": check.endpoint, "generation": check.generations}
    if unknown := [name for name in check.needs if not getattr(facts, name)]:
        return [row | {"result": _NOT_ASKED, "differences": f"unknown: {', '.join(unknown)}"}]
    client.exchanges.clear()
    error: SwanlabExportError | None = None
    began = time.monotonic()
    try:
        found = check.ask(client, facts)
        if isinstance(found, Download):
            next(iter(found), b"")
            return [_file_row(row, began, found, None)]
    except SwanlabExportError as failure:
        if check.is_required and isinstance(failure, NotFoundError):
            raise
        if check.is_file:
            return [_file_row(row, began, None, failure)]
        error = failure
    # The client asks for nothing where it has to know whether an endpoint or an object is missing.
    asked = [each for each in client.exchanges[1:] if each.request.body or each.request.params]
    rows = [
        row | _describe(exchange, check, facts, error)
        for exchange in [*client.exchanges[:1], *asked]
    ]
    for older, exchange in zip(rows[1:], asked, strict=True):
        if exchange.request.since:
            older["endpoint"] = check.endpoint + _UNDATED
        else:
            older["endpoint"] = check.endpoint + _OLDER
            older["generation"] = f"only {GENERATIONS[0]}"
    return rows


def _describe(
    exchange: Exchange, check: Check, facts: Facts, error: SwanlabExportError | None
) -> Row:
    """Say what came, and learn from it."""
    response = exchange.response
    row: Row = {"took_ms": round(exchange.took_ms, 1)}
    if response is None:
        return row | {"result": _FAILED, "differences": "no response"}
    row |= {"status": response.status, "size_bytes": len(response.body)}
    if response.status >= 300:
        is_missing = response.status in {404, 405, 501}
        result = _MISSING if is_missing else _FAILED if response.status >= 500 else _REFUSED
        return row | {"result": result, "differences": _describe_refusal(response)}
    try:
        payload = decode(response.body) if response.status != 204 else None
    except ValueError:
        return row | {"result": _DIFFERS, "differences": _describe_body(response)}
    if is_refusal(payload):
        return row | {"result": _REFUSED, "differences": _describe_refusal(response)}
    learn(check, facts, payload)
    found = differences(payload, check.shape, facts.private_names())
    if error is not None:
        found.append("this program refuses it")
    shown = "; ".join(found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return row | {"result": _DIFFERS if found else _OK, "differences": shown + more or None}


def _describe_refusal(response: Response) -> str | None:
    """Say what kind of refusal it is: its code, if that is one, and nothing of its message."""
    try:
        payload = decode(response.body)
    except ValueError:
        return _describe_body(response)
    code = payload.get("code") if isinstance(payload, dict) else None
    return f"code {code}" if isinstance(code, str) and _CODE.fullmatch(code) else None


def _describe_body(response: Response) -> str:
    kind = media_type(response.headers)
    what = kind if kind in _KINDS_SHOWN else "something else" if response.body else "empty"
    return f"the body is {what}, not JSON"


def _file_row(
    row: Row, began: float, file: Download | None, error: SwanlabExportError | None
) -> Row:
    """Say whether a presigned file could be had; only its first bytes are read."""
    known: Row = {"took_ms": round((time.monotonic() - began) * 1000, 1)}
    if file is not None:
        has_end = None if file.has_length else "it has neither a length nor chunks"
        known |= {"status": 200, "size_bytes": file.size_bytes, "differences": has_end}
        return row | known | {"result": _OK if file.has_length else _DIFFERS}
    status = error.status if error is not None else None
    return row | known | {"status": status, "result": _FAILED}


def summarize(rows: list[Row]) -> str:
    """Say in one line of which generation the server seems to be, and what of it is missing."""
    came = {
        str(row["endpoint"]).removesuffix(_UNDATED)
        for row in rows
        if row["result"] in {_OK, _DIFFERS}
    }
    missing = {row["endpoint"] for row in rows if row["result"] == _MISSING}
    generation = max(
        (check.since for check in CHECKS if check.endpoint in came), default=GENERATIONS[0]
    )
    lacks = [
        check.endpoint for check in CHECKS if check.is_of(generation) and check.endpoint in missing
    ]
    differ = sum(row["result"] == _DIFFERS for row in rows)
    others = sum(row["result"] in {_REFUSED, _FAILED} for row in rows)
    return (
        f"this server responds as one of generation {generation} does; "
        f"of that, missing: {', '.join(lacks) or 'nothing'}; differing: {differ}; refused or failed: {others}"
    )
