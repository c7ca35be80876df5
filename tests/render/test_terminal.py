"""``--format table``: what is shown at which width, and that nothing in it deceives."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from swanlab_export import schemas
from swanlab_export.cells import escape_controls
from swanlab_export.errors import IncompleteError
from swanlab_export.render.columns import list_columns
from swanlab_export.render.terminal import ROWS_MAX, write_terminal
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

RULE = re.compile("─+")


def of(columns: dict[str, Any], *, is_single: bool = False) -> Table:
    """A table of one batch."""
    batch = pa.record_batch(columns)
    return Table("t", batch.schema, [batch], is_single=is_single)


def screen(table: Table, width: int = 60, *, is_chosen: bool = False) -> list[str]:
    """The lines that a terminal shows; none is wider than it is."""
    stream = io.StringIO()
    write_terminal(table, stream, width=width, is_coloured=False, is_chosen=is_chosen)
    lines = stream.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return lines


def header(lines: list[str]) -> list[str]:
    """The columns that are shown."""
    return lines[0].split()


def body(lines: list[str]) -> list[str]:
    """The rows that are shown, without remarks."""
    assert RULE.fullmatch(lines[1])
    ends = [
        i
        for i, line in enumerate(lines)
        if line.startswith(("… ", "no rows", "the same in", "not shown"))
    ]
    end = ends[0] if ends else len(lines)
    return lines[2:end]


def remarks(lines: list[str]) -> str:
    """What is said below the rows."""
    return " ".join(line.strip() for line in lines[2 + len(body(lines)) :])


def test_all_rows_are_read_and_counted() -> None:
    """The line below says how many rows are not shown, whatever the batches are; all are read."""
    batch = pa.record_batch({"step": list(range(700))})

    def batches() -> Iterator[pa.RecordBatch]:
        yield from [batch] * 29
        read_to_end.append(True)

    read_to_end: list[bool] = []
    lines = screen(Table("t", batch.schema, batches()))
    assert len(body(lines)) == ROWS_MAX
    assert remarks(lines) == "… 19,300 more rows: --save has all"
    assert read_to_end
    one_more = screen(of({"step": list(range(ROWS_MAX + 1))}))
    assert remarks(one_more) == "… 1 more row: --save has all"
    assert len(screen(of({"step": list(range(ROWS_MAX))}))) == 2 + ROWS_MAX


def test_an_error_leaves_no_half_of_a_table() -> None:
    """Where the rows end in an error, be it late, nothing is drawn."""
    batch = pa.record_batch({"step": list(range(ROWS_MAX))})

    def batches() -> Iterator[pa.RecordBatch]:
        yield batch
        yield batch
        raise IncompleteError("cut off")

    stream = io.StringIO()
    with pytest.raises(IncompleteError, match="cut off"):
        write_terminal(Table("t", batch.schema, batches()), stream, width=80, is_coloured=True)
    assert not stream.getvalue()


def test_a_broken_pipe_reaches_the_caller() -> None:
    """A broken pipe reaches the caller, for whom it is no failure."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        write_terminal(of({"step": [1]}), Gone(), width=80, is_coloured=False)


def test_lists_are_shown_as_words() -> None:
    """Labels are their names, with commas; no label is blank, no list is a dash."""
    labels = pa.array([["good", "to keep"], [], None], schemas.TEXTS)
    lines = screen(of({"path": ["a/b", "a/c", "a/d"], "labels": labels}))
    assert [line[6:].strip() for line in body(lines)] == ["good, to keep", "", "–"]


def test_nothing_is_quoted() -> None:
    """Quotes, commas and nothing at all are shown as they are, also where batches are encoded."""
    cells = ['say "x"', "a,b", ""]
    columns = {"id": ["a", "b", "c"], "text": cells, "key": cells}
    encoded = pa.record_batch(columns | {"key": pa.array(cells).dictionary_encode()})
    table = Table("t", pa.record_batch(columns).schema, [encoded])
    assert body(screen(table)) == ['a   say "x"  say "x"', "b   a,b      a,b", "c"]


def test_nothing_is_cut_that_has_room() -> None:
    """Cells and headers are whole as long as they fit; a table may fill its width to the last cell."""
    columns = {"step": [1], "item": [0], "path": ["x" * 40], "caption": ["y" * 56]}
    lines = screen(of(columns), 4 + 2 + 4 + 2 + 40 + 2 + 56)
    assert header(lines) == list(columns)
    assert "…" not in "".join(lines)


