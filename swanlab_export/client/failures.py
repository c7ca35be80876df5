"""Failed connections in plain words.

The exceptions of requests and urllib3 quote URLs, and a presigned URL holds a signature: so they
are described here and never shown or chained.
"""

from __future__ import annotations

import re

from requests import exceptions

from swanlab_export.client.masking import printable

_USER = re.compile(r"^([a-z][a-z0-9+.-]*:)?([/\\]*)[^/\\]*@", re.IGNORECASE)


def is_bad_certificate(error: Exception) -> bool:
    """Say whether the server's certificate was refused, which no repeat would mend."""
    text = repr(error)
    return "CERTIFICATE_VERIFY_FAILED" in text or "CertificateError" in text


def describe_failure(error: Exception) -> str:
    """Say what went wrong between here and the server."""
    text = repr(error)
    private = "a private CA goes into REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    kinds = (
        (is_bad_certificate(error), f"its TLS certificate was not accepted ({private})"),
        ("SSLError" in text, "TLS failed"),
        (
            isinstance(error, exceptions.ProxyError | exceptions.InvalidProxyURL),
            "the proxy that HTTPS_PROXY or HTTP_PROXY names did not work",
        ),
        ("NameResolutionError" in text or "getaddrinfo" in text, "its name is not known to DNS"),
        (isinstance(error, exceptions.Timeout) or "timed out" in text, "it did not answer in time"),
        ("refused" in text, "it refused the connection"),
        (is_bad_url(error), "that is no URL to ask"),
    )
    return next((words for is_it, words in kinds if is_it), "the connection broke")


def is_bad_url(error: Exception) -> bool:
    """Say whether nothing was asked, because the URL cannot be."""
    return isinstance(
        error,
        exceptions.InvalidURL | exceptions.InvalidSchema | exceptions.MissingSchema,
    )


def bare_url(url: str) -> str:
    """Show a URL without its query, which may hold a signature, and without a password.

    It may be none: whoever names it is a server.
    """
    shown = re.split(r"[?#]", url, maxsplit=1)[0]
    return printable(_USER.sub(r"\1\2", shown))
