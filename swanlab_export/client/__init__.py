"""Requests to one server: a request is a value, and sending it is one method."""

from swanlab_export.client.calls import Call, current_call
from swanlab_export.client.capabilities import (
    NOT_CHECKED,
    NOT_TOLD,
    NotOfferedError,
    is_not_told,
)
from swanlab_export.client.client import Client, Login
from swanlab_export.client.download import Download
from swanlab_export.client.probe import ProbingClient
from swanlab_export.client.request import Request
from swanlab_export.client.response import is_refusal, media_type

__all__ = [
    "NOT_CHECKED",
    "NOT_TOLD",
    "Call",
    "Client",
    "Download",
    "Login",
    "NotOfferedError",
    "ProbingClient",
    "Request",
    "current_call",
    "is_not_told",
    "is_refusal",
    "media_type",
]