def test_widths_are_counted_in_cells_of_the_terminal() -> None:
    """Wide characters and emoji take two cells: they are neither cut early nor do they break lines."""
    keys = ["准确率, top 2 (%)", "loss 🙂", "e\u0301te\u0301"]
    table = of({"key": keys, "value": [1.5, 2.5, 3.5]})
    lines = screen(table, 17 + 2 + 5)
    assert lines[2] == "准确率, top 2 (%)    1.5"
    assert {cell_len(line) for line in lines} == {24}
    cut = screen(of({"id": ["a"], "key": ["准确率" * 9], "value": [1.5]}), 32)
    assert cut[2] == "a   准确率准确率准确率准…    1.5"


@pytest.mark.parametrize("width", [80, 120, 200])
def test_what_is_left_over_goes_to_what_is_cut(width: int) -> None:
    """Long messages get all of the width that the other columns leave."""
    lines = screen(
        of({"line": [1, 2], "level": ["ERROR", "INFO"], "message": ["m " * 200, "short"]}), width
    )
    assert cell_len(lines[2]) == width
    assert lines[2].endswith("…")


def test_columns_that_are_cut_share_what_is_left() -> None:
    """Of two long texts none gets more than the other; a shorter one gets what it needs."""
    columns = {"id": ["a"], "key": ["b"]}
    columns |= {"x": ["x " * 99], "y": ["y " * 99], "z": ["z " * 12 + "."]}
    (row,) = body(screen(of(columns), 90))
    assert abs(row.count("x") - row.count("y")) <= 1
    assert row.count("z") == 12


def test_what_people_copy_is_whole() -> None:
    """Fewer columns are shown rather than a part of an id, a key or a URL; the first always is."""
    path = "ada-lab/digits/h6rami2506r6f4xzfo4ei"
    columns: dict[str, Any] = {"path": [path, path[::-1]], "slug": ["s" * 30, "t"]}
    columns |= {"name": ["n " * 20, "o"], "url": ["https://x.org/" + "y" * 20, "https://x.org/z"]}
    lines = screen(of(columns), 110)
    assert header(lines) == ["path", "slug", "name"]
    assert body(lines)[0].startswith(f"{path}  {'s' * 30}  n n")
    assert remarks(lines) == ("not shown: url … 1 more column: --fields lists them, --save has all")
    narrow = screen(of({"path": columns["path"]}), 20)
    assert body(narrow)[0] == path[:19] + "…"


def test_headers_of_narrow_numbers_are_cut_in_front() -> None:
    """A long name does not make its numbers wide, and shows its end, where names differ."""
    names = ["config.model.encoder.layers", "config.model.decoder.layers"]
    lines = screen(of({"id": ["a", "b"], **{name: [1, 2] for name in names}}), 46)
    assert header(lines) == ["id", "…odel.encoder.layers", "…odel.decoder.layers"]


def test_what_is_the_same_everywhere_is_said_once() -> None:
    """Columns with one value are on one line below, empty ones are counted, others named."""
    columns: dict[str, Any] = {
        "step": [1, 2],
        "state": ["DONE"] * 2,
        "none": pa.array([None, None], pa.string()),
        "seed": [7, 7],
        "blank": ["", ""],
        "message": ["m " * 99, "n " * 99],
    }
    lines = screen(of(columns), 30)
    assert header(lines) == ["step", "message"]
    assert lines[4:] == [
        "the same in all rows: state=D…",
        "… 4 more columns (2 constant,",
        "2 empty): --fields lists them,",
        "--save has all",
    ]
    assert header(screen(of({"state": ["DONE"] * 2, "seed": [7, 7]}))) == ["state", "seed"]
    many = of({"step": list(range(1001)), "state": ["DONE"] * 1001})
    assert "the same in these rows: state=DONE" in remarks(screen(many))


