"""Pictures: what is drawn, looked up in the picture itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.t2CharStringPen import T2CharStringPen  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from fontTools.ttLib import TTCollection, TTFont  # type: ignore[import-untyped]
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from points import grouped, line, metrics, runs_of
from systems import needs_posix

from swanlab_export import schemas
from swanlab_export.files import PICTURES, parse_target, write_chunks
from swanlab_export.plot import PlotOptions, draw_picture
from swanlab_export.plot.colours import GREY, OKABE_ITO
from swanlab_export.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from swanlab_export.tables import Table

NAN, INF = float("nan"), float("inf")
TWO = [*line([1 / (i + 1) for i in range(40)], "run-a"), *line([3.0] * 40, "run-b", "acc $x$")]


def svg(table: Table, report: Report | None = None, **options: Any) -> str:
    """The picture as text."""
    drawn = draw_picture(table, ".svg", report or Report(), PlotOptions.parse(**options))
    return drawn.decode()


def words(picture: str) -> list[str]:
    """What is written in a picture."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


def strokes(picture: str) -> list[str]:
    """The styles of the drawn curves, in the order in which they are drawn."""
    found = re.findall(r'clip-path="[^"]*" style="fill: none; ([^"]*)"', picture)
    return [style for style in found if "#b0b0b0" not in style]  # the grid's


def dots(picture: str) -> int:
    """How many points are marked: uses of a marker within a panel."""
    drawn = re.findall(r'<g clip-path="[^"]*">(.*?)</g>', picture, re.DOTALL)
    return sum(group.count("<use") for group in drawn)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_equal_data_are_equal_bytes(kind: str) -> None:
    """The extension gives the kind; time and the user's own settings change nothing, or are changed."""
    mine = {"lines.linewidth": 9.0, "svg.hashsalt": "mine", "figure.facecolor": "red"}
    first = draw_picture(metrics(TWO), f".{kind.upper()}", Report())
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind])
    with mpl.rc_context(mine):  # type: ignore[arg-type]
        assert draw_picture(metrics(TWO), f".{kind}", Report()) == first
        assert mine.items() <= dict(mpl.rcParams).items()
    assert b"CreationDate" not in first
    assert b"dc:date" not in first


def test_everything_has_its_name() -> None:
    """Keys name the panels and runs the legend; dollars and underscores are what they are."""
    table = metrics(TWO, run_names={"run-a": "_base $1$", "run-b": "手写 أرقام"})
    found = words(svg(table, title="Figure $1$"))
    assert {"loss", "acc $x$", "_base $1$", "手写 أرقام", "Figure $1$"} <= set(found)
    assert found.count("step") == 2
    named = set(re.findall("font-family: ([^;]*);", svg(metrics(TWO))))
    assert named == {"'DejaVu Sans', sans-serif"}, "which every machine has"


def test_a_run_has_its_colour_in_every_panel() -> None:
    """A run that lacks a key does not pass its colour on; runs of few points do not cover others."""
    points = [*line([1.0] * 9, "a"), *line([2.0] * 5, "b"), *line([1.0] * 9, "b", "acc")]
    assert [OKABE_ITO.index(style[8:15].upper()) for style in strokes(svg(metrics(points)))] == [
        0, 1, 1
    ]  # fmt: skip


def test_twenty_runs_look_different() -> None:
    """Eight colours, then the same with dashes, then with dots; more runs are grey."""
    styles = strokes(svg(metrics(runs_of(20))))
    assert len(set(styles)) == 20
    assert sum("dasharray" in style for style in styles) == 12
    many = strokes(svg(metrics(runs_of(21))))
    assert len(many) == 21
    assert all(GREY in style for style in many)


