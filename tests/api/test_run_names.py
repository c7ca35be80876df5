"""Runs by display name and by pattern."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import responses

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from click.testing import Result

DIGITS = "ada-lab/digits"
DEEP = f'{DIGITS}/tanh, "deep"'


def test_a_run_is_found_by_its_display_name(api: se.Api[pa.Table]) -> None:
    """Where it is neither an id nor a slug, for calls about one run as about several."""
    run_id = api.run.info(f"{DIGITS}/tanh-deep")["run_id"].to_pylist()
    assert api.run.info(DEEP)["run_id"].to_pylist() == run_id
    assert set(api.run.logs(DEEP, offset=0)["run_id"].to_pylist()) == set(run_id)
    both = api.run.summary(DEEP, f"{DIGITS}/tanh-deep", keys="loss")
    assert both["run_id"].to_pylist() == run_id


@responses.activate
def test_a_name_that_several_runs_have() -> None:
    """The error names them by their ids."""
    host = "https://swan.test"
    runs = [{"cuid": run_id, "slug": None, "name": "my run"} for run_id in ("r1", "r2")]
    login = {"sid": "S1", "userInfo": {"username": "ada", "name": None}}
    responses.post(f"{host}/api/login/api_key", json=login)
    responses.get(f"{host}/api/project/team/proj", json={"cuid": "p1", "path": "team/proj"})
    responses.get(f"{host}/api/project/team/proj/runs/my%20run", status=404, json={})
    responses.get(f"{host}/api/project/team/proj/runs", json={"list": runs, "total": 2, "pages": 1})
    with (
        se.connect(host=host, api_key="key", frame="arrow") as api,
        pytest.raises(se.NotFoundError) as caught,
    ):
        api.run.info("team/proj/my run")
    named = "2 runs of team/proj are named 'my run': team/proj/r1, team/proj/r2"
    assert named in caught.value.message


@responses.activate
def test_a_name_that_exists_is_no_pattern() -> None:
    """A run that is named ``a*`` is meant by that, and not the others that match it."""
    host = "https://swan.test"
    runs = [
        {"cuid": run_id, "slug": None, "name": name}
        for run_id, name in (("r1", "ab"), ("r2", "a*"))
    ]
    login = {"sid": "S1", "userInfo": {"username": "ada", "name": None}}
    responses.post(f"{host}/api/login/api_key", json=login)
    responses.get(f"{host}/api/project/team/proj", json={"cuid": "p1", "path": "team/proj"})
    responses.get(f"{host}/api/project/team/proj/runs", json={"list": runs, "total": 2, "pages": 1})
    responses.get(f"{host}/api/project/team/proj/runs/r2", json=runs[1])
    with se.connect(host=host, api_key="key", frame="arrow") as api:
        assert api.run.info("team/proj/a*")["run_id"].to_pylist() == ["r2"]


def test_patterns_mean_all_runs_that_match(
    api: se.Api[pa.Table], call: Callable[..., Result]
) -> None:
    """Of ids, slugs and names; a call about one run takes a pattern that means one."""
    names = {"mlp-adam", "mlp-clone", "mlp-long"}
    assert set(api.run.info(f"{DIGITS}/mlp-*")["name"].to_pylist()) == names
    assert set(
        api.run.metrics(f"{DIGITS}/mlp-*", keys="loss", sample=2)["run_name"].to_pylist()
    ) == (names)
    assert api.run.series(f"{DIGITS}/mlp-ad*").num_rows > 0
    done = call("run", "logs", f"{DIGITS}/mlp-*")
    assert done.exit_code == 2
    assert f"'{DIGITS}/mlp-*' means 3 runs: {DIGITS}/" in done.stderr
    done = call("run", "info", f"{DIGITS}/mpl-*")
    assert done.exit_code == 4
    assert f"no run of {DIGITS} matches 'mpl-*'; runs of {DIGITS}: " in done.stderr


def test_several_runs_are_a_list(call: Callable[..., Result]) -> None:
    """One path gives one object, several or a pattern give a list."""
    one = json.loads(call("run", "info", f"{DIGITS}/linear").stdout)
    two = json.loads(call("run", "info", f"{DIGITS}/linear", f"{DIGITS}/diverged").stdout)
    assert one["name"] == "linear"
    assert [row["name"] for row in two] == ["linear", "diverged"]
    assert len(json.loads(call("run", "info", f"{DIGITS}/line?r").stdout)) == 1


def test_a_run_of_that_name_that_does_not_exist(call: Callable[..., Result]) -> None:
    """The error is that of the server, with runs that may be meant."""
    done = call("run", "info", f"{DIGITS}/divergd")
    assert done.exit_code == 4
    assert "404" in done.stderr
    assert "'diverged'" in done.stderr
