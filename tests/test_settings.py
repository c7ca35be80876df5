"""Which server and which key: argument, environment, the official client's login file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from swanlab_export.errors import AuthenticationError, SwanlabExportError, UsageError
from swanlab_export.settings import Settings, load_settings, netrc_path, normalize_host

if TYPE_CHECKING:
    from pathlib import Path

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


def test_arguments_win_over_the_environment_and_that_over_the_file(home: Home) -> None:
    """Argument, environment, file, default: the first that says something."""
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
    """The file's key is not sent to another host that is asked for."""
    home.login()
    with pytest.raises(AuthenticationError, match=r"no API key for https://other\.example"):
        home.load("other.example")


def test_the_nearest_file_counts(home: Home) -> None:
    """A login of the working folder comes before that of the home; a variable moves the latter."""
    home.login()
    home.login(ENTRY.replace("filekey", "localkey"), is_local=True)
    assert home.load().api_key == "localkey"
    moved = netrc_path({"SWANLAB_SAVE_DIR": "/elsewhere"}, home.cwd, is_local=False)
    assert str(moved) == "/elsewhere/.netrc"


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
def test_a_file_that_is_no_login(text: str, home: Home) -> None:
    """The message names the file and the way out, and quotes nothing of it."""
    path = home.login(text)
    with pytest.raises(AuthenticationError, match="swanlab login") as caught:
        home.load()
    assert str(path) in str(caught.value)
    assert "filekey" not in str(caught.value)


def test_an_empty_file_and_one_that_cannot_be_opened(home: Home) -> None:
    """An empty file is no login; a broken link or a folder is none either."""
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
def test_where_web_pages_are(entry: str, web: str, home: Home) -> None:
    """The file's login names the web page, where it is an address."""
    home.login(f"machine https://swan.example/api\n\tlogin {entry}\n\tpassword filekey\n")
    assert home.load().web_host == web


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("swan.example", "https://swan.example"),
        (" http://swan.example/api/ ", "http://swan.example"),
        ("https://SWAN.example:443/x?y#z", "https://swan.example:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("user:pass@swan.example", "https://swan.example"),
        ("http://api.swanlab.cn", "https://api.swanlab.cn"),
    ],
)
def test_hosts_in_every_spelling(said: str, host: str) -> None:
    """Scheme, name and port are kept; paths, queries and passwords are cut off."""
    assert normalize_host(said) == host


@pytest.mark.parametrize(
    "said",
    ["", " ", "https://", "ftp://x", "a b", "x\ny", "http://x:port", "http://[::1", "x:99999"],
)
def test_what_is_no_host(said: str) -> None:
    """A host that cannot be is refused, and shown without control characters."""
    with pytest.raises(UsageError, match="is not a host") as caught:
        normalize_host(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["schlüssel", "two words", "line\nbreak", "\x1b[2J"])
def test_what_is_no_key(key: str, home: Home) -> None:
    """A key that no header could hold is refused, and not shown."""
    with pytest.raises(SwanlabExportError) as caught:
        home.load(api_key=key)
    assert key not in str(caught.value)


def test_settings_do_not_show_the_key(home: Home) -> None:
    """A trace that prints settings tells nobody the key."""
    assert "secret" not in repr(home.load(api_key="secret"))


def test_a_broken_login_file_does_not_matter_to_who_brings_a_key(home: Home) -> None:
    """With a key of one's own, a login file that cannot be read is none."""
    home.login("what is this\n")
    assert home.load("swan.example", "mine").api_key == "mine"
    assert home.load(SWANLAB_API_KEY="mine").host == "https://api.swanlab.cn"
    with pytest.raises(AuthenticationError, match="not a login file"):
        home.load()


def test_without_a_home_there_is_no_login(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know has no login file, and no need of one with a key."""
    home.environ = {"SWANLAB_ROOT": "~nobody-of-that-name/x"}
    assert home.load("swan.example", "mine").api_key == "mine"
    with pytest.raises(AuthenticationError, match="no home directory"):
        home.load()


@pytest.mark.parametrize("name", ["SWANLAB_API_HOST", "SWANLAB_WEB_HOST", "SWANLAB_API_KEY"])
def test_a_variable_that_cannot_be_right_is_named(name: str, home: Home) -> None:
    """The message blames the variable, and not an option that nobody gave."""
    environ = {"SWANLAB_API_KEY": "mine"} | {name: "not a\x1b one"}
    with pytest.raises(UsageError, match=f"^{name} "):
        home.load(**environ)
