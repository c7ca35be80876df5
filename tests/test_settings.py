"""Which server and which key: argument, environment, the official client's login file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from systems import needs_posix
from traces import variables_of

import swanlab_export as se
from swanlab_export.errors import AuthenticationError, SwanlabExportError, UsageError
from swanlab_export.settings import Settings, load_settings, netrc_path, normalize_host

ENTRY = "machine https://swan.example\n\tlogin https://web.example\n\tpassword filekey\n"


class Home:
    """A home, a working folder and an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.cwd = folder / "home", folder / "work"
        self.environ = {"HOME": str(self.home)}
        self.cwd.mkdir()

    def login(self, text: str = ENTRY, *, is_local: bool = False, mode: int = 0o600) -> Path:
        """Write a login file."""
        path = netrc_path(self.environ, self.cwd, is_local=is_local)
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def load(self, host: str | None = None, api_key: str | None = None, **environ: str) -> Settings:
        """Find the settings."""
        return load_settings(host, api_key, environ=self.environ | environ, cwd=self.cwd)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home for one test."""
    return Home(tmp_path)


def test_arguments_come_before_the_environment_and_that_before_the_file(home: Home) -> None:
    """Argument, environment, file, default: the first one that is set counts."""
    assert home.load(api_key="k").host == "https://api.swanlab.cn"
    assert home.load(api_key="k").web_host == "https://swanlab.cn"
    home.login()
    found = home.load()
    assert (found.host, found.web_host, found.api_key) == (
        "https://swan.example",
        "https://web.example",
        "filekey",
    )
    found = home.load(SWANLAB_API_KEY=" 'envkey' ", SWANLAB_API_HOST='"env.example/api/"')
    assert (found.host, found.api_key) == ("https://env.example", "envkey")
    assert found.web_host == "https://env.example"
    found = home.load(
        "http://arg.example:8000", "argkey", SWANLAB_API_KEY="e", SWANLAB_API_HOST="e"
    )
    assert (found.host, found.api_key) == ("http://arg.example:8000", "argkey")
    assert home.load(SWANLAB_WEB_HOST="look.example").web_host == "https://look.example"


def test_a_key_goes_only_to_the_host_of_its_file(home: Home) -> None:
    """The file's key is not sent to another host that is named."""
    home.login()
    with pytest.raises(AuthenticationError, match=r"no API key for https://other\.example"):
        home.load("other.example")


def test_the_nearest_file_counts(home: Home) -> None:
    """A login of the working folder comes before that of the home; a variable moves the latter."""
    home.login()
    home.login(ENTRY.replace("filekey", "localkey"), is_local=True)
    assert home.load().api_key == "localkey"
    moved = netrc_path({"SWANLAB_SAVE_DIR": "/elsewhere"}, home.cwd, is_local=False)
    assert moved == Path("/elsewhere/.netrc")


@needs_posix
def test_a_file_that_others_can_read_is_warned_of(home: Home) -> None:
    """The warning names the file and what to do, and only where its key is used."""
    path = home.login(mode=0o644)
    (warning,) = home.load().warnings
    assert str(path) in warning
    assert "chmod 600" in warning
    assert "filekey" not in warning
    assert home.load(api_key="other").warnings == ()
    path.chmod(0o600)
    assert home.load().warnings == ()


