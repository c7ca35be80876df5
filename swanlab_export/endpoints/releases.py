"""Which release each endpoint came with, where its path names no object.

A server that lacks such an endpoint responds 404, as it does for an object that does not exist.
Endpoints that are not listed are offered by every server that is known of.
"""

from __future__ import annotations

from typing import Any

from swanlab_export.client import Request

_FEBRUARY = "client 0.7.7 (February 2026)"
_JUNE = "client 0.8.0 (June 2026)"
_JULY = "client 0.9.0 (July 2026)"
SINCE = {
    "GET /self_hosted/info": _FEBRUARY,
    "GET /self_hosted/users": _FEBRUARY,
    "POST /self_hosted/users": _FEBRUARY,
    "GET /user/profile": _JUNE,
    "GET /self_hosted/projects": _JUNE,
    "GET /self_hosted/groups": _JUNE,
    "GET /self_hosted/summary": _JUNE,
    "GET /house/metrics/log": _JUNE,
    "POST /house/metrics/log/export": _JUNE,
    "POST /house/metrics/media": _JUNE,
    "POST /house/metrics/f_media": _JUNE,
    "POST /house/metrics/scalar": _JUNE,
    "POST /house/metrics/summaries": _JUNE,
    "POST /house/metrics/scalar/export": _JULY,
    "POST /house/metrics/scalar/keys": _JULY,
    "POST /house/metrics/media/keys": _JULY,
    "POST /house/metrics/scalar/availability": _JULY,
    "POST /house/metrics/media/availability": _JULY,
}


def fixed(method: str, path: str, **rest: Any) -> Request:
    """A request whose path names no object, so that 404 means that the server lacks it."""
    return Request(method, path, since=SINCE[f"{method} {path}"], **rest)
