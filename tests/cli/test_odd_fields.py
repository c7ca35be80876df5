"""One odd value never denies a table: each field of each response of each command, on sockets.

Many fields have odd values at a time, each of them another one, so that as many calls as there are
odd values try each field with each. Of a call that fails, the fields are tried one by one.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner, Result
from odd_values import ODD_VALUES
from raw_server import Asked, RawServer, reply
from sandbox_tiny import write_tiny

from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RUN = "team/open/run1"
COMMANDS = [
    "user info",
    "workspace info team",
    "workspace list",
    "project info team/open",
    "project list -w team",
    f"run info {RUN}",
    "run list team/open --all",
    "run list team/open --summary loss",
    "run filter team/open -f state=FINISHED",
    "run filter team/open -f summary.loss<5",
    f"run metrics {RUN} --keys loss,seen",
    "run metrics -p team/open --keys s*",
    f"run metrics {RUN} --keys loss,seen --all",
    f"run summary {RUN}",
    f"run series {RUN}",
    f"run columns {RUN}",
    f"run column {RUN} --key loss",
    f"run medias {RUN} --keys pic --all",
    f"run medias {RUN} --keys pic --step 3",
    f"run logs {RUN}",
    f"run export-logs {RUN}",
    "self-hosted info",
    "self-hosted summary",
    "self-hosted list-users",
    "self-hosted list-projects",
    "self-hosted list-workspaces",
]
# Endpoints that many commands ask: the first command tries all values in each field, each of the
# others one, and each another one.
SHARED = {
    "/api/login/api_key": "user info",
    "/api/project/team/open": "project info team/open",
    "/api/project/team/open/runs": "run list team/open --all",
    "/api/project/team/open/runs/run1": f"run info {RUN}",
    "/api/house/metrics/summaries": f"run summary {RUN}",
    "/api/experiment/run1/column": f"run columns {RUN}",
    "/api/self_hosted/info": "self-hosted info",
    "/api/project/team/open/runs/shows": "run filter team/open -f state=FINISHED",
    "/api/house/metrics/scalar": f"run metrics {RUN} --keys loss,seen",
    "/api/house/metrics/scalar/keys": f"run series {RUN}",
}
# Without these there is no table: ids, where a file is, and the shape of what comes.
REQUIRED = re.compile(
    r"\S*("
    r"/login/api_key (sid|userInfo\.username)"
    r"|/project/\S+ (list|list\.0|0|((list\.0|0)\.)?(cuid|path|rootExpId|rootProId))"
    r"|/(groups|users|projects|column) (list|((list\.)?0)(\.(username|cuid|key))?)"
    r"|/group/team username"
    r"|/summaries run1"
    r"|/availability .*|/keys (keys(\.0)?|nextCursor)"
    r"|/scalar 0(\.key|\.metrics|\.metrics\.0)?"
    r"|/(f_)?media (0|metrics)(\.0|\.key|\.metrics)*"
    r"|/log logs(\.0)?"
    r"|/export cosKey|/presigned/get urls(\.0)?"
    r")"
)
# What announces how much there is: another number than that of what comes is an error.
ANNOUNCED = re.compile(r"\S+ total|/house/metrics/summaries \w+\.\w+\.step")
# Where ``true`` is the word that ends the command, or says that there is more.
MEANT = ("expired", "hasMore")
# What a command itself looks at: runs are chosen by it, or somebody's workspaces listed.
COMPARED = {
    "run filter team/open -f state=FINISHED": r"\S+/runs/shows 0\.state",
    "run filter team/open -f summary.loss<5": r"\S+/summaries run1\.loss(\.value)?",
    "workspace list": r"/login/api_key userInfo",
}
Name = tuple["str | int", ...]


class Altering:
    """Responds as a sandbox does, whose responses it keeps, with other fields in those of one path.

    Attributes:
        kept: The content of each response, by its request.
        path: Where responses are altered.
        changes: The fields and their values.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.kept: dict[tuple[str, str, bytes], tuple[int, Any]] = {}
        self.path = ""
        self.changes: Mapping[Name, Any] = {}
        self._sandbox = sandbox

    def respond(self, asked: Asked) -> bytes:
        """Respond to a request."""
        name = (asked.method, asked.target, asked.body)
        if name not in self.kept:
            self.kept[name] = self._ask(asked)
        status, content = self.kept[name]
        if asked.path == self.path:
            content = copy.deepcopy(content)
            for field, value in self.changes.items():
                replace(content, field, value)
        return reply(status, json.dumps(content).encode(), {"content-type": "application/json"})

    def _ask(self, asked: Asked) -> tuple[int, Any]:
        names = {"cookie", "content-type", "authorization"}
        sent = {name: value for name, value in asked.headers.items() if name in names}
        url = self._sandbox.url + asked.target
        found = requests.request(asked.method, url, headers=sent, data=asked.body, timeout=60)
        return found.status_code, found.json()


