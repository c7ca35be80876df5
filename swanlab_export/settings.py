"""Which server, and which key: argument > environment > the official client's netrc file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swanlab_export.errors import AuthenticationError, UsageError, argument
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST = "https://api.swanlab.cn"
DEFAULT_WEB_HOST = "https://swanlab.cn"


@dataclass(frozen=True)
class Settings:
    """One server and the key for it. The key is in no repr."""

    host: str
    web_host: str
    api_key: str = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """What the netrc file holds: one server with its key."""

    host: str
    web_host: str
    api_key: str = field(repr=False)
    warnings: tuple[str, ...] = ()


def load_settings(
    host: str | None, api_key: str | None, *, environ: Mapping[str, str], cwd: Path
) -> Settings:
    """Find the server and the key for it.

    A key from the netrc file is used only for the host that its entry names. Where a key is given,
    a netrc file that cannot be read is none.

    Raises:
        UsageError: A host is not one.
        AuthenticationError: There is no key for the host.
    """
    given = api_key or _variable(environ, "SWANLAB_API_KEY")
    try:
        entry = _find_entry(environ, cwd)
    except AuthenticationError:
        if not given:
            raise
        entry = None
    variable = _variable(environ, "SWANLAB_API_HOST")
    url = entry.host if entry else DEFAULT_HOST
    if host or variable:
        url = normalize_host(host) if host else normalize_host(variable, "SWANLAB_API_HOST")
    entry = entry if entry is not None and entry.host == url else None
    key = given or (entry.api_key if entry else "")
    if not key:
        raise AuthenticationError(
            f"there is no API key for {url}: give {argument('api_key')}, set SWANLAB_API_KEY or "
            f"run `swanlab login`; to look around without an account, use {argument('host', 'sandbox')}"
        )
    _check_key(key, argument("api_key") if api_key else "SWANLAB_API_KEY")
    warnings = entry.warnings if entry is not None and key == entry.api_key else ()
    return Settings(url, _web_host(url, entry, environ), key, warnings)


def normalize_host(host: str, name: str = "") -> str:
    """Cut a host down to scheme, name and port; without a scheme it is https.

    ``name`` says where it was given, ``host=`` by default.

    >>> normalize_host("swan.example:8000/api/"), normalize_host("http://api.swanlab.cn")
    ('https://swan.example:8000', 'https://api.swanlab.cn')
    """
    text = host.strip()
    refusal = UsageError(f"{name or argument('host')} {escape(host)} is not a host")
    if not text.isprintable() or " " in text:
        raise refusal
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        found, port = parts.hostname, parts.port
    except ValueError:
        raise refusal from None
    # DNS takes no longer ones, and urllib3 fails on them in its own words.
    is_too_long = any(len(label) > 63 for label in (found or "").split("."))
    if not found or is_too_long or parts.scheme not in {"http", "https"}:
        raise refusal
    shown = f"[{found}]" if ":" in found else found
    url = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
    return DEFAULT_HOST if url == "http://api.swanlab.cn" else url


def netrc_path(environ: Mapping[str, str], cwd: Path, *, is_local: bool) -> Path:
    """Say where the official client keeps its login."""
    if is_local:
        return cwd / ".swanlab" / ".netrc"
    folder = _variable(environ, "SWANLAB_ROOT") or _variable(environ, "SWANLAB_SAVE_DIR")
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        return (Path(folder).expanduser() if folder else home / ".swanlab") / ".netrc"
    except RuntimeError:
        message = "there is no home directory, which would hold the login: set HOME or SWANLAB_ROOT"
        raise AuthenticationError(message) from None


def current_folder() -> Path:
    """Where a login of this folder would be; the root where the folder is gone."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.sep)


def format_login(settings: Settings) -> str:
    """Spell a login as the netrc file that the official client reads: one machine."""
    _check_key(settings.api_key, argument("api_key"))
    return f"machine {settings.host}\n\tlogin {settings.web_host}\n\tpassword {settings.api_key}\n"


def _find_entry(environ: Mapping[str, str], cwd: Path) -> _Entry | None:
    """Read the first login file there is, nearest first."""
    for is_local in (True, False):
        path = netrc_path(environ, cwd, is_local=is_local)
        try:
            if path.is_file():
                return _read_entry(path)
        except (OSError, ValueError) as error:
            raise AuthenticationError(
                f"{escape(str(path))} cannot be read as a login file: "
                f"{escape(type(error).__name__)}; run `swanlab login` to write it anew"
            ) from None
    return None


def _read_entry(path: Path) -> _Entry | None:
    try:
        hosts = netrc(path).hosts
    except (NetrcParseError, UnicodeDecodeError):
        # The parser's own message quotes the file, and the file holds the key.
        message = f"{escape(str(path))} is not a login file; run `swanlab login` to write it anew"
        raise AuthenticationError(message) from None
    if not hosts:
        return None
    machine, (login, _, password) = next(iter(hosts.items()))
    try:
        url = normalize_host(machine.removesuffix("/").removesuffix("/api"))
    except UsageError:
        message = f"{escape(str(path))} names no host; run `swanlab login` to write it anew"
        raise AuthenticationError(message) from None
    is_open = path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    warning = f"{escape(str(path))} holds an API key and can be read by others: chmod 600 it"
    return _Entry(url, login or "", password or "", (warning,) if is_open else ())


def _web_host(host: str, entry: _Entry | None, environ: Mapping[str, str]) -> str:
    if named := _variable(environ, "SWANLAB_WEB_HOST"):
        return normalize_host(named, "SWANLAB_WEB_HOST")
    if entry is not None and "://" in entry.web_host:
        return entry.web_host.rstrip("/")
    return DEFAULT_WEB_HOST if host == DEFAULT_HOST else host


def _variable(environ: Mapping[str, str], name: str) -> str:
    """Read a variable; quotes that a .env file left around the value go."""
    value = environ.get(name, "").strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1].strip()
    return value


def _check_key(key: str, name: str) -> None:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{name} holds characters that no API key has")