def test_where_files_have_no_permissions_nothing_is_warned_of(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows every file seems to be open to all, and no chmod would change that."""
    home.login(mode=0o666)
    monkeypatch.setattr(sys, "platform", "win32")
    assert home.load().warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "machine\n",
        "gibberish filekey",
        "machine swan example\n\tpassword filekey\n",
        "machine ftp://swan.example\n\tlogin a\n\tpassword filekey\n",
        "\x00\xff",
    ],
)
def test_a_file_that_is_not_a_login(text: str, home: Home) -> None:
    """The message names the file and what to do, and quotes nothing of it."""
    path = home.login(text)
    with pytest.raises(AuthenticationError, match="swanlab-export login") as caught:
        home.load()
    assert str(path) in str(caught.value)
    assert "filekey" not in str(caught.value)


def test_an_empty_file_and_one_that_cannot_be_opened(home: Home) -> None:
    """An empty file is not a login, nor is a broken link or a folder."""
    path = home.login("")
    with pytest.raises(AuthenticationError, match="there is no API key"):
        home.load()
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(AuthenticationError, match="login file"):
        home.load()
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(AuthenticationError):
        home.load()


@pytest.mark.parametrize(
    ("entry", "web"),
    [("a", "https://swan.example"), ("http://web.example/", "http://web.example")],
)
def test_the_web_host_of_a_login_file(entry: str, web: str, home: Home) -> None:
    """The login of the file is the web host, if it is a URL."""
    home.login(f"machine https://swan.example/api\n\tlogin {entry}\n\tpassword filekey\n")
    assert home.load().web_host == web


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("swan.example", "https://swan.example"),
        (" http://swan.example/api/ ", "http://swan.example"),
        ("https://SWAN.example:443", "https://swan.example:443"),
        ("swan.example/", "https://swan.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://api.swanlab.cn", "https://api.swanlab.cn"),
        ("https://swanlab.cn", "https://api.swanlab.cn"),
        ("http://swanlab.cn/", "https://api.swanlab.cn"),
        ("swanlab.cn/api", "https://api.swanlab.cn"),
        ("swan.example/swanlab/", "https://swan.example/swanlab"),
        ("swan.example/swanlab/api/", "https://swan.example/swanlab"),
    ],
)
def test_hosts_in_every_format(said: str, host: str) -> None:
    """Scheme, name and port are kept; the public web host stands for its API host."""
    assert normalize_host(said) == host


@pytest.mark.parametrize(
    "said",
    [
        "https://swanlab.cn/api/v1",
        "https://swanlab.cn/@ada/cls",
        "https://swan.example/@ada/cls",
        "https://swan.example?x=1",
        "https://swan.example/#x",
    ],
)
def test_a_host_with_a_path_is_refused(said: str) -> None:
    """What no API can be below is never cut off silently."""
    with pytest.raises(UsageError, match="SwanLab is expected at the root of a host"):
        normalize_host(said)


def test_a_web_host_has_no_path(home: Home) -> None:
    """Nothing would show whether the pages are below a path."""
    with pytest.raises(UsageError, match=r"^SWANLAB_WEB_HOST .*at the root of a host"):
        home.load(api_key="k", SWANLAB_WEB_HOST="swan.example/swanlab")


PAGE = "/@ada/cls/runs/abc/chart"


@pytest.mark.parametrize(
    ("host", "web", "page"),
    [
        ("https://api.swanlab.cn", "https://swanlab.cn", "https://swanlab.cn"),
        ("https://api.swanlab.cn", "https://swanlab.cn", "https://api.swanlab.cn"),
        ("https://api.swanlab.cn", "https://mirror.example", "https://swanlab.cn"),
        ("https://swan.example", "https://look.example", "https://look.example"),
        ("https://swan.example", "https://look.example", "https://swan.example"),
        ("https://swan.example", "https://swan.example", "http://SWAN.example:80"),
        ("http://swan.example:8000", "http://swan.example:8000", "http://swan.example:8000"),
        ("http://swan.example/swanlab", "http://swan.example/swanlab", "http://swan.example"),
        ("https://swan.example", "https://swan.example", " https://ada@swan.example"),
    ],
)
def test_a_page_of_the_server_that_is_asked(host: str, web: str, page: str) -> None:
    """The URL of a page of the API host or of the web host is a path on this server."""
    Settings(host, web, "key").check_page(f"{page}{PAGE}")
    Settings(host, web, "key").check_page("ada/cls/abc")


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("https://swan.example", "https://swanlab.cn"),
        ("https://api.swanlab.cn", "https://swan.example"),
        ("http://swan.example:8000", "http://swan.example:9000"),
        ("http://swan.example:8000", "http://swan.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8001"),
        ("https://swan.example", "https://swan.example:port"),
    ],
)
def test_a_page_of_another_server_is_refused(host: str, page: str) -> None:
    """Both servers are named: a run of that path may exist on the wrong one, too."""
    with pytest.raises(UsageError, match=f"is a page of {page}, but {host} is asked: .*host="):
        Settings(host, host, "key").check_page(f"{page}{PAGE}")


def test_a_page_of_a_sandbox_that_is_gone() -> None:
    """The sandbox of each command has another port, and the same runs."""
    settings = Settings("http://127.0.0.1:8000", "http://127.0.0.1:8000", "k", local="sandbox")
    settings.check_page(f"http://127.0.0.1:8001{PAGE}")
    with pytest.raises(UsageError, match="is a page of"):
        settings.check_page(f"http://127.0.0.2:8000{PAGE}")


@pytest.mark.parametrize(
    "said", ["user:passw0rd@swan.example", "https://passw0rd@swan.example/api", "http://@x"]
)
def test_a_host_with_a_password_is_refused(said: str) -> None:
    """A user name and a password are refused by name, and not shown."""
    with pytest.raises(UsageError, match=r"^SWANLAB_API_HOST holds a user name") as caught:
        normalize_host(said, "SWANLAB_API_HOST")
    assert "passw0rd" not in str(caught.value)
    with pytest.raises(UsageError, match="is not a host") as caught:
        normalize_host("https://user:passw0rd/x@swan.example")
    assert "passw0rd" not in str(caught.value)


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_host_is_refused(host: str, home: Home) -> None:
    """An empty host, as of an unset variable, does not stand for the public server."""
    with pytest.raises(UsageError, match=r"^host= is empty$"):
        home.load(host, "key")
    assert home.load(api_key="key", SWANLAB_API_HOST="").host == "https://api.swanlab.cn"


@pytest.mark.parametrize(
    ("host", "is_warned"),
    [
        ("http://swan.example:8000", True),
        ("http://10.0.0.5", True),
        ("https://swan.example", False),
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://127.8.9.1", False),
        ("http://[::1]:8000", False),
    ],
)
def test_a_key_without_encryption_is_warned_of(host: str, home: Home, *, is_warned: bool) -> None:
    """A key that is sent by plain http to another machine is a warning."""
    warnings = home.load(host, "key").warnings
    assert [f"sent to {host} without encryption" in warning for warning in warnings] == (
        [True] if is_warned else []
    )


@pytest.mark.parametrize(
    "said",
    ["", " ", "https://", "ftp://x", "a b", "x\ny", "http://x:port", "http://[::1", "x:99999"],
)
def test_what_is_not_a_host(said: str) -> None:
    """What cannot be a host is refused, and shown without control characters."""
    with pytest.raises(UsageError, match="is not a host") as caught:
        normalize_host(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["schlüssel", "two words", "line\nbreak", "\x1b[2J"])
def test_what_is_not_a_key(key: str, home: Home) -> None:
    """A key that no header could hold is refused, and not shown."""
    with pytest.raises(SwanlabExportError) as caught:
        home.load(api_key=key)
    assert key not in str(caught.value)


def test_settings_do_not_show_the_key(home: Home) -> None:
    """A trace that prints settings does not show the key."""
    assert "secret" not in repr(home.load(api_key="secret"))


def test_a_broken_login_file_does_not_matter_if_a_key_is_given(home: Home) -> None:
    """If a key is given, a login file that cannot be read counts as none."""
    home.login("what is this\n")
    assert home.load("swan.example", "mine").api_key == "mine"
    assert home.load(SWANLAB_API_KEY="mine").host == "https://api.swanlab.cn"
    with pytest.raises(AuthenticationError, match="not a login file"):
        home.load()


def test_without_a_home_there_is_no_login(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home directory has no login file, and needs none if a key is given."""
    home.environ = {"SWANLAB_ROOT": "~nobody-of-that-name/x"}
    assert home.load("swan.example", "mine").api_key == "mine"
    with pytest.raises(AuthenticationError, match="no home directory"):
        home.load()


@pytest.mark.parametrize("name", ["SWANLAB_API_HOST", "SWANLAB_WEB_HOST", "SWANLAB_API_KEY"])
def test_a_variable_that_cannot_be_right_is_named(name: str, home: Home) -> None:
    """The message names the variable, and not an option that was not given."""
    environ = {"SWANLAB_API_KEY": "mine"} | {name: "not a\x1b one"}
    with pytest.raises(UsageError, match=f"^{name} "):
        home.load(**environ)


@pytest.mark.parametrize("host", ["sandbx", "Sandbox", "sand-box", "sandboxx"])
def test_a_host_that_is_nearly_the_sandbox(host: str, home: Home) -> None:
    """It is refused, and the message says how to reach a server of that name."""
    with pytest.raises(UsageError, match=f"did you mean sandbox.*https://{host}$"):
        home.load(host, "k")
    assert home.load(f"https://{host}", "k").host == f"https://{host.lower()}"
    with pytest.raises(UsageError, match=r"SWANLAB_API_HOST .*did you mean sandbox"):
        home.load(api_key="k", SWANLAB_API_HOST=host)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("backup", "named as backup:FOLDER.*https://backup$"),
        ("backup:", "named as backup:FOLDER"),
        ("Backup:/data", "named as backup:FOLDER"),
        ("bakup:/data", "named as backup:FOLDER"),
        ("backups", "named as backup:FOLDER.*https://backups$"),
        ("backup:/data", "needs no login"),
    ],
)
def test_a_host_that_is_nearly_a_backup(host: str, said: str, home: Home) -> None:
    """It is refused where a server is wanted, and the message says how a backup is named."""
    with pytest.raises(UsageError, match=said):
        home.load(host, "k")
    assert home.load("backups:8000", "k").host == "https://backups:8000"


