"""The way to the server: a request is data, sending it is one function."""

from swanlab_export.client.client import Client, Login
from swanlab_export.client.download import Download
from swanlab_export.client.request import Request

__all__ = ["Client", "Download", "Login", "Request"]