def runs(names: list[str], **more: list[Any]) -> Table:
    """A list of runs."""
    columns: dict[str, Any] = {"path": [f"ada-lab/sweep/{i}" for i in range(len(names))]}
    columns |= {"run_id": list("abcdefgh"[: len(names)]), "name": names}
    columns |= {
        "state": ["FINISHED", "CRASHED"] * (len(names) // 2),
        "duration_s": range(len(names)),
    }
    batch = pa.record_batch({name: list(cells) for name, cells in (columns | more).items()})
    return Table("runs", batch.schema, [batch])


def test_columns_of_runs_come_as_people_compare_runs() -> None:
    """Name, configs, summaries, state, times, path; a config of few runs is not among them."""
    more: dict[str, list[Any]] = {"config.rare": [1, None, None, None], "summary.acc": [1, 2, 3, 4]}
    more |= {"summary.__swanlab__.mem": [1, 2, 3, 4], "config.lr": [0.1, 0.2, 0.3, 0.4]}
    expected = ["name", "config.lr", "summary.acc", "state", "duration_s", "path", "run_id"]
    lines = screen(runs(list("abcd"), **more), 150)
    assert header(lines) == [*expected, "config.rare", "…ary.__swanlab__.mem"]


def test_summaries_are_shown_however_many_configs_there_are() -> None:
    """An option asked for them: configs get what is left."""
    more = {f"config.number_{i}": [i, i + 1] for i in range(9)} | {"summary.acc": [0.5, 0.25]}
    lines = screen(runs(["one", "two"], **more), 50)
    assert header(lines) == ["name", "config.number_0", "summary.acc", "state"]


def test_states_are_shown_however_many_configs_there_are() -> None:
    """Which runs crashed is the first question of those who list runs."""
    more = {f"config.number_{i}": [i, i + 1] for i in range(9)}
    lines = screen(runs(["one", "two"], **more), 56)
    assert header(lines)[:4] == ["name", "config.number_0", "config.number_1", "state"]


def test_what_gives_the_order_is_shown() -> None:
    """However many configs and summaries are before it, at its place among the columns."""
    more: dict[str, list[Any]] = {f"config.number_{i}": [i, i + 1] for i in range(9)}
    more |= {f"summary.{name}": [0.5, 0.25] for name in ("acc", "loss", "f1")}
    table = runs(["one", "two"], **more)
    assert "duration_s" not in header(screen(table, 60))
    table.asked_for = ["duration_s", "config.number_7"]
    lines = screen(table, 60)
    assert header(lines) == ["name", "…nfig.number_7", "summary.acc", "summary.loss", "duration_s"]


def test_statistics_of_groups_have_short_headers_where_there_is_no_room() -> None:
    """Mean and spread of every summary come before its ends, and counts last."""
    kinds = ("n", "mean", "std", "min", "max", "n_nonfinite")
    columns: dict[str, Any] = {"config.lr": [0.1, 0.2], "n": [3, 4]}
    columns |= {f"summary.{key}.{kind}": [1.5, 2.5] for key in ("acc", "loss") for kind in kinds}
    batch = pa.record_batch(columns)
    table = Table("groups", batch.schema, [batch])
    table.asked_for = ["config.lr"]
    statistics = [f"summary.{key}.{kind}" for key in ("acc", "loss") for kind in ("mean", "std")]
    assert header(screen(table, 250))[:6] == ["config.lr", "n", *statistics]
    assert header(screen(table, 250))[6] == "summary.acc.min"
    short = ["…mary.acc.mean", "…mmary.acc.std", "…ary.loss.mean", "…mary.loss.std"]
    assert header(screen(table, 80)) == ["config.lr", "n", *short]


def test_columns_of_projects_say_whose_and_how_large_they_are() -> None:
    """Owner, name, counts and times come before what else there is, and the path after them."""
    names = ["path", "name", "project_id", "workspace", "description", "count.experiments"]
    names += ["created_at", "url", "group.type"]
    batch = pa.record_batch({name: [f"{name}1", f"{name}2"] for name in names})
    assert header(screen(Table("projects", batch.schema, [batch]), 150)) == [
        *("workspace", "name", "count.experiments", "created_at", "description", "path"),
        *("project_id", "group.type", "url"),
    ]


def test_runs_of_one_name_are_told_apart() -> None:
    """Where names are not distinct, ids are beside them."""
    assert header(screen(runs(["a", "b"])))[:2] == ["name", "state"]
    assert header(screen(runs(["a", "b", "a", "b"])))[:2] == ["run_id", "name"]


def test_points_are_named_after_their_runs() -> None:
    """The name of the run comes first, with the columns of it; its id is last, unless it is needed."""
    columns: dict[str, Any] = {"run_id": ["x", "y"], "step": [1, 2], "run_name": ["a", "b"]}
    columns |= {"range": ["[1]", "[2]"], "config.lr": [0.1, 0.2]}
    assert header(screen(of(columns))) == ["run_name", "config.lr", "step", "range", "run_id"]
    columns["run_name"] = ["a", "a"]
    columns["step"] = [1, 1]
    assert header(screen(of(columns))) == ["run_id", "config.lr", "range"]
    three = {"run_id": ["x", "y", "z"], "run_name": ["a", "a", "b"], "step": [1, 2, 3]}
    assert header(screen(of(three))) == ["run_name", "run_id", "step"]


def test_no_rows_is_said() -> None:
    """An empty table shows its columns, and says that it is empty."""
    schema = pa.schema([(name, pa.string()) for name in ("path", "name", "description")])
    lines = screen(Table("t", schema, []), 22)
    assert header(lines) == ["path", "name"]
    assert lines[2:] == ["no rows"]


def test_columns_are_listed() -> None:
    """Each column is a row: its type, how many rows have a value, and the first one."""
    when = pa.array([None, datetime(2026, 1, 5, 8, tzinfo=UTC)], schemas.TIME)
    first = pa.record_batch({"key": pa.array(["a", "b"]).dictionary_encode(), "when": when})
    batch = pa.record_batch({"key": ["c"], "when": pa.array([None], schemas.TIME)})
    listed = list_columns(Table("t", batch.schema, [first, batch])).to_arrow().to_pydict()
    assert listed == {
        "column": ["key", "when"],
        "type": ["string", "timestamp[ms, tz=UTC]"],
        "filled": [3, 1],
        "example": ["a", "2026-01-05T08:00:00.000Z"],
    }


def test_numbers_and_times_are_never_cut() -> None:
    """A part of a number would be another number: it is shown whole or not at all."""
    columns = {
        "key": ["loss", "acc"],
        "big": [2**62, 1],
        "when": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2, schemas.TIME),
    }
    assert str(2**62) in screen(of(columns), 25)[2]
    assert header(screen(of(columns), 24)) == ["key"]
    assert screen(of({"big": [2**62]}), 10)[2] == "461168601…"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-2.299999952316284, "-2.3"),
        (0.06324555320336759, "0.0632456"),
        (0.999999999, "1.0"),
        (0.000123456789, "0.000123457"),
        (1.23456789e-7, "1.23457e-7"),
        (1.2000000001e-7, "1.2e-7"),
        (355.1151, "355.115"),
        (1234567.891, "1234567.9"),
        (14080.0, "14080.0"),
        (123456789.0, "123456789.0"),
        (1.23456789e300, "1.23457e+300"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        (float("nan"), "NaN"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
    ],
)
def test_floats_have_about_six_digits(value: float, expected: str) -> None:
    """Long floats are rounded and still read as floats; short ones and integers stay as they are."""
    assert body(screen(of({"value": [value]}))) == [expected.rjust(max(5, len(expected)))]


