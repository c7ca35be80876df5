"""Pasted URLs of web pages, in place of paths: their host has to be the one that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    from swanlab_export.sandbox import Sandbox

OTHER = "https://swanlab.cn"
PAGE = "/@ada-lab/digits/runs/linear/chart"
CALLS: dict[str, Callable[[Any, str], Any]] = {
    "workspace info": lambda api, page: api.workspace.info(page),
    "workspace list": lambda api, page: api.workspace.list(page),
    "project info": lambda api, page: api.project.info(page),
    "project list": lambda api, page: api.project.list(page),
    "run info": lambda api, page: api.run.info(page),
    "run list": lambda api, page: api.run.list(page),
    "run filter": lambda api, page: api.run.filter(page, "state=FINISHED"),
    "run metrics": lambda api, page: api.run.metrics(page, keys="loss"),
    "run metrics of a project": lambda api, page: api.run.metrics(project=page, keys="loss"),
    "run summary": lambda api, page: api.run.summary(page),
    "run series": lambda api, page: api.run.series(page),
    "run columns": lambda api, page: api.run.columns(page),
    "run column": lambda api, page: api.run.column(page, "loss"),
    "run medias": lambda api, page: api.run.medias(page, keys="x"),
    "run logs": lambda api, page: api.run.logs(page),
    "run export-logs": lambda api, page: api.run.export_logs(page),
    "backup": lambda api, page: se.backup(api, to="unused", paths=page),
    "backup of a smaller run": lambda api, page: se.backup(api, to="unused", accept_smaller=page),
    "self-hosted list-projects": lambda api, page: api.self_hosted.list_projects(workspace=page),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_page_of_another_server(name: str, api: Any, server: Sandbox) -> None:
    """It is refused before any request, and the message names both servers."""
    said = rf"'{OTHER}{PAGE}' is a page of {OTHER}, but {server.url} is asked: .*host="
    with pytest.raises(se.UsageError, match=said):
        CALLS[name](api, OTHER + PAGE)
    assert server.requests == []


def test_a_page_of_this_server(api: Any, server: Sandbox) -> None:
    """The URL that a table gives leads to the same run."""
    url = api.run.info("ada-lab/digits/linear")["url"][0].as_py()
    assert url.startswith(server.url)
    assert api.run.info(url)["slug"].to_pylist() == ["linear"]


def test_the_command_line_names_its_option(call: Any, server: Sandbox) -> None:
    """The exit code is 2, and the message names the option."""
    found = call("run", "info", OTHER + PAGE)
    assert (found.exit_code, found.stdout) == (2, "")
    assert f"is a page of {OTHER}, but {server.url} is asked" in found.stderr
    assert "--host" in found.stderr


def test_a_page_of_an_earlier_sandbox() -> None:
    """The sandbox of each connection has the same runs on another port."""
    with se.connect(host="sandbox", frame="arrow") as api:
        url = api.run.info("ada-lab/digits/linear")["url"][0].as_py()
    with se.connect(host="sandbox", frame="arrow") as api:
        assert api.run.info(url)["slug"].to_pylist() == ["linear"]
