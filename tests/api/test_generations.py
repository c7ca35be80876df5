"""Older servers: each command gives the table of the newest server, or says why it cannot."""

from __future__ import annotations

import re
import warnings
from contextlib import ExitStack
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from reading_calls import CASES

import swanlab_export as se
from swanlab_export.sandbox import GENERATIONS, Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[[se.Api[pa.Table]], pa.Table]

DIGITS, SWEEP = "ada-lab/digits", "ada-lab/sweep"
RUN, LINEAR, CLONE = f"{DIGITS}/mlp-adam", f"{DIGITS}/linear", f"{DIGITS}/mlp-clone"
DIVERGED = f"{DIGITS}/diverged"  # has NaN and infinite points
IMAGES = "val/wrong digits"
NEW_USERS = [{"username": name, "password": "correct horse"} for name in ("bob", "dora")]
JUNE = r"this server does not offer {}; it came with client 0\.8\.0 \(June 2026\)"


def metrics(*paths: str, **options: Any) -> Call:
    """A call of ``run metrics``; by default about the loss of one run."""
    chosen = {"keys": "loss", **options}
    runs = paths if paths or "project" in chosen else (RUN,)
    return lambda api: api.run.metrics(*runs, **chosen)


def filtered(*rules: str, project: str = DIGITS) -> Call:
    """A call of ``run filter``."""
    return lambda api: api.run.filter(project, list(rules))


# Calls by which what an endpoint lacks is found out, and those that write; see also ``CASES``.
SAME: dict[str, Call] = {
    "create a user": lambda api: api.self_hosted.create_user("dora", "correct horse"),
    "create users": lambda api: api.self_hosted.create_users(NEW_USERS),
    "run list with summaries": lambda api: api.run.list(DIGITS, summary=True),
    "run list with some summaries": lambda api: api.run.list(DIGITS, summary=["loss", "val/*"]),
    "equal": filtered("state=FINISHED"),
    "greater in config": filtered("config.lr>0.1"),
    "less in summary": filtered("summary.loss<0.5"),
    "at least in summary": filtered("summary.loss>=0.1", "state in FINISHED,CRASHED"),
    "contains not": filtered("name!~sgd", project=SWEEP),
    "label": filtered("labels=good"),
    "not equal": filtered("group!=deep"),
    "times": filtered(
        "created_at>2026-02-10T09:00:00Z", "created_at<=2026-02-10T09:05:00.37Z", project=SWEEP
    ),
    "run summary": lambda api: api.run.summary(RUN, CLONE),
    "run summary of keys": lambda api: api.run.summary(project=DIGITS, keys=["loss", "val/*"]),
    "run series": lambda api: api.run.series(RUN),
    "run series of a clone": lambda api: api.run.series(CLONE, metric_class=None),
    "run series of media": lambda api: api.run.series(RUN, metric_type="MEDIA"),
    "run columns": lambda api: api.run.columns(RUN),
    "run column": lambda api: api.run.column(RUN, "loss"),
    "sample": metrics(),
    "sample of many keys": metrics(keys="*"),
    "sample of a few points": metrics(LINEAR, keys="*", sample=10_000),
    "wide sample": metrics(keys=["loss", "val/*"], layout="wide"),
    "sample by time": metrics(x_axis="time"),
    "sample by a key": metrics(x_axis="epoch"),
    "wide sample by a key": metrics(keys=["loss", "acc"], x_axis="epoch", layout="wide"),
    "sample of NaN": metrics(DIVERGED),
    "sample of runs": metrics(LINEAR, DIVERGED, f"{DIGITS}/offline", keys=["loss", "val/acc"]),
    "all": metrics(all=True),
    "all of NaN": metrics(DIVERGED, all=True),
    "all of many keys": metrics(keys="*", all=True),
    "all of a clone": metrics(CLONE, all=True),
    "all, wide": metrics(keys=["loss", "val/*"], all=True, layout="wide"),
    "all of a project": metrics(project=DIGITS, all=True),
    "all of a project, wide": metrics(project=DIGITS, keys="val/*", all=True, layout="wide"),
    "all by a key": metrics(keys=["loss", "acc"], all=True, x_axis="epoch"),
    "first": metrics(keys=["loss", "acc"], range_head=3),
    "last": metrics(keys=["loss", "acc"], range_tail=3),
    "steps": metrics(range_type="step", range_start=5, range_end=50),
    "by a key": metrics(x_axis="epoch", range_type="custom", range_start=2, range_end=3),
}

