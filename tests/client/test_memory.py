"""Large responses are fetched ahead by their size, not by their number."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from raw_server import Asked, RawServer, reply_json, reply_login

from swanlab_export.client import Request

MEGABYTE = "x" * 1024**2


@pytest.mark.parametrize(("megabytes", "count", "ahead"), [(0, 30, 15), (2, 8, 2), (9, 4, 0)])
def test_responses_ahead_are_limited_by_their_size(megabytes: int, count: int, ahead: int) -> None:
    """While one is worked on, 15 small ones are fetched, a few large ones, and no huge one."""
    body = MEGABYTE * megabytes

    def serve(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json(body)

    with RawServer(serve) as server, server.client(jobs=8) as client:
        # As of the first page of a list, its size is known when the others are requested.
        client.send(Request("GET", "/first"))
        payloads = client.map(client.send, [Request("GET", "/next")] * count)
        assert [len(next(payloads)), len(next(payloads))] == [len(body)] * 2
        until = time.monotonic() + 30
        while len(server.of("/api/next")) < 2 + ahead and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.1)  # in which one more would come
        assert len(server.of("/api/next")) == 2 + ahead
        assert sum(1 for _ in payloads) == count - 2


def test_small_responses_after_large_ones() -> None:
    """After a few huge responses, small ones are fetched with all jobs again."""
    together = threading.Barrier(4, timeout=60)

    def serve(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        number = int(asked.path.rpartition("/")[2])
        if number >= 12:
            together.wait()
        return reply_json(MEGABYTE * 9 if number < 2 else "small")

    requests = [Request("GET", f"/{number}") for number in range(24)]
    with RawServer(serve) as server, server.client(jobs=4, retries=0) as client:
        found: list[Any] = list(client.map(client.send, requests))
    assert found[2:] == ["small"] * 22