def test_runs_are_coloured_by_numbers() -> None:
    """Runs of one value have one colour; of many values a scale is beside the panels."""
    table = metrics(runs_of(6), run_values={f"run-{i}": i // 2 for i in range(6)})
    picture = svg(table, color_by="config.seed")
    assert len(set(strokes(picture))) == 3
    assert {"config.seed", "0", "1", "2"} <= set(words(picture))
    table = metrics(runs_of(30), run_values={f"run-{i}": float(10**-i) for i in range(30)})
    picture = svg(table, color_by="config.lr")
    assert len(set(strokes(picture))) == 30
    assert "config.lr" in words(picture)


def test_runs_without_the_column_are_grey() -> None:
    """A run that lacks what gives colours is grey, among words as among numbers."""
    for values in ({"run-0": "sgd", "run-1": "adam"}, {"run-0": 1, "run-1": 2.5}):
        drawn = strokes(svg(metrics(runs_of(3), run_values=values), color_by="config.x"))
        assert [GREY in style for style in drawn] == [False, False, True]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("odd", "greys"),
    [([NAN] * 25, 25), ([-INF] * 25, 25), ([0.1, NAN, 0.2], 1), ([INF, -INF], 2), ([1e308, -1e308], 0)],
)  # fmt: skip
@pytest.mark.parametrize("kind", [".png", ".svg"])
def test_every_run_is_drawn_whatever_number_gives_its_colour(
    odd: list[float], greys: int, kind: str
) -> None:
    """Runs whose number is not finite are grey; more runs than a legend can name are all there."""
    numbers = [*odd, *range(1, 26 - len(odd))]
    table = metrics(runs_of(25), run_values={f"run-{i}": each for i, each in enumerate(numbers)})
    report = Report()
    drawn = draw_picture(table, kind, report, PlotOptions(color_by="config.lr"))
    warning = f"config.lr, which gives the colours, is not finite for {greys} lines"
    assert report.warnings == [warning] * bool(greys)
    if kind == ".svg":
        styles = strokes(drawn.decode())
        assert len(styles) == 25
        assert sum(GREY in style for style in styles) == greys


def test_the_runs_of_groups_are_thin_grey_lines() -> None:
    """They are drawn before the groups, which keep their colours, and the legend names them once."""
    groups = {"run_id": [f"run-{i}" for i in range(6)], "g": ["x", "y"] * 3}
    picture = svg(grouped(runs_of(6), groups))
    drawn = strokes(picture)
    assert [GREY in style for style in drawn] == [True] * 6 + [False] * 2
    assert all("stroke-width: 0.6" in style for style in drawn[:6])
    assert {"g=x", "g=y", "mean ± std", "single runs"} <= set(words(picture))
    assert "run-0" not in words(picture)
    one = words(svg(grouped(runs_of(2), {"run_id": ["run-0", "run-1"], "g": ["x", "x"]})))
    named = [each for each in one if each[0] in "gms"]
    assert named == ["step", "g=x", "mean ± std", "single runs"]
    each = words(svg(grouped(runs_of(2), {"run_id": ["run-0", "run-1"], "g": ["x", "y"]})))
    assert not {"mean ± std", "single runs"} & set(each)
    many = grouped(runs_of(40), {"run_id": [f"run-{i}" for i in range(40)], "g": ["x", "y"] * 20})
    paler = [style for style in strokes(svg(many)) if "stroke-opacity: 0.25" in style]
    assert len(paler) == 40


def test_the_runs_of_groups_have_colours() -> None:
    """Each run and group has the colour of its value; a group of several values is dashed and grey."""
    groups = {"run_id": [f"run-{i}" for i in range(4)], "g": ["x", "x", "y", "y"]}
    for values in ([1, 1, 2, 3], ["a", "a", "b", "c"]):
        named = {f"run-{i}": value for i, value in enumerate(values)}
        picture = svg(grouped(runs_of(4), groups, run_values=named), color_by="config.lr")
        of = [re.findall("stroke: (#......)", style)[0] for style in strokes(picture)]
        assert of[0] == of[1] == of[4]
        assert len(set(of)) == 4
        assert of[5] == "#404040"
        assert {"several", str(values[3])} <= set(words(picture))
        assert "single runs" not in words(picture)


def as_deuteranope(colours: tuple[str, ...]) -> Any:
    """Colours in CIELAB as people without green cones see them (Machado and others, 2009)."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = linear @ np.array(
        [[0.367322, 0.280085, -0.011820], [0.860646, 0.672501, 0.042940],
         [-0.227968, 0.047413, 0.968881]]
    )  # fmt: skip
    xyz = np.clip(seen, 0, 1) @ np.array(
        [[0.4124564, 0.2126729, 0.0193339], [0.3575761, 0.7151522, 0.1191920],
         [0.1804375, 0.0721750, 0.9503041]]
    )  # fmt: skip
    x, y, z = np.cbrt(xyz / [0.95047, 1.0, 1.08883]).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def test_colours_are_distinct_for_the_colour_blind() -> None:
    """Under deuteranopia four runs are far apart, and eight are well distinct, white included."""

    def closest(*colours: str) -> float:
        seen = as_deuteranope(colours)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        return float(apart[np.triu_indices(len(colours), 1)].min())

    assert closest(*OKABE_ITO[:4], "#ffffff") > 45
    assert closest(*OKABE_ITO, "#ffffff") > 15
    assert closest(*(f"C{i}" for i in range(8))) < 10, "which matplotlib's own are not"


def test_gaps_break_lines_and_points_between_them_are_seen() -> None:
    """Nothing is drawn through NaN; a point that no line leads to is marked, as are few points."""
    values = [NAN if i in {50, 52} else float(i) for i in range(100)]
    picture = svg(metrics(line(values)))
    (path,) = re.findall(
        r'<path d="(M[^"]*)" clip-path="[^"]*" style="fill: none; stroke: #0072', picture
    )
    assert path.count("M") == 3
    assert dots(picture) == 1
    assert dots(svg(metrics(line([1.0] * 9)))) == 9
    assert dots(svg(metrics(line([1.0] * 99)))) == 0


def test_what_is_beyond_the_axis_is_marked() -> None:
    """A run that diverged has triangles at the edge, and the ticks are those of the others."""
    points = [p for r in range(3) for p in line([2.0, 1.5, 1.0], f"r{r}")]
    report = Report()
    picture = svg(metrics([*points, *line([2.0, 1e9, 1e30], "gone")]), report)
    assert {"1", "1.2", "2"} <= set(words(picture))
    assert len(report.warnings) == 1
    marks = re.findall(
        r'<use [^>]* y="(\S+)" style="stroke: #000000; stroke-linejoin: miter"', picture
    )
    assert len(marks) == 2
    assert len(set(marks)) == 1


def test_panels_without_a_line_say_why() -> None:
    """No points, only gaps, and nothing that a logarithmic axis shows."""
    assert {"no points", "loss", "val/*"} <= set(words(svg(metrics([], keys=["loss", "val/*"]))))
    gaps = words(svg(metrics(line([NAN] * 300))))
    assert {"no finite values", "200"} <= set(gaps)
    assert not {"0", "0.5", "1"} & set(gaps) - {"0"}
    assert "no positive values" in words(svg(metrics(line([-1.0] * 9)), log_scale=True))


def test_times_and_other_axes_are_named() -> None:
    """Times are in UTC; another axis has its own name."""
    times = pa.array([1_767_600_000_000 + i * 90_000 for i in range(9)], schemas.TIME)
    found = words(svg(metrics(line([1.0] * 9), x=times, x_axis="time")))
    assert {"time (UTC)", "08:05", "2026-Jan-05"} <= set(found)
    epochs = pa.array([float(i) for i in range(9)])
    assert "epoch" in words(svg(metrics(line([1.0] * 9), x=epochs, x_axis="epoch")))


@pytest.mark.parametrize("size", [None, "6x4", (3, 2)])
def test_the_page_has_a_fixed_size(size: Any) -> None:
    """However long the names are, the page is as large as was said, and the legend is on it."""
    table = metrics(runs_of(20), run_names={f"run-{i}": f"{'a' * 200}-{i}" for i in range(20)})
    picture = svg(table, size=size)
    width, height = re.findall(r'<svg [^>]*viewBox="0 0 (\S+) (\S+)"', picture)[0]
    expected = {None: (576, 288), "6x4": (432, 288)}.get(size, (216, 144))
    assert (float(width), float(height)) == expected
    named = re.findall(r'<text[^>]* x="(\S+)" y="(\S+)"[^>]*>(a+…a+-\d+)</text>', picture)
    assert [name.rpartition("-")[2] for _, _, name in named] == [str(i) for i in range(20)]
    ((left, panel),) = set(re.findall(r'<rect x="(\S+)" y="\S+" width="(\S+)"', picture))
    assert all(float(left) + float(panel) < float(x) < float(width) for x, _, _ in named)
    assert all(0 < float(y) < float(height) for _, y, _ in named)
    assert float(panel) > float(width) / 3


@pytest.mark.parametrize(("size", "is_whole"), [((6, 4), True), ((3, 2), False)])
def test_titles_and_keys_are_beside_the_legend(size: tuple[float, float], is_whole: bool) -> None:
    """A long title has several lines, or a warning says that it is shortened; none covers the legend."""
    title = "Training loss on digits: an adaptive optimizer against the linear baseline"
    key = "validation/accuracy-of-" * 9
    points = [p for name in ("mlp-adam", "linear") for p in line([1.0] * 9, name, key)]
    report = Report()
    picture = svg(metrics(points), report, title=title, size=size)
    lines = re.findall(r'font-weight: 700[^>]*translate\((\S+) \S+\)">([^<]*)<', picture)
    assert (" ".join(text for _, text in lines) == title) is is_whole
    assert [each[:22] for each in report.warnings] == ["the title is shortened"] * (not is_whole)
    (of_key,) = re.findall(r'x="(\S+)" [^>]*>(val[^<]*…[^<]*)<', picture)
    legend = float(re.findall(r'x="(\S+)" [^>]*>mlp-adam<', picture)[0])
    for kind, (x, text), points_of_font in (
        *(("bold", each, 12) for each in lines), ("normal", of_key, 10)
    ):  # fmt: skip
        drawn = TextPath((0, 0), text, points_of_font, FontProperties(weight=kind))
        assert float(x) > 0
        assert float(x) + drawn.get_extents().width < legend - 20, "where its lines begin"


def test_labels_of_steps_have_room() -> None:
    """A narrow picture, or one whose legend takes a part of it, has fewer ticks."""
    points = [(f"run-{run}", "loss", step, 1.0) for run in range(9) for step in (0, 20_000)]
    for size, count in ((3, 2), 2), ((5, 3), 3), ((9, 4), 5):
        drawn = svg(metrics(points), size=size)
        labels = [each for each in words(drawn) if each == "0" or each.endswith(",000")]
        assert len(labels) == count


def test_many_keys_are_drawn_in_a_grid() -> None:
    """Panels are in a grid, long keys cut in the middle; beyond thirty a warning says so."""
    for count, across in ((4, 2), (31, 3)):
        report = Report()
        table = metrics([p for k in range(count) for p in line([1.0], key=f"k{'e' * 99}y-{k}")])
        titles = re.findall(r'x="(\S+)" y="\S+"[^>]*>(ke+…e+y-\d+)<', svg(table, report))
        assert len(titles) == min(count, 30)
        assert len({x for x, _ in titles}) == across
    (warning,) = report.warnings
    assert warning.startswith("the first 30 of 31 keys are drawn")


def test_a_character_that_no_font_has(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning explains the boxes once; not in .svg, or where no name is drawn."""
    table = metrics(line([1.0], key="a\U0010abcd\U0010abcdb"))
    report = Report()
    svg(table, report)
    assert report.warnings == []
    draw_picture(table, ".png", report)
    (warning,) = report.warnings
    assert warning.startswith("no installed font has \U0010abcd, drawn as boxes")
    many = metrics(runs_of(21), run_names={f"run-{i}": "\U0010abcd" for i in range(21)})
    draw_picture(many, ".png", report)
    assert len(report.warnings) == 1
    assert capfd.readouterr() == ("", "")


@needs_posix
def test_a_font_that_is_new(tmp_path: Path) -> None:
    """Fonts that were installed after matplotlib made its list are found, those for Chinese first."""
    fonts = tmp_path / "data" / "fonts"
    fonts.mkdir(parents=True)
    environment = os.environ | {"XDG_DATA_HOME": str(fonts.parent), "MPLCONFIGDIR": str(tmp_path)}
    list_fonts = "import matplotlib.font_manager"
    subprocess.run([sys.executable, "-c", list_fonts], env=environment, check=True)
    make_font(fonts / "another.ttf", "\U0010abcd", "Another")
    make_font(fonts / "new.ttf", "\U0010abcd", "SimHei")
    (fonts / "broken.ttf").write_bytes(b"no font")
    choose = (
        "from swanlab_export.plot.fonts import choose_fonts; print(choose_fonts('a\U0010abcd'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", choose], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "(['DejaVu Sans', 'SimHei'], '')\n"


@needs_posix
def test_no_folder_for_the_caches_of_matplotlib(tmp_path: Path) -> None:
    """Where it can write none, as for a user without a home, nothing is said about it."""
    (tmp_path / "file").touch()
    code = (
        "from swanlab_export import schemas; from swanlab_export.plot import check_plottable;"
        "check_plottable(schemas.METRICS)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path / "file")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""


@pytest.mark.parametrize(
    "kind", ["truetype", "truetype collection", "postscript", "postscript collection"]
)
def test_fonts_in_a_pdf(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outlines of PostScript, as Noto's Chinese fonts have, are drawings: viewers show all of them."""
    path, name = tmp_path / "new.ttf", f"Invented {kind}"
    make_font(path, "\U0010abce", name, is_postscript="postscript" in kind)
    if "collection" in kind:
        collection = TTCollection()
        collection.fonts = [TTFont(path)]
        collection.save(path := tmp_path / "new.ttc")
    from matplotlib.font_manager import fontManager  # not before its cache is where tests have it

    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    fontManager.addfont(path)
    report = Report()
    drawn = draw_picture(metrics(line([1.0], key="a\U0010abce")), ".pdf", report)
    assert report.warnings == []
    assert name.replace(" ", "").encode() in drawn
    assert (b"/Type3" in drawn) == ("postscript" in kind)


def make_font(
    path: Path, character: str, name: str = "Invented", *, is_postscript: bool = False
) -> None:
    """A font with one character."""
    builder = FontBuilder(1000, isTTF=not is_postscript)
    builder.setupGlyphOrder([".notdef", "it"])
    builder.setupCharacterMap({ord(character): "it"})
    if is_postscript:
        empty = T2CharStringPen(500, None).getCharString()
        builder.setupCFF(name.replace(" ", ""), {}, {".notdef": empty, "it": empty}, {})
    else:
        empty = TTGlyphPen(None).glyph()
        builder.setupGlyf({".notdef": empty, "it": empty})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "it": (500, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    names = {"familyName": name, "styleName": "Regular", "psName": name.replace(" ", "")}
    builder.setupNameTable(names)
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def test_a_picture_goes_into_a_pipe(tmp_path: Path) -> None:
    """A pipe is written to, and not replaced by a file."""
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes in folders")
    pipe = tmp_path / "loss.png"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_chunks([b"a picture"], parse_target(str(pipe), PICTURES))
    reader.join(60)
    assert got == [b"a picture"]
    assert pipe.is_fifo()
