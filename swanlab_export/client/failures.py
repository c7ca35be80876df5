"""Failed connections in plain words.

The exceptions of requests and urllib3 quote URLs, and a presigned URL holds a signature: so they
are described here and never shown or chained.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests


def describe_failure(error: Exception) -> str:
    """Say what went wrong between here and the server."""
    text = repr(error)
    if isinstance(error, requests.exceptions.SSLError) or "SSLError" in text:
        return (
            "its TLS certificate was not accepted (a private CA goes into REQUESTS_CA_BUNDLE)"
            if "CERTIFICATE_VERIFY_FAILED" in text
            else "TLS failed"
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy that HTTPS_PROXY or HTTP_PROXY names did not work"
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return "its name is not known to DNS"
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "it did not answer in time"
    if "refused" in text:
        return "it refused the connection"
    return "the connection broke"


def bare_url(url: str) -> str:
    """Show a URL without its query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