def replace(content: Any, field: Name, value: Any) -> None:
    """Replace a field, where there is one."""
    *above, last = field
    try:
        for name in above:
            content = content[name]
        if content[last] is not value:
            content[last] = value
    except (KeyError, IndexError, TypeError):
        return


def fields_of(content: Any, above: Name = ()) -> Iterator[tuple[Name, Any]]:
    """Every field of a response with its value; of a list the first item."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(content, dict):
        inner = content.items()
    elif isinstance(content, list):
        inner = enumerate(content[:1])
    for name, value in inner:
        yield (*above, name), value
        yield from fields_of(value, (*above, name))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with few and small runs."""
    with Sandbox(write_tiny(tmp_path_factory.mktemp("tiny"))) as running:
        yield running


@pytest.fixture(scope="module")
def altering(sandbox: Sandbox) -> Altering:
    """What alters the responses of that sandbox."""
    return Altering(sandbox)


@pytest.fixture(scope="module")
def server(altering: Altering) -> Iterator[RawServer]:
    """The server that alters them."""
    with RawServer(altering.respond) as running:
        yield running


def run(words: str, server: RawServer, sandbox: Sandbox) -> Result:
    """Run a command."""
    access = ["--host", server.url, "--api-key", sandbox.api_key, "--retries", "0"]
    return CliRunner().invoke(root, ["api", *words.split(), "--format", "json", *access])


def count_rows(done: Result) -> int | None:
    """How many rows a table has; None where there is none."""
    if done.exit_code:
        return None
    found = json.loads(done.stdout)
    return len(found) if isinstance(found, list) else 1


def rounds(fields: Mapping[Name, Any], first: int, count: int) -> Iterator[dict[Name, Any]]:
    """Odd values for many fields at a time, none of which is in another one."""
    values = list(ODD_VALUES.values())
    flat = [name for name, value in fields.items() if not isinstance(value, dict | list)]
    groups: dict[int, list[Name]] = {len(name): [] for name in fields}
    # Of a total and a number of pages, one is enough.
    groups = {0: [name for name in flat if name != ("pages",)], **groups}
    for name in fields:
        if name not in groups[0]:
            groups[len(name)].append(name)
    for group in groups.values():
        for shift in range(first, first + count) if group else ():
            chosen = {name: values[(i + shift) % len(values)] for i, name in enumerate(group)}
            meant = [name for name, value in chosen.items() if value is True and name[-1] in MEANT]
            yield {name: value for name, value in chosen.items() if name not in meant}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_table_comes_whatever_is_in_a_field(
    words: str, server: RawServer, sandbox: Sandbox, altering: Altering
) -> None:
    """With all its rows, unless it is an id, or announces how much there is; and no traceback."""
    altering.changes = {}
    before = len(server.asked)
    rows = count_rows(run(words, server, sandbox))
    assert rows
    asked = {each.path: (each.method, each.target, each.body) for each in server.asked[before:]}
    number, denied = COMMANDS.index(words), []

    def has_table(path: str, changes: Mapping[Name, Any]) -> bool:
        altering.path, altering.changes = path, changes
        found = count_rows(run(words, server, sandbox))
        # What is no list of files is one row, and an empty one is none.
        has_files = any(name[-1] == "data" for name in changes)
        return found == rows or (found is not None and has_files)

    for path, name in asked.items():
        shared = SHARED.get(path, words) != words
        fields = dict(fields_of(altering.kept[name][1]))
        named = {
            field: f"{path.removeprefix('/api')} {'.'.join(map(str, field))}" for field in fields
        }
        free = {
            field: value
            for field, value in fields.items()
            if not REQUIRED.fullmatch(named[field])
            and not ANNOUNCED.fullmatch(named[field])
            and not (re.fullmatch(COMPARED.get(words, "-"), named[field]))
        }
        for changes in rounds(free, number if shared else 0, 1 if shared else len(ODD_VALUES)):
            if not has_table(path, changes):
                alone = {f: v for f, v in changes.items() if not has_table(path, {f: v})}
                denied += [f"{named[f]} = {str(v)[:40]}" for f, v in (alone or changes).items()]
        bound = {field: value for field, value in fields.items() if field not in free}
        for changes in rounds(bound, number, 1):
            altering.path, altering.changes = path, changes
            done = run(words, server, sandbox)
            if not isinstance(done.exception, SystemExit | None):
                denied.append(f"{path}: {done.exception!r}")
    altering.changes = {}
    assert denied == []
