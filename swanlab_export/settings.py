"""Which server, and which key: argument > environment > the official client's netrc file."""

from __future__ import annotations

import difflib
import ipaddress
import os
import stat
import sys
from dataclasses import dataclass, field
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swanlab_export.errors import AuthenticationError, UsageError
from swanlab_export.limits import BACKUP, SANDBOX
from swanlab_export.messages import DOTS, Secret, argument, quote, shell_command

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST = "https://api.swanlab.cn"
DEFAULT_WEB_HOST = "https://swanlab.cn"
_PUBLIC_HOSTS = ("api.swanlab.cn", "swanlab.cn")
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class Settings:
    """One server and the key for it. The key is in no repr.

    Attributes:
        host: Scheme, name and port of the API, and the path that it is below, mostly none.
        web_host: The same of the web pages.
        api_key: The key.
        warnings: What the user should know.
        key_source: Where the key was found, for messages; "" where that is of no interest.
        assumes_https: The host was named without a scheme.
        local: What the server was named as that lives for this connection alone, ``sandbox`` or
            ``backup:FOLDER``: the next one has another port. "" for a server elsewhere.
    """

    host: str
    web_host: str
    api_key: str = field(repr=False)
    warnings: tuple[str, ...] = ()
    key_source: str = ""
    assumes_https: bool = False
    local: str = ""

    @property
    def name(self) -> str:
        """What the server is called in messages and metadata; an address of this machine says nothing."""
        return self.local or self.host

    @property
    def key_page(self) -> str:
        """The web page that shows a user's API key."""
        return f"{self.web_host}/space/~/settings"

    def check_page(self, text: str) -> None:
        """Refuse the URL of a web page of another server; a path is not one.

        Raises:
            UsageError: It is; names both servers.
        """
        if "://" not in text:
            return
        scheme, _, rest = text.strip().partition("://")
        page = f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
        hosts = {_address(self.host), _address(self.web_host)}
        if hosts & set(_PUBLIC_HOSTS):
            hosts |= set(_PUBLIC_HOSTS)
        found = _address(page)
        if self.local:
            found, hosts = found.partition(":")[0], {host.partition(":")[0] for host in hosts}
        if found not in hosts:
            raise UsageError(
                f"{quote(text)} is a page of {page}, but {self.name} is asked: name the right one "
                f"with {argument('host')}, or give only the path"
            )


@dataclass(frozen=True)
class _Entry:
    """What the netrc file holds: one server with its key."""

    path: Path
    host: str
    web_host: str
    api_key: str = field(repr=False)
    warnings: tuple[str, ...] = ()


class _Environment(dict[str, str]):
    """Variables that show as dots where the variables of a trace are printed: one is a key."""

    def __repr__(self) -> str:
        return DOTS


def load_settings(
    host: str | None, api_key: str | None, *, environ: Mapping[str, str], cwd: Path
) -> Settings:
    """Find the server and the key for it.

    A key from the netrc file is used only for the host that its entry names. If a key is given, a
    netrc file that cannot be read counts as none.

    Raises:
        UsageError: A host is not one.
        AuthenticationError: There is no key for the host.
    """
    if host is not None and not host.strip():
        # As of an unset variable in a script: the public server is not what is meant.
        raise UsageError(f"{argument('host')} is empty")
    environ = _Environment(environ)
    given = Secret(api_key or _variable(environ, "SWANLAB_API_KEY"))
    key_source = argument("api_key") if api_key else "SWANLAB_API_KEY"
    try:
        entry = _find_entry(environ, cwd)
    except AuthenticationError:
        if not given:
            raise
        entry = None
    variable = _variable(environ, "SWANLAB_API_HOST")
    url = entry.host if entry else DEFAULT_HOST
    named = host or variable
    if named:
        url = normalize_host(named, "" if host else "SWANLAB_API_HOST")
    entry = entry if entry is not None and entry.host == url else None
    key = given or (entry.api_key if entry else "")
    if not key:
        raise AuthenticationError(
            f"there is no API key for {url}: give {argument('api_key')}, set SWANLAB_API_KEY or "
            f"run {shell_command('login')}; to look around without an account, use "
            f"{argument('host', SANDBOX)}"
        )
    if not given and entry is not None:
        key_source = quote(str(entry.path))
    _check_key(key, key_source)
    warnings = list(entry.warnings) if entry is not None and key == entry.api_key else []
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        warnings.append(f"the API key is sent to {url} without encryption: use https if you can")
    return Settings(
        url,
        _web_host(url, entry, environ),
        key,
        tuple(warnings),
        key_source,
        assumes_https=bool(named) and "://" not in named,
    )


