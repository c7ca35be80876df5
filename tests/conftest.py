"""What all tests share: a private home, a sandbox, a connection and the command line."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from forks import Forks
from hypothesis import HealthCheck, settings
from object_stores import OPEN, SERVERS, Store, serve, use_store

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    import pyarrow as pa

Call = "Callable[..., Result]"
# A busy machine is no fault: neither of a test, nor of how its data are generated.
# What an example was is printed with its failure, as the order of the tests is in the first lines.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tests")
# What is imported and collected stays: to look through it for garbage took a third of that time.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage in what the tests make alone."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Two processes for each processor: many tests wait, for a time or for another process."""
    found = yield
    return min(2 * found, 16)


def pytest_configure() -> None:
    """Keep each process of the suite on one processor.

    The threads of a client and of its sandbox wait for each other, and to wake one that is on
    another processor takes longer than what it then does.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and sys.platform == "linux":
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(worker[2:]) % len(processors)]})


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that need a store: they take longest, and one process starts them all.

    Each process has a part of this list, and takes from the end of another's when it has none left.
    """
    slow = {item.path for item in items if "running_stores" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say how to have the same order again, which ``--quiet`` leaves out of the first lines."""
    seed = config.getoption("randomly_seed", None)
    if exitstatus and seed is not None:
        terminalreporter.write_line(f"The order of these tests is --randomly-seed={seed}")


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paths of folders, one for each test: ``mktemp`` would look at all earlier ones each time."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def private_environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> Path:
    """No test sees the login, the settings or the terminal of the person who runs it."""
    home = next(homes)
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("SWANLAB", "AWS_", "AZURE_", "GOOGLE_")) or name in {
            "COLUMNS",
            "LINES",
            "NO_COLOR",
            "CLICOLOR",
        }:
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "SWANLAB_SAVE_DIR"):
        monkeypatch.setenv(name, str(home))
    return home


@pytest.fixture(scope="session", autouse=True)
def list_of_fonts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """One list of the machine's fonts for all homes, which matplotlib else makes for each anew."""
    # With ``-p no:cacheprovider`` there is no cache, and one list for each call of pytest.
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    make = tmp_path_factory.mktemp if cache is None else cache.mkdir
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", str(make("matplotlib")))
        yield


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """One sandbox for all tests of a process, with generated runs beside the sample data."""
    with Sandbox(synthetic=True) as sandbox:
        yield sandbox


@pytest.fixture
def server(running_sandbox: Sandbox) -> Sandbox:
    """The sandbox, without faults, recorded requests or anything that another test created."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[pa.Table]]:
    """A connection to the sandbox whose calls return Arrow tables."""
    with se.connect(host=server.url, api_key=server.api_key, frame="arrow") as connected:
        yield connected


@pytest.fixture
def call(server: Sandbox) -> Callable[..., Result]:
    """Run a command of ``swanlab api`` against the sandbox, without retries unless asked for."""

    def run(*words: str, retries: int = 0) -> Result:
        access = ["--host", server.url, "--api-key", server.api_key, "--retries", str(retries)]
        return CliRunner().invoke(root, ["api", *words, *access])

    return run


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Runs the command line in processes of their own, which need no start."""
    with Forks(os.environ) as running:
        yield running


@pytest.fixture(scope="session")
def unmeasured_forks(request: pytest.FixtureRequest) -> Iterator[Forks]:
    """The same without coverage: processes that are killed would leave broken data."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    if plain == dict(os.environ):
        yield request.getfixturevalue("forks")
        return
    with Forks(plain) as running:
        yield running


@pytest.fixture(scope="session")
def running_stores(tmp_path_factory: Any) -> Iterator[Callable[[str], Store]]:
    """Object stores on this machine, by their names; each is started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def start(name: str) -> Store:
            return stack.enter_context(serve(name, tmp_path_factory.mktemp(name)))

        yield start


@pytest.fixture(params=SERVERS)
def store(
    request: Any, running_stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> Store:
    """An empty object store, with its endpoint and keys in the environment; once for each kind."""
    return use_store(running_stores(request.param), monkeypatch)


@pytest.fixture
def moto(running_stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """The object store that lists uploads which have not ended, and takes every kind of range."""
    return use_store(running_stores("moto"), monkeypatch)


@pytest.fixture
def open_store(running_stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """An object store that looks at no signature, so that a proxy may stand before it."""
    return use_store(running_stores(OPEN), monkeypatch)
