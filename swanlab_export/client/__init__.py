"""Requests to one server: a request is a value, and sending it is one method."""

from swanlab_export.client.client import Client, Login
from swanlab_export.client.download import Download
from swanlab_export.client.request import Request
from swanlab_export.client.response import MAX_RESPONSE_BYTES

__all__ = ["MAX_RESPONSE_BYTES", "Client", "Download", "Login", "Request"]