def normalize_host(host: str, name: str = "") -> str:
    """Return the API host as scheme, name, port and path; without a scheme it is https.

    The web host of the public server stands for its API host. Whether the API is below a path
    shows when it is asked: see ``Client.login``. ``name`` says where the host was given, ``host=``
    by default.

    >>> normalize_host("swan.example:8000/api/"), normalize_host("https://swanlab.cn")
    ('https://swan.example:8000', 'https://api.swanlab.cn')
    """
    name = name or argument("host")
    _refuse_local(host.strip(), name)
    url = _origin(host, name, may_have_path=True)
    return DEFAULT_HOST if url.partition("://")[2] in _PUBLIC_HOSTS else url


def _address(url: str) -> str:
    """Name and port of a URL, without a port that its scheme implies."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or ""), parts.port
    except ValueError:
        return ""
    shown = "" if port is None else f":{port}"
    return name + ("" if shown == _PORTS.get(parts.scheme) else shown)


def is_loopback(name: str) -> bool:
    """Say whether a host name is that of this machine."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _origin(text: str, name: str, *, may_have_path: bool = False) -> str:
    """Return scheme, name, port and path of a URL, which must hold nothing else that counts."""
    text = text.strip()
    # What stands before an @ may be a password.
    refusal = UsageError(f"{name} {quote(text.rpartition('@')[2])} is not a host")
    if "@" in text.partition("?")[0]:
        _refuse_user(text, name)
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
    path = parts.path.rstrip("/").removesuffix("/api").rstrip("/")
    # No path has an @ in it but that of a web page.
    is_root = not path or (may_have_path and "@" not in path and found not in _PUBLIC_HOSTS)
    if not is_root or parts.query or parts.fragment:
        raise UsageError(
            f"{name} {quote(text)} has more than a host: SwanLab is expected at the root of a host"
        )
    shown = f"[{found}]" if ":" in found else found
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "") + path


def _refuse_local(text: str, name: str) -> None:
    """Refuse the sandbox and backups where only a server will do, and what is nearly their name."""
    _refuse_backup(text, name)
    if text == SANDBOX:
        raise UsageError(
            f"{name} {SANDBOX} starts a server for one command and needs no login; "
            f"{shell_command('sandbox serve')} starts one that stays"
        )
    if difflib.get_close_matches(text.lower(), [SANDBOX], cutoff=0.8):
        raise UsageError(
            f"{name} {quote(text)}: did you mean {SANDBOX}? "
            f"If there is a server of that name, write https://{text}"
        )


def _refuse_backup(text: str, name: str) -> None:
    word, colon, folder = text.partition(":")
    if word == BACKUP and folder:
        raise UsageError(
            f"{name} {quote(text)} serves a backup for one command and needs no login; "
            f"{shell_command('sandbox serve --data')} serves it as long as you like"
        )
    is_port = folder.isdigit()
    if difflib.get_close_matches(word.lower(), [BACKUP], cutoff=0.8) and not is_port:
        rest = f"; if there is a server of that name, write https://{text}" if not colon else ""
        raise UsageError(
            f"{name} {quote(text)}: a backup is named as {BACKUP}:FOLDER, such as "
            f"{BACKUP}:/backup/swanlab{rest}"
        )