# Command, generation, what it says, and the columns that are the same; None where it is an error.
LESS: list[tuple[str, Call, str, str, list[str] | None]] = [
    (
        *("user info", lambda api: api.user.info(), "2.6"),
        JUNE.format("GET /user/profile"),
        ["username", "name"],
    ),
    (
        *("workspace info", lambda api: api.workspace.info("ada-lab"), "2.6"),
        "only tells its name and your role in it",
        ["username", "name", "role"],
    ),
    (
        *("sample of a long run", metrics(f"{DIGITS}/mlp-long", sample=100), "2.6"),
        "evenly downsampled",
        ["run_id", "key"],
    ),
    *(
        (name, call, "2.6", JUNE.format(endpoint), None)
        for name, call, endpoint in (
            ("medias", lambda api: api.run.medias(RUN, keys=IMAGES), "POST /house/metrics/media"),
            (
                "all medias",
                lambda api: api.run.medias(RUN, keys=IMAGES, all=True),
                "POST /house/metrics/f_media",
            ),
            ("logs", lambda api: api.run.logs(RUN), "GET /house/metrics/log"),
            ("a shard", lambda api: api.run.logs(RUN, offset=0), "GET /house/metrics/log"),
            (
                "export-logs",
                lambda api: api.run.export_logs(RUN),
                "POST /house/metrics/log/export",
            ),
            ("summary", lambda api: api.self_hosted.summary(), "GET /self_hosted/summary"),
            (
                "list-projects",
                lambda api: api.self_hosted.list_projects(),
                "GET /self_hosted/projects",
            ),
            (
                "list-workspaces",
                lambda api: api.self_hosted.list_workspaces(),
                "GET /self_hosted/groups",
            ),
            (
                "sample by relative time",
                metrics(x_axis="relative_time"),
                "POST /house/metrics/scalar",
            ),
        )
    ),
    *(
        (*("sample by relative time", metrics(x_axis="relative_time"), generation), says, None)
        for generation, says in (
            ("2.6", "; all=True computes it, in seconds, from every point"),
            (
                "2.8",
                r"samples on the axis 'relative_time', which came with client 0\.10\.1.*; all=",
            ),
        )
    ),
]


def make_comparable(table: pa.Table, url: str = "") -> pa.Table:
    """A table without the address of its server, and with NaN as text, which equals itself."""
    for place, field in enumerate(table.schema):
        column = table[field.name]
        if pa.types.is_floating(field.type):
            table = table.set_column(place, field.name, column.cast(pa.string()))
        elif url and pa.types.is_string(field.type):
            table = table.set_column(place, field.name, pc.replace_substring(column, url, "HOST"))
    return table


