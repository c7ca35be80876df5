"""Which generation of servers each endpoint came with, where its path names no object.

A server that lacks such an endpoint responds 404, as it does for an object that does not exist.
Endpoints that are not listed are offered by every server that is known of.
"""

from __future__ import annotations

from typing import Any

from swanlab_export.client import Request

SINCE = {
    "GET /self_hosted/info": "2.6",
    "GET /self_hosted/users": "2.6",
    "POST /self_hosted/users": "2.6",
    "GET /user/profile": "2.8",
    "GET /self_hosted/projects": "2.8",
    "GET /self_hosted/groups": "2.8",
    "GET /self_hosted/summary": "2.8",
    "GET /house/metrics/log": "2.8",
    "POST /house/metrics/log/export": "2.8",
    "POST /house/metrics/media": "2.8",
    "POST /house/metrics/f_media": "2.8",
    "POST /house/metrics/scalar": "2.8",
    "POST /house/metrics/summaries": "2.8",
    "POST /house/metrics/scalar/export": "3.1",
    "POST /house/metrics/scalar/keys": "3.1",
    "POST /house/metrics/media/keys": "3.1",
    "POST /house/metrics/scalar/availability": "3.1",
    "POST /house/metrics/media/availability": "3.1",
}


def fixed(method: str, path: str, **rest: Any) -> Request:
    """A request whose path names no object, so that 404 means that the server lacks it."""
    return Request(method, path, since=SINCE[f"{method} {path}"], **rest)
