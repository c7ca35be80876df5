"""What a client learns of its server from responses."""

from __future__ import annotations

import pytest

from swanlab_export.client import NotOfferedError, Request
from swanlab_export.client.capabilities import Capabilities

OLD, NEW, NEWEST = (
    Request("GET", f"/{generation}", since=generation) for generation in ("2.6", "2.8", "3.1")
)


@pytest.mark.parametrize(
    ("seen", "generation"),
    [
        ([], "2.6+"),
        ([(OLD, 200)], "2.6+"),
        ([(NEW, 200)], "2.8+"),
        ([(NEW, 404)], "2.6"),
        ([(NEWEST, 404)], "2.6"),
        ([(NEWEST, 404), (NEW, 200)], "2.8"),
        ([(NEWEST, 200), (NEW, 404)], "3.1"),
        ([(NEWEST, 500), (NEW, 400)], "2.6+"),
    ],
)
def test_the_generation_follows_from_the_endpoints(
    seen: list[tuple[Request, int]], generation: str
) -> None:
    """It is that of the newest endpoint which the server offers; a plus says that it may be newer."""
    found = Capabilities()
    for request, status in seen:
        try:
            found.judge(request, status)
        except NotOfferedError:
            assert status == 404
    assert found.generation == generation
