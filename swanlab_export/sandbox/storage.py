"""Exported files and media, for requests that carry a presigned URL's signature."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from flask import Response, request

if TYPE_CHECKING:
    import socket

    from swanlab_export.sandbox.data import Data
    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State

_PIECE_BYTES = 1 << 20


def send_file(state: State, leak_status: int, name: str) -> Response:
    """Send a file, or refuse: a storage wants the signature and no credentials beside it."""
    leaks = request.headers.get("cookie") or request.headers.get("authorization")
    if leaks and not state.faults.has("lenient"):
        return _refuse(leak_status, "InvalidArgument")
    expired = state.faults.hits("expire", request.path)
    if request.args.get("X-Amz-Signature") != state.signature(name) or expired:
        return _refuse(403, "AccessDenied")
    kind, content = state.files.get(name, ("", None))
    found = _content(state.data, _version(state.data, kind, content), kind, content)
    if found is None:
        return _refuse(404, "NoSuchKey")
    body, checksum = found
    if kind == "csv":
        body = _distort(body, state.faults.chosen("csv", request.path))
    return _send(state, body, checksum)


def _refuse(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status, mimetype="application/xml")


def _version(data: Data, kind: str, what: Any) -> Any:
    """Another value whenever a file is to be built anew."""
    if not kind:
        return None
    return data.version([run for run, _, _ in what] if kind == "csv" else what[:1])


@lru_cache(maxsize=4)
def _content(data: Data, version: Any, kind: str, what: Any) -> tuple[bytes, int] | None:
    """What a file holds, and a checksum of it."""
    del version
    body = _build(data, kind, what) if kind else None
    return None if body is None else (body, zlib.crc32(body))


def _build(data: Data, kind: str, what: Any) -> bytes | None:
    if kind == "csv":
        return build_csv(data, what)
    if kind == "media":
        run, path = what
        return None if run is None else data.media_file(run, path)
    run, start, rows = what
    if run is None:
        return b""
    places = data.lines_above(run, ())[start : start + rows]
    return "".join(f"{line['message']}\n" for line in data.lines(run, places)).encode()


def build_csv(data: Data, columns: tuple[tuple[Run | None, str, str], ...]) -> bytes:
    """Write the exported file: one row per step, a value and a time per column."""
    found = [None if run is None else data.points(run, key) for run, key, _ in columns]
    header = ["step"]
    for _, key, name in columns:
        header += [_quoted(f"{name}-{key}_step"), _quoted(f"{name}-{key}_timestamp")]
    last = max((pc.max(p["step"]).as_py() or 0 for p in found if p is not None), default=0)
    bits = int(last).bit_length()
    present = [_places(points, bits) for points in found if points is not None]
    first = ",".join(header).encode() + b"\n"
    if not present:
        return first
    rows = pc.unique(pa.chunked_array(present))
    rows = rows.take(pc.sort_indices(rows))
    has_decimals = any(p is not None and pa.types.is_floating(p["step"].type) for p in found)
    end = ".0" if has_decimals else ""
    parts = [first]
    for start in range(0, len(rows), 200_000):
        piece = rows.slice(start, 200_000)
        steps = pc.bit_wise_and(piece, (1 << bits) - 1).cast(pa.string())
        cells = [pc.binary_join_element_wise(steps, end, "") if end else steps]
        for points in found:
            cells += _cells(points, piece, bits)
        lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*cells, ","), "", "\n")
        parts.append(
            pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")[0]
            .as_buffer()
            .to_pybytes()
        )
    return b"".join(parts)


def _places(points: dict[str, pa.Array], bits: int) -> pa.Array:
    """The row of each point: its step; where a step comes again, as in a resumed run, behind all.

    No step has more than ``bits`` bits; those above count how often the step was there before.
    """
    steps = points["step"].cast(pa.int64())
    if pc.all(pc.greater(steps[1:], steps[:-1])).as_py() in {True, None}:
        return steps
    numbers, count = steps.to_numpy(), np.arange(len(steps))
    order = np.argsort(numbers, kind="stable")
    is_first = np.diff(numbers[order], prepend=-1) != 0
    again = count - np.maximum.accumulate(np.where(is_first, count, 0))
    if int(again.max()) >> (63 - bits):
        raise ValueError("so large a step cannot be there so often")
    places = numbers.copy()
    places[order] += again << bits
    return pa.array(places)


def _cells(points: dict[str, pa.Array] | None, rows: pa.Array, bits: int) -> list[pa.Array]:
    if points is None:
        return [pa.repeat(pa.scalar(""), len(rows))] * 2
    at = pc.index_in(rows, value_set=_places(points, bits))
    values, times = points["value"].take(at), points["timestamp"].take(at)
    text = values.cast(pa.string())
    text = pc.if_else(pc.is_nan(values), "NaN", text)
    text = pc.if_else(pc.is_inf(values), pc.if_else(pc.greater(values, 0.0), "Inf", "-Inf"), text)
    if "text" in points:
        text = pc.coalesce(points["text"].take(at), text)
    return [pc.fill_null(text, ""), pc.fill_null(times.cast(pa.string()), "")]


def _quoted(name: str) -> str:
    if any(char in name for char in ',"\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def _distort(body: bytes, kind: str) -> bytes:
    """Distort an exported file, where that fault is on."""
    if kind == "empty":
        return b""
    if not kind:
        return body
    # A key in the header may hold a comma.
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    if kind == "reordered":
        rows = [[row[0], *row[3:], *row[1:3]] for row in rows]
    elif kind == "missing":
        rows = [row[:-2] for row in rows]
    elif kind == "half":
        rows = rows[: len(rows) // 2]
    elif kind == "short":
        rows[len(rows) // 2] = rows[len(rows) // 2][:-1]
    else:
        rows[len(rows) // 2][0] = "many"
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def _send(state: State, body: bytes, checksum: int) -> Response:
    tag = f'"{checksum:x}-{len(body)}"'
    headers = {"ETag": tag, "Content-Type": "application/octet-stream"}
    status = 200
    if state.faults.has("gzip"):
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    wanted = request.range if request.headers.get("if-range") in {None, tag} else None
    if wanted and len(wanted.ranges) == 1 and not state.faults.has("noranges"):
        span = wanted.range_for_length(len(body))
        if span is None:
            return Response("", 416, {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{len(body)}"
        body, status = body[span[0] : span[1]], 206
    cut = state.faults.chosen("cut", request.path)
    sent = body[: int(len(body) * state.faults.cut_at)] if cut else body
    if cut == "neither" or state.faults.has("nolength"):
        connection = request.environ["werkzeug.socket"]
        send = partial(_send_until_close, connection, sent, status, headers)
        return Response(iter(send, None), status)
    response = Response(_pieces(sent, is_cut=bool(cut)), status, headers)
    if cut != "chunked":
        response.headers["Content-Length"] = str(len(body))
    return response


def _pieces(body: bytes, *, is_cut: bool) -> Any:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
    if is_cut:
        # The connection is dropped, without a last chunk.
        raise ConnectionAbortedError("cut, as the fault asks")


def _send_until_close(
    connection: socket.socket, body: bytes, status: int, headers: dict[str, str]
) -> bytes:
    """Send a response with neither a content length nor chunks: the close is its end."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"HTTP/1.1 {status} OK\r\nConnection: close\r\n" + "".join(lines) + "\r\n"
    connection.sendall(head.encode() + body)
    raise ConnectionAbortedError("the end of this response is the end of its connection")