class Servers:
    """A sandbox of each generation over the sample data, and a connection to each."""

    def __init__(self) -> None:
        self.sandboxes = {name: Sandbox(generation=name).start() for name in GENERATIONS}
        self._newest: dict[str, pa.Table] = {}

    def connect(self, generation: str, faults: str = "") -> se.Api[pa.Table]:
        """A new connection, to a server that has recorded nothing yet."""
        sandbox = self.sandboxes[generation]
        sandbox.reset()
        sandbox.faults = parse_faults(faults.split())
        return se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow", retries=0)

    def refused(self, generation: str) -> list[str]:
        """The requests that got another status than 200."""
        requests = self.sandboxes[generation].requests
        return [f"{r.method} {r.path}" for r in requests if r.status >= 400]

    def ask(self, call: Call, generation: str, faults: str = "") -> tuple[pa.Table, list[str]]:
        """What a call gives, as a table that can be compared, and its warnings."""
        with (
            self.connect(generation, faults) as api,
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            table = call(api)
        found = make_comparable(table, self.sandboxes[generation].url)
        return found, [str(warning.message) for warning in caught]

    def newest(self, name: str) -> pa.Table:
        """The table that the newest server gives for one of the calls, asked once."""
        if name not in self._newest:
            self._newest[name], _ = self.ask(SAME[name], "3.1")
        return self._newest[name]

    def reset(self) -> None:
        """Forget what requests changed, and what was asked."""
        for sandbox in self.sandboxes.values():
            sandbox.reset()

    def stop(self) -> None:
        """Stop all of them."""
        for sandbox in self.sandboxes.values():
            sandbox.stop()


@pytest.fixture(scope="module")
def running_servers() -> Iterator[Servers]:
    """The sandboxes of all generations, for all tests of this module."""
    found = Servers()
    yield found
    found.stop()


@pytest.fixture
def servers(running_servers: Servers) -> Servers:
    """The same, without faults, recorded requests or anything that another test created."""
    running_servers.reset()
    return running_servers


@pytest.mark.parametrize("name", SAME)
def test_an_old_server_gives_the_same_table(name: str, servers: Servers) -> None:
    """The older way to a fact leads to the same rows, and the newest server is never refused."""
    newest, _ = servers.ask(SAME[name], "3.1")
    assert servers.refused("3.1") == []
    for generation in ("2.8", "2.6"):
        assert servers.ask(SAME[name], generation)[0] == newest


@pytest.mark.parametrize(
    ("call", "generation", "says", "columns"),
    [row[1:] for row in LESS],
    ids=[f"{row[0]} {row[2]}" for row in LESS],
)
def test_what_an_old_server_cannot_tell_is_said(
    call: Call, generation: str, says: str, columns: list[str] | None, servers: Servers
) -> None:
    """What has no older way is an error with exit code 1, or null with a warning."""
    with servers.connect("3.1") as newest, servers.connect(generation) as old:
        if columns is None:
            with pytest.raises(se.ServerError, match=says) as caught:
                call(old)
            assert caught.value.exit_code == 1
            return
        with pytest.warns(se.SwanlabExportWarning, match=says):
            found = call(old)
        assert found.schema.names == call(newest).schema.names
        assert found.select(columns).equals(call(newest).select(columns))


# What a generation lacks altogether, and what it tells only a part of.
LACKS = {
    "2.6": {"run.medias", "run.logs", "run.export_logs"}
    | {f"self_hosted.{name}" for name in ("list_projects", "list_workspaces", "summary")},
    "2.8": set[str](),
}
TELLS_LESS = {"2.6": {"user.info", "workspace.info"}, "2.8": set[str]()}
# What was presigned, or is the address of the sandbox.
PLACES = ("url", "file")


@pytest.fixture(scope="module")
def connected(running_servers: Servers) -> Iterator[dict[str, se.Api[pa.Table]]]:
    """One connection to each generation, for many calls."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(running_servers.connect(name)) for name in GENERATIONS}


def outcome(api: se.Api[pa.Table], name: str, args: Any, options: Any) -> tuple[Any, list[str]]:
    """The rows that a method gives, or its error, and what it warns of."""
    resource, _, method = name.partition(".")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            table = getattr(getattr(api, resource), method)(*args, **options)
        except (se.ServerError, se.NotFoundError) as error:
            return error, []
    kept = table.drop_columns([place for place in PLACES if place in table.column_names])
    kept = make_comparable(kept).replace_schema_metadata(None)
    return kept, [str(each.message) for each in caught]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]} {i}" for i, case in enumerate(CASES)])
def test_each_way_to_call_gives_the_same_table_or_says_why_not(
    case: tuple[str, Any, Any], connected: dict[str, se.Api[pa.Table]], servers: Servers
) -> None:
    """Every method with every option, on a connection that knows what its server lacks."""
    for sandbox in servers.sandboxes.values():
        sandbox.faults = parse_faults([])  # of other tests
    name, _, options = case
    newest, _ = outcome(connected["3.1"], *case)
    assert isinstance(newest, pa.Table)
    for generation in ("2.8", "2.6"):
        found, said = outcome(connected[generation], *case)
        is_newer = options.get("x_axis") == "relative_time" and "all" not in options
        if isinstance(found, se.NotFoundError):
            assert "and this server tells of no others" in str(found)
            assert name in TELLS_LESS[generation]
        elif name in LACKS[generation] or is_newer:
            assert isinstance(found, se.ServerError)
            assert found.exit_code == 1
            assert re.match(r"this server does not offer .* came with client 0\.", str(found))
        elif name in TELLS_LESS[generation]:
            assert any("this server" in text for text in said)
        elif found != newest:
            # The server has no samples; of few points each sample has all.
            assert (generation, name) == ("2.6", "run.metrics")
            assert any("evenly downsampled" in text for text in said)


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
@pytest.mark.parametrize(
    "name",
    [
        "all",
        "all of a project",
        "run series",
        "run summary of keys",
        "sample of many keys",
        "equal",
    ],
)
def test_an_endpoint_is_missed_once(name: str, generation: str, servers: Servers) -> None:
    """What the server lacks is found out by the first call of a connection alone."""
    with servers.connect(generation) as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SAME[name](api)
        servers.sandboxes[generation].reset_log()
        SAME[name](api)
    assert servers.refused(generation) == []


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", ["all", "all of a project, wide", "all by a key"])
def test_paths_as_presigned_urls(name: str, generation: str, servers: Servers) -> None:
    """A presigned path on the API host leads to the same table."""
    expected = servers.newest(name)
    assert servers.ask(SAME[name], generation, "relative-presign=1")[0] == expected


DATED: dict[str, Call] = {
    **{name: SAME[name] for name in ("run summary", "sample of many keys", "all of a project")},
    "key": metrics(keys="lo*", all=True),
    "media": lambda api: api.run.medias(RUN, keys=IMAGES, all=True).drop_columns(["url"]),
    "media of a step": lambda api: api.run.medias(RUN, keys=IMAGES, step=43).drop_columns(["url"]),
    "logs": lambda api: api.run.logs(RUN),
    "log": lambda api: api.run.export_logs(RUN).drop_columns(["url"]),
}


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
@pytest.mark.parametrize("name", DATED)
def test_creation_times_that_are_refused(name: str, generation: str, servers: Servers) -> None:
    """A server that refuses fields which it does not know is asked without creation times."""
    expected, _ = servers.ask(DATED[name], "3.1")
    assert servers.refused("3.1") == []
    with servers.connect(generation, "strict-fields=1") as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [make_comparable(DATED[name](api), servers.sandboxes[generation].url)]
        servers.sandboxes[generation].reset_log()
        found.append(make_comparable(DATED[name](api), servers.sandboxes[generation].url))
        assert servers.refused(generation) == []  # once per connection
    assert found == [expected] * 2


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
def test_samples_without_timestamps(generation: str, servers: Servers) -> None:
    """Where points come without their times, these are null and the rest is the same."""
    with servers.connect("3.1") as newest, servers.connect(generation, "no-timestamps=1") as old:
        names = ["run_id", "key", "step", "value"]
        found = metrics()(old)
        servers.sandboxes["3.1"].faults = parse_faults([])
        assert found["timestamp"].null_count == found.num_rows
        assert found.select(names).equals(metrics()(newest).select(names))


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
def test_samples_with_times_in_seconds(generation: str, servers: Servers) -> None:
    """Times that come in seconds are times of the same second."""
    with servers.connect("3.1") as newest, servers.connect(generation, "seconds=1") as old:
        found = metrics()(old)
        servers.sandboxes["3.1"].faults = parse_faults([])
        expected = metrics()(newest)
    whole = [time.replace(microsecond=0) for time in expected["timestamp"].to_pylist()]
    assert found["timestamp"].to_pylist() == whole
    assert found.drop_columns(["timestamp"]).equals(expected.drop_columns(["timestamp"]))


# Key, step, value, text and order of time of every point of the odd run; see the sandbox.
ODD_POINTS = [
    *(("decimal", step, 0.5 / 2**step, None, step) for step in range(3)),
    ("infinite", 0, inf, None, 0),
    ("infinite", 1, -inf, None, 1),
    *(("resumed", step, 8.0 - step, None, step) for step in (0, 1, 2)),
    ("resumed", 2, 6.5, None, 4),
    ("resumed", 3, 5.0, None, 3),
    ("resumed", 3, 5.5, None, 5),
    ("resumed", 4, 4.5, None, 6),
    ("words", 0, None, "warm", 0),
    ("words", 1, 1.0, None, 1),
    ("words", 2, None, "a, b", 2),
    ("words", 3, 7.0, None, 3),
    ("words", 4, 0.5, None, 4),
]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_words_decimal_steps_and_repeated_steps(generation: str) -> None:
    """They come whole through the exports of every generation, long and wide, and are counted."""
    with (
        Sandbox(generation=generation, synthetic=True) as sandbox,
        se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow") as api,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        path = "synthetic/bench/odd"
        rows = api.run.metrics(path, keys="*", all=True, text=True).to_pylist()
        plain = api.run.metrics(path, keys="words", all=True)["value"].to_pylist()
        wide = api.run.metrics(path, keys="*", all=True, layout="wide").to_pylist()
        last = api.run.metrics(path, keys="resumed", range_tail=3)["step"].to_pylist()
    first = min(row["timestamp"] for row in rows)
    assert [
        (
            r["key"],
            r["step"],
            r["value"],
            r["text"],
            (r["timestamp"] - first).microseconds // 100_000,
        )
        for r in rows
    ] == ODD_POINTS
    assert plain == [None, 1.0, None, 7.0, 0.5]
    assert [(row["step"], row["resumed"]) for row in wide] == [
        (0, 8),
        (1, 7),
        (2, 6.5),
        (3, 5.5),
        (4, 4.5),
    ]
    assert [row["decimal"] for row in wide] == [0.5, 0.25, 0.125, None, None]
    assert last == [2, 3, 4]  # the last that were logged
    said = sorted({str(each.message) for each in caught})
    parts = (
        "2 points with a step that comes again are left out",
        "2 values of value are not of its type",
        "has 2 rows with a step that came before",
    )
    for text, part in zip(said, parts, strict=True):
        assert part in text


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_key_of_which_a_sample_has_no_point(generation: str) -> None:
    """A sample leaves out NaN and infinite points, and says so where no other is left."""
    with (
        Sandbox(generation=generation, synthetic=True) as sandbox,
        se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow") as api,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        found = api.run.metrics("synthetic/bench/odd", keys="infinite,decimal")
        asked = sorted(r.path for r in sandbox.requests if "house" in r.path)
    assert set(found["key"].to_pylist()) == {"decimal"}
    said = [str(each.message) for each in caught if "finite" in str(each.message)]
    if generation == "2.6":
        assert said == ["2 points are left out because they are not finite"]
    else:
        (text,) = said
        assert "no others came of synthetic/bench/odd, key 'infinite'; all=True fetches" in text
        # The second is for points that are not finite beside others.
        assert asked == ["/house/metrics/scalar", "/house/metrics/summaries"]


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_sample_says_that_it_has_not_all_points(
    generation: str, servers: Servers, *, refused: bool
) -> None:
    """As far as the summaries tell; what they do not tell is no failure, and costs no repetition."""
    faults = "refuse=. where=summaries" if refused else ""
    call = metrics(DIVERGED, RUN, keys=["acc", "loss"])
    found, said = servers.ask(call, generation, faults)
    asked = [r for r in servers.sandboxes[generation].requests if r.path.endswith("/summaries")]
    about = f"leaves out NaN and infinite points, some of {DIVERGED}, key 'loss'; all=True fetches"
    assert [about in text for text in said if "finite" in text] == ([] if refused else [True])
    assert found.num_rows > 1000
    assert refused or len(asked) == 1


def test_a_sample_does_not_wait_for_summaries_that_never_come(servers: Servers) -> None:
    """What only adds a warning is waited for as long as for the next bytes of a server."""
    sandbox = servers.sandboxes["3.1"]
    sandbox.reset()
    sandbox.faults = parse_faults(["hang=1", "where=summaries"])
    options: Any = {"frame": "arrow", "timeout": 1, "retries": 20}
    with se.connect(host=sandbox.url, api_key=sandbox.api_key, **options) as api:
        assert api.run.metrics(DIVERGED, keys="loss").num_rows == 88
        # Far fewer than there are repetitions: they are not waited for.
        assert len([r for r in sandbox.requests if r.path.endswith("/summaries")]) < 10


def test_texts_that_are_kept_as_texts(tmp_path: Path) -> None:
    """TEXT media of older servers hold their text, and of newer ones the path of a file."""
    texts = ["The loss falls, slowly.", "It rises again: a smaller learning rate helps."]
    for generation in ("2.8", "3.1"):
        with (
            Sandbox(generation=generation, synthetic=True) as sandbox,
            se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow") as api,
        ):
            folder = tmp_path / generation
            run = "synthetic/bench/n10k1"
            found = api.run.medias(run, keys="note", all=True, download=folder).to_pylist()
            at_step = api.run.medias(run, keys="note", step=1).to_pylist()
        assert [row["caption"] for row in found] == ["note", "note"]
        if generation == "2.8":
            assert [row["text"] for row in [*found, *at_step]] == [*texts, texts[1]]
            assert {row[name] for row in found for name in ("path", "url", "file")} == {None}
        else:
            assert [row["text"] for row in [*found, *at_step]] == [None] * 3
            assert [(folder / row["file"]).read_text() for row in found] == texts


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "name", ["greater in config", "less in summary", "contains not", "times", "label"]
)
def test_operators_that_are_refused(name: str, generation: str, servers: Servers) -> None:
    """A server that refuses GT, LT and NOT_CONTAIN gives the same runs."""
    expected = servers.newest(name)
    assert servers.ask(SAME[name], generation, "strict-operators=1")[0] == expected


def test_only_not_contain_costs_a_list(servers: Servers) -> None:
    """GT and LT are never refused: they are sent as GTE and LTE."""
    servers.ask(SAME["greater in config"], "3.1", "strict-operators=1")
    assert servers.refused("3.1") == []
    servers.ask(SAME["contains not"], "3.1", "strict-operators=1")
    assert servers.refused("3.1") != []


def test_points_that_are_not_finite_are_counted(servers: Servers) -> None:
    """A sample out of exports says how many NaN and infinite points it leaves out."""
    _, said = servers.ask(metrics(DIVERGED), "2.6")
    assert any("352 points are left out because they are not finite" in text for text in said)


def test_evenly_downsampled_points(servers: Servers) -> None:
    """A sample out of exports has as many points as were asked for, the first and the last too."""
    path = f"{DIGITS}/mlp-long"
    with servers.connect("2.6") as api, pytest.warns(se.SwanlabExportWarning, match="evenly"):
        sample = api.run.metrics(path, keys="loss", sample=100)["step"].to_pylist()
    with servers.connect("2.6") as api:
        steps = api.run.metrics(path, keys="loss", all=True)["step"].to_pylist()
    assert len(sample) == 100
    assert (sample[0], sample[-1]) == (steps[0], steps[-1])
    gaps = {steps.index(b) - steps.index(a) for a, b in pairwise(sample)}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "call",
    [
        metrics(keys="los"),
        metrics(keys=["loss", "los"]),
        metrics(keys="los", all=True),
        metrics(x_axis="los"),
        metrics(project=DIGITS, keys="los"),
        lambda api: api.run.summary(RUN, keys="los"),
    ],
    ids=["sample", "two keys", "all", "axis", "project", "summary"],
)
def test_a_key_that_no_run_has(call: Call, generation: str, servers: Servers) -> None:
    """Every server's keys are searched for near misses."""
    says = pytest.raises(se.NotFoundError, match=r"no scalar key 'los' in .*'loss'")
    with servers.connect(generation) as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with says:
            call(api)


def test_nothing_is_written_for_a_key_that_no_run_has(call: Any) -> None:
    """A sample is printed only once each of its keys has been met."""
    for keys in ("los", "loss,los"):
        found = call("run", "metrics", LINEAR, DIVERGED, "--keys", keys)
        assert (found.exit_code, found.stdout) == (4, "")


def test_a_media_key_that_the_run_lacks(servers: Servers) -> None:
    """Media keys are searched only when a key brought nothing."""
    for generation in ("2.8", "3.1"):
        with servers.connect(generation) as api:
            api.run.medias(RUN, keys=IMAGES, all=True)
            assert not [r for r in servers.sandboxes[generation].requests if "keys" in r.path]
            with pytest.raises(se.NotFoundError, match=r"no media key 'wrong' in .*'val/wrong"):
                api.run.medias(RUN, keys="wrong", all=True)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_missing_object_is_no_missing_endpoint(generation: str, servers: Servers) -> None:
    """A workspace, project or run that does not exist is not found, on any server."""
    calls: list[Call] = [
        lambda api: api.workspace.info("nobody"),
        lambda api: api.project.info("ada-lab/none"),
        lambda api: api.run.info(f"{DIGITS}/none"),
        lambda api: api.run.filter("ada-lab/none", "state=FINISHED"),
        lambda api: api.run.metrics(project="ada-lab/none", where="state=FINISHED", keys="loss"),
    ]
    for call in calls:
        with servers.connect(generation) as api, pytest.raises(se.NotFoundError):
            call(api)


# The id of mlp-adam, and that of a run without the key epoch.
GONE, OFFLINE = "bzb9bh4i7rgzgd352u0vk", "5i07pdxamvq8jo4m0y7rp"
# The server does not tell which keys there are.
UNTOLD = r"where=metrics/summaries/|column$"
OF_ALL = {"project": DIGITS, "keys": "val/acc"}


def names(table: pa.Table) -> set[str]:
    """The runs of a table."""
    return set(table["run_name"].to_pylist())


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
@pytest.mark.parametrize("fault", [f"gone={GONE}", f"gone={GONE}/column/csv"], ids=["run", "file"])
def test_a_run_whose_export_is_not_found_is_left_out(
    fault: str, generation: str, servers: Servers
) -> None:
    """It is not taken for a run without the key, nor for a server without exports."""
    call = metrics(**OF_ALL, range_tail=1)
    others = names(servers.ask(call, "3.1")[0]) - {"mlp-adam"}
    says = rf"/{GONE}: GET /experiment/{GONE}/column/csv failed with status 404.* other 15 runs"
    with servers.connect(generation, fault) as api, pytest.raises(se.NotFoundError, match=says):
        call(api)
    with servers.connect(generation, fault) as api:
        with pytest.warns(se.SwanlabExportWarning) as caught:
            found = metrics(**OF_ALL, range_tail=1, partial=True)(api)
        (left_out,) = api.left_out
    assert len(others) == 14
    assert names(found) == others
    assert left_out["item"] == f"{DIGITS}/{GONE}"
    assert f"GET /experiment/{GONE}/column/csv failed with status 404" in left_out["reason"]
    counts = [str(each.message) for each in caught if "runs have" in str(each.message)]
    # The run that is left out counts as one that has the key, as on newer servers.
    assert counts == ["15 of 16 runs have val/acc"]


@pytest.mark.parametrize("name", ["m.parquet", "m.png"])
def test_a_file_without_a_run_of_an_old_server_says_so(
    name: str, servers: Servers, tmp_path: Path
) -> None:
    """Statistics of groups and pictures, too, are marked where a run is missing in them."""
    options: Any = {"project": DIGITS, "keys": "val/acc", "partial": True}
    options |= {"group_by": "state"} if name == "m.parquet" else {}
    with servers.connect("2.6", f"gone={GONE}") as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api.run.metrics(save=tmp_path / name, **options)
        assert [each["item"] for each in api.left_out] == [f"{DIGITS}/{GONE}"]
    mark = tmp_path / f"{name}.incomplete.json"
    assert mark.exists() == (name == "m.png")


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
@pytest.mark.parametrize("jobs", [1, 8])
def test_the_first_run_has_no_file(jobs: int, generation: str, servers: Servers) -> None:
    """Where no file has come yet, that of the next run tells whether the server has any."""
    sandbox = servers.sandboxes[generation]
    sandbox.faults = parse_faults([f"gone={GONE}/column/csv"])
    call: Any = {"keys": "val/acc", "range_tail": 1}
    access: Any = {"api_key": sandbox.api_key, "frame": "arrow", "retries": 0, "jobs": jobs}
    says = pytest.raises(se.NotFoundError, match=f"^{RUN}: GET /experiment/.* status 404")
    with se.connect(host=sandbox.url, **access) as api, says:
        api.run.metrics(RUN, LINEAR, **call)
    with se.connect(host=sandbox.url, **access) as api:
        with pytest.warns(se.SwanlabExportWarning, match="1 item left out"):
            found = api.run.metrics(RUN, LINEAR, **call, partial=True)
        assert [each["item"] for each in api.left_out] == [RUN]
    assert names(found) == {"linear"}


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
def test_a_run_whose_keys_are_not_told_and_that_lacks_one(
    generation: str, servers: Servers
) -> None:
    """It is no failure, costs a request for the run, and is not counted among the runs that have the key."""
    call = metrics(project=DIGITS, keys=["epoch", "val/acc"], range_tail=1)
    expected, said = servers.ask(call, generation)
    counts = [text for text in said if "runs have" in text]
    assert counts == ["14 of 16 runs have epoch", "15 of 16 runs have val/acc"]
    fault = rf"gone={OFFLINE}|{GONE} {UNTOLD}"
    found, said = servers.ask(call, generation, fault)
    assert found == expected
    assert [text for text in said if "runs have" in text] == counts
    asked = [r.path for r in servers.sandboxes[generation].requests if "/runs/" in r.path]
    assert asked[:1] == [f"/project/{DIGITS}/runs/{OFFLINE}"]
    assert len(asked) <= 2  # two keys can be found missing concurrently


def test_many_runs_that_lack_a_key(servers: Servers) -> None:
    """None of them counts as one of the 20 bad items after which the rest is given up."""
    call = metrics(project=[SWEEP, DIGITS], keys="epoch", range_tail=1)
    expected, _ = servers.ask(call, "3.1")
    found, said = servers.ask(call, "2.6", rf"gone=. {UNTOLD}")
    assert found == expected
    assert any("14 of 146 runs have epoch" in text for text in said)


def test_the_keys_of_runs_that_are_gone_are_few_bad_items(servers: Servers) -> None:
    """However many keys it has, a run that is gone is one of the 20 bad items."""
    gone = [GONE, "j0lblxjpvcoz4el6t8voc", "vjmeut64bes08yxk1hg63"]  # with nine keys each
    call = metrics(project=DIGITS, keys="*", range_tail=1, partial=True)
    faults = f"gone={'|'.join(gone)}"
    with servers.connect("2.6", faults) as api, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = call(api)
        assert {each["item"] for each in api.left_out} == {f"{DIGITS}/{each}" for each in gone}
    assert len(names(found)) == 12


def test_files_of_an_old_server_are_given_up(servers: Servers) -> None:
    """After 20 bad items no more is requested, and the rest is named as such."""
    call = metrics(project=SWEEP, keys="loss", range_tail=1, partial=True)
    fault = "refuse=. where=column/csv"
    with servers.connect("2.8", fault) as api, pytest.raises(se.IncompleteError, match="400"):
        call(api)
    asked = [r for r in servers.sandboxes["2.8"].requests if r.path.endswith("/csv")]
    assert 20 <= len(asked) < 130


def test_a_sample_of_a_run_whose_keys_are_not_told() -> None:
    """What the samples bring tells which runs have which of many keys."""
    with (
        Sandbox(generation="2.8", synthetic=True) as sandbox,
        se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow") as api,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        sandbox.faults = parse_faults(["gone=n10k18", UNTOLD])
        runs = [f"synthetic/bench/{name}" for name in ("n10k20", "n10k18")]
        found = api.run.metrics(*runs, keys="k*", sample=5)
    assert (
        len(set(zip(*(found[name].to_pylist() for name in ("run_id", "key")), strict=True))) == 38
    )
    counts = sorted(str(each.message) for each in caught if "runs have" in str(each.message))
    assert counts == ["1 of 2 runs have k18", "1 of 2 runs have k19"]