def test_numbers_are_aligned_right_and_integers_exact() -> None:
    """Integers keep all digits; numbers are aligned at their ends."""
    lines = screen(of({"key": ["a", "b"], "step": [7, 2**60], "value": [0.5, 12.25]}))
    assert lines == [
        "key                 step  value",
        "─" * 31,
        "a                      7    0.5",
        "b    1152921504606846976  12.25",
    ]


def test_times_are_short_and_say_that_they_are_utc() -> None:
    """Times end in Z, and have milliseconds only where several share a second."""
    times = [datetime(2026, 1, 12, 0, 0, 1, us, UTC) for us in (500_000, 0)]
    other = datetime(2026, 1, 12, 0, 0, 2, 7000, UTC)
    table = {
        "a": pa.array([times[0], other, None], schemas.TIME),
        "b": pa.array([times[0], times[1], None], schemas.TIME),
        "c": pa.array([times[0], times[0], other], schemas.TIME),
    }
    rows = [re.split("  +", line) for line in body(screen(of(table), 80))]
    assert [row[0] for row in rows] == ["2026-01-12 00:00:01Z", "2026-01-12 00:00:02Z", "–"]
    assert [row[1] for row in rows] == ["2026-01-12 00:00:01.500Z", "2026-01-12 00:00:01.000Z", "–"]
    assert [row[2] for row in rows] == ["2026-01-12 00:00:01Z"] * 2 + ["2026-01-12 00:00:02Z"]