def _refuse_user(text: str, name: str) -> None:
    """Refuse a user name in a host, which may come with a password; an @ in a path is not one."""
    authority = text.partition("://")[2] or text
    if "@" in authority.partition("/")[0]:
        raise UsageError(
            f"{name} holds a user name or a password, which SwanLab does not use: "
            f"name the host alone, and the key with {argument('api_key')}"
        )


def netrc_path(environ: Mapping[str, str], cwd: Path, *, is_local: bool) -> Path:
    """Return where the official client keeps its login."""
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
    """Return where a login of this folder would be; the root if the folder is gone."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.sep)


def format_login(settings: Settings) -> str:
    """Format a login as the netrc file that the official client reads: one machine."""
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
                f"{quote(str(path))} cannot be read as a login file: "
                f"{quote(type(error).__name__)}; run {shell_command('login')} to write it again"
            ) from None
    return None


def _read_entry(path: Path) -> _Entry | None:
    try:
        found = [
            (machine, login or "", Secret(password or ""))
            for machine, (login, _, password) in netrc(path).hosts.items()
        ]
    except (NetrcParseError, UnicodeDecodeError):
        # The parser's own message quotes the file, and the file holds the key.
        message = f"{quote(str(path))} is not a login file; run {shell_command('login')} to write it again"
        raise AuthenticationError(message) from None
    if not found:
        return None
    machine, login, password = found[0]
    try:
        url = normalize_host(machine.removesuffix("/").removesuffix("/api"))
    except UsageError:
        message = f"{quote(str(path))} names a host that cannot be used; run {shell_command('login')} to write it again"
        raise AuthenticationError(message) from None
    # Windows has no such permissions: there, every file seems to be open to all.
    is_open = sys.platform != "win32" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    warning = f"{quote(str(path))} holds an API key and can be read by others: chmod 600 it"
    return _Entry(path, url, login, password, (warning,) if is_open else ())


def _web_host(host: str, entry: _Entry | None, environ: Mapping[str, str]) -> str:
    if named := _variable(environ, "SWANLAB_WEB_HOST"):
        return _origin(named, "SWANLAB_WEB_HOST")
    if entry is not None and "://" in entry.web_host:
        return entry.web_host.rstrip("/")
    return DEFAULT_WEB_HOST if host == DEFAULT_HOST else host


def _variable(environ: Mapping[str, str], name: str) -> str:
    """Read a variable; quotes that a .env file left around the value are removed."""
    value = environ.get(name, "").strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1].strip()
    return value


def _check_key(key: str, name: str) -> None:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{name} holds characters that no API key has")


def find_local(host: str | None, environ: Mapping[str, str]) -> str | None:
    """Find what a server is started here for: ``sandbox``, or a backup as ``backup:FOLDER``.

    It is named as an argument, or else in SWANLAB_API_HOST; None where a server elsewhere is.
    """
    named = (_variable(environ, "SWANLAB_API_HOST") if host is None else host).strip()
    is_backup = named.startswith(f"{BACKUP}:") and named != f"{BACKUP}:"
    return named if named == SANDBOX or is_backup else None


def find_backup(local: str) -> Path | str | None:
    """The folder of ``backup:FOLDER``, or the URL of ``backup:s3://…``; None for the sandbox.

    Raises:
        UsageError: There is no such folder.
    """
    word, _, folder = local.partition(":")
    if word != BACKUP:
        return None
    name = argument("host", local)
    if "://" in folder:
        return folder.strip()
    try:
        path = Path(folder.strip()).expanduser().absolute()
        is_there = path.is_dir()
    except (RuntimeError, ValueError):
        is_there = False
    if not is_there:
        # A server of that name would have a port there.
        server = f"; if a server is meant, write https://{local}" if folder.isdigit() else ""
        raise UsageError(f"{name}: there is no folder {quote(folder)}{server}")
    return path