def test_the_source_of_a_key(home: Home) -> None:
    """Settings say where the key was found, and where a user finds the right one."""
    path = home.login()
    assert home.load().key_source == f"'{path}'"
    assert home.load(SWANLAB_API_KEY="k").key_source == "SWANLAB_API_KEY"
    assert home.load(api_key="k").key_source == "api_key="
    assert home.load().key_page == "https://web.example/space/~/settings"
    assert home.load("swanlab.cn", "k").key_page == "https://swanlab.cn/space/~/settings"


@pytest.mark.parametrize(
    ("host", "key", "jobs"),
    [
        ("http://[bad", "word-of-a-key", 8),
        (None, "word-of-a-key x", 8),
        ("https://swan.example", "word-of-a-key", 0),
    ],
    ids=["host", "key", "another argument"],
)
@pytest.mark.parametrize("place", ["argument", "environment", "file"])
def test_no_variable_of_a_trace_is_a_key(
    host: str | None, key: str, jobs: int, place: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trace collector that keeps the variables of every call keeps no key, wherever it was."""
    monkeypatch.setenv("HOME", str(home.home))
    monkeypatch.delenv("SWANLAB_SAVE_DIR")
    monkeypatch.chdir(home.cwd)
    if place == "file":
        machine = host or "https://swan.example"
        home.login(f'machine {machine}\n\tlogin https://web.example\n\tpassword "{key}"\n')
    if place == "environment":
        monkeypatch.setenv("SWANLAB_API_KEY", key)
    with pytest.raises(SwanlabExportError) as caught:
        se.connect(host=host, api_key=key if place == "argument" else None, jobs=jobs)
    assert "word-of-a-key" not in variables_of(caught.value)