def test_chosen_columns_are_all_shown() -> None:
    """Columns that were chosen are cut before one is left out, and none is left out first."""
    columns = {
        "path": ["lab/digits/" + "x" * 20] * 2,
        "none": pa.array([None, None], pa.string()),
        "url": ["https://swanlab.cn/" + "y" * 60] * 2,
        "seed": [7, 7],
    }
    lines = screen(of(columns), 60, is_chosen=True)
    assert header(lines) == list(columns)
    assert len(lines) == 4
    assert header(screen(of(columns), 14, is_chosen=True)) == ["path", "none"]
    names = [f"config.model.encoder.layer{i}" for i in range(6)]
    many = of({"name": ["n" * 30], **{name: [1] for name in names}})
    assert len(header(screen(many, 80, is_chosen=True))) == 7
    assert len(header(screen(many, 80))) == 3
    assert screen(of({"url": columns["url"]}), 40, is_chosen=True)[2].endswith("…")


def test_no_columns_are_said() -> None:
    """A table that has no columns at all is no empty screen."""
    batch = pa.RecordBatch.from_struct_array(pa.array([{}], pa.struct([])))
    assert screen(Table("t", batch.schema, [batch], is_single=True)) == ["no columns"]


def test_one_entity_is_fields_and_values() -> None:
    """A single entity is fields and values: formatted as in tables, dashes for what is missing."""
    columns = {
        "name": ["digits"],
        "labels": [["mlp", "to keep"]],
        "runs": [16],
        "loss": [0.06324555320336759],
        "created_at": pa.array([datetime(2026, 1, 5, 8, tzinfo=UTC)], schemas.TIME),
        "group": pa.array([None], pa.string()),
        "note": ["two\r\nlines\n"],
    }
    assert screen(of(columns, is_single=True)) == [
        "field       value",
        "─" * 32,
        "name        digits",
        "labels      mlp, to keep",
        "runs        16",
        "loss        0.0632456",
        "created_at  2026-01-05 08:00:00Z",
        "group       –",
        "note        two",
        "            lines",
    ]


def test_long_values_of_an_entity_go_on_below_and_end() -> None:
    """Long names and values are wrapped; of a value with very many lines the first are shown."""
    columns = {
        "metadata.hardware.some.very.long.name": ["y" * 50],
        "requirements": ["\n".join(f"package{i}==1.0" for i in range(100))],
    }
    lines = screen(of(columns, is_single=True), 60)
    assert (
        "".join(line[:30].strip() for line in lines[2:4]) == "metadata.hardware.some.very.long.name"
    )
    assert sum(line.count("y") for line in lines if "require" not in line) - 1 == 50
    assert any(line.endswith("package9==1.0") for line in lines)
    assert lines[-2].strip() == "… 90 more lines"
    assert lines[-1] == "… more of long values: --save has all"
    endless = screen(of({"note": ["x" * 5000]}, is_single=True), 80)
    assert len(endless) == 8
    assert endless[-2].endswith("…")


def test_an_entity_that_is_several_is_a_list() -> None:
    """Rows of what should be one entity are all shown."""
    lines = screen(of({"name": ["a", "b"]}, is_single=True))
    assert lines == ["name", "────", "a", "b"]


def test_a_terminal_obeys_nothing_that_a_server_sent() -> None:
    """Escapes, controls and marks that reorder text are escaped, also in names and values."""
    evil = {"name\x1b[2J": ["a\x1b]0;owned\x07b", "c\u202ed", "e\nf\tg"]}
    for table in (of(evil), of({name: cells[:1] for name, cells in evil.items()}, is_single=True)):
        lines = screen(table)
        assert not {"\x1b", "\x07", "\u202e", "\t"} & set("".join(lines))
        assert any("name\\u001b[2J" in line for line in lines)
    assert body(screen(of(evil)))[2] == "e⏎f g"
    assert escape_controls("\x1b[1m") == "\\u001b[1m"
    assert escape_controls("学 é 🙂") == "学 é 🙂"
    assert header(screen(of({"[bold]:bug:": ["[red]:bug:[/red]"]}))) == ["[bold]:bug:"]


def drawn(*, is_coloured: bool) -> str:
    """A small table, with all escapes."""
    stream = io.StringIO()
    write_terminal(of({"a": ["x"], "b": [None]}), stream, width=70, is_coloured=is_coloured)
    return stream.getvalue()


def test_only_terminals_with_colours_get_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bold and dim are for terminals that take them, whatever other programs are told."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in drawn(is_coloured=True)
    assert "\x1b" not in drawn(is_coloured=False)


def lines_in(encoding: str, columns: dict[str, Any]) -> list[bytes]:
    """The lines that a terminal of this encoding gets; each is a single byte for each cell."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding, newline="")
    write_terminal(of(columns), stream, width=60, is_coloured=False)
    stream.flush()
    return raw.getvalue().splitlines()


def test_a_terminal_in_gbk_has_aligned_columns() -> None:
    """Characters of two bytes have two cells there, lines are ASCII, and an emoji is an escape."""
    columns = {
        "name": ["学习率", "loss", "a🙂", None],
        "long": ["学" * 99, "b", "c", "d"],
        "end": [1, 2, 3, 4],
    }
    lines = lines_in("gbk", columns)
    assert {len(line) for line in lines} == {60}
    assert set(lines[1].decode("ascii")) == {"-"}
    assert "学习率" in lines[2].decode("gbk")
    assert "学 ~" in lines[2].decode("gbk")
    assert b"a\\U0001f642" in lines[4]
    assert lines[5].startswith(b"- ")


def test_a_terminal_in_ascii_has_aligned_columns() -> None:
    """What ASCII lacks is an escape, which is measured before columns are aligned."""
    lines = lines_in("ascii", {"准": ["é", "x", None], "end": [1, 2, 3]})
    assert lines[0] == b"\\u51c6  end"
    assert set(lines[1]) == {ord("-")}
    assert [line.rstrip()[-1:] for line in lines[2:]] == [b"1", b"2", b"3"]
    assert len({len(line) for line in lines}) == 1


CELLS = st.one_of(st.none(), st.text(max_size=90))
COLUMNS = st.lists(
    st.one_of(
        st.lists(CELLS, min_size=2, max_size=2).map(lambda cells: pa.array(cells, pa.string())),
        st.lists(st.floats() | st.none(), min_size=2, max_size=2).map(
            lambda cells: pa.array(cells, pa.float64())
        ),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2).map(pa.array),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(COLUMNS, st.lists(st.text(min_size=1, max_size=30), min_size=9, max_size=9, unique=True),
       st.integers(1, 150), st.booleans(), st.booleans())  # fmt: skip
def test_any_table_fits_any_terminal(
    columns: list[pa.Array], names: list[str], width: int, is_chosen: bool, is_single: bool
) -> None:
    """Whatever the cells and the width are, no line is wider, and something is shown."""
    batch = pa.record_batch(columns, names=names[: len(columns)])
    rows = batch.slice(0, 1) if is_single else batch
    lines = screen(
        Table("t", batch.schema, [rows], is_single=is_single), width, is_chosen=is_chosen
    )
    assert len(lines) >= 3


@pytest.mark.parametrize("code", [0x2028, 0x2029, 0x202E, 0x200F, 0x1B, 0x7F, 0x9B])
def test_what_a_terminal_would_obey_is_escaped(code: int) -> None:
    """Separators of lines and paragraphs, marks that reorder text, escapes and controls."""
    assert escape_controls(f"a{chr(code)}b") == f"a\\u{code:04x}b"


def test_cells_of_the_first_column_stay_different() -> None:
    """They are cut behind what tells them apart, as long as that leaves half of the terminal."""
    names = [f"a name with a long beginning {i} and an end" for i in range(3)]
    notes = ["a b " * 20, "c", "d"]
    # With 20 for each, there is room for a third column.
    shown = body(screen(of({"name": names, "note": notes, "other": notes}), 64))
    assert len({line.split("  ")[0] for line in shown}) == 3


def test_endpoints_say_what_came_of_them_first() -> None:
    """In a narrow terminal, what the server lacks is seen, and of which endpoint it is said."""
    start = "GET /project/{workspace}/{project}/runs"
    columns = {
        "endpoint": [start, f"{start}/{{run}}", "POST /x"],
        "generation": ["since 2.6"] * 2 + ["since 2.8"],
        "status": [200, 404, 200],
        "took_ms": [1.0, 2.0, 3.0],
        "size_bytes": [1, 2, 3],
        "result": ["as declared", "missing", "as declared"],
        "differences": [None, None, None],
    }
    batch = pa.record_batch(columns)
    lines = screen(Table("endpoints", batch.schema, [batch]), 80)
    assert header(lines) == ["endpoint", "result", "generation", "status"]
    assert len({line.split("  ")[0] for line in body(lines)}) == 3
