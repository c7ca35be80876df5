"""Each row of the table that says what is fetched again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from backup_support import Nights
    from living import LivingData


def test_a_run_without_a_receipt_is_fetched_whole(world: LivingData, ended: Nights) -> None:
    """What is new comes, and nothing else is touched."""
    world.start("three")
    world.log_many("three", 5, "loss")
    assert ended.run() == {"three": ("whole", "new")}
    assert len(ended.values("three")) == 5


def test_nothing_is_fetched_where_nothing_differs(ended: Nights) -> None:
    """Runs that ended long ago cost no request of their own."""
    assert ended.run() == {}
    assert not [r for r in ended.sandbox.requests if "/runs/" in r.path or "export" in r.path]


def test_full_fetches_everything_anew(ended: Nights) -> None:
    """``full`` fetches each run, files of media included."""
    found = ended.run(full=True)
    assert found == dict.fromkeys(("one", "two"), ("whole", "everything was asked for anew"))
    assert [r for r in ended.sandbox.requests if r.path.endswith(".png")]


@pytest.mark.parametrize("state", ["RUNNING", "OFFLINE"])
def test_a_run_that_was_under_way_is_fetched_again(
    world: LivingData, ended: Nights, state: str
) -> None:
    """Of a run that was stored as running, everything is fetched, whatever it says now."""
    world.start("three", state=state)
    world.log_many("three", 5, "loss")
    ended.run()
    world.print_line("three", "a line that no statistic shows")
    world.wait(hours=1)
    world.finish("three")
    assert ended.run() == {"three": ("whole", f"it was {state}")}
    assert [row["message"] for row in ended.table("logs") if row["run_id"] == "three"]


def test_a_run_that_had_just_ended_is_fetched_again(world: LivingData, ended: Nights) -> None:
    """Until 15 minutes after its end, by the clock of the server, points and lines may come late."""
    world.start("three")
    world.log_many("three", 5, "loss")
    world.finish("three")
    world.wait(minutes=14)
    ended.run()
    world.print_line("three", "late")
    assert ended.run() == {"three": ("whole", "it had just ended")}
    world.wait(minutes=2)
    assert ended.run() == {"three": ("whole", "it had just ended")}
    assert ended.run() == {}


def test_a_run_that_was_resumed_is_fetched_again(world: LivingData, ended: Nights) -> None:
    """Another state, or another end, is another run."""
    world.resume("one")
    assert ended.run() == {"one": ("whole", "state was FINISHED, is RUNNING")}


def test_late_points_are_found_by_the_summary(world: LivingData, ended: Nights) -> None:
    """A point more shows in the summary of its key."""
    world.log("two", 99, loss=0.5)
    assert ended.run() == {"two": ("whole", "the summary of 'loss' has changed")}
    assert ended.values("two")[-1] == 0.5
    world.log("two", 1, new=1.0)
    assert ended.run() == {"two": ("whole", "key 'new' is new")}


def test_names_and_labels_change_a_row_alone(world: LivingData, ended: Nights) -> None:
    """A new name costs one request, and no data are written again."""
    before = ended.objects("tables/metrics")
    seen_at = ended.runs()["two"]["backup.seen_at"]
    world.edit("one", name="better", labels=[{"name": "good", "colors": []}])
    world.edit_config("two", lr=0.5)
    assert ended.run() == {
        "one": ("row", "changed: name, labels"),
        "two": ("row", "changed: config"),
    }
    runs = ended.runs()
    assert (runs["one"]["name"], runs["one"]["labels"]) == ("better", ["good"])
    assert '"lr":0.5' in runs["two"]["config"]
    assert runs["two"]["backup.seen_at"] > seen_at
    assert sorted(row["float"] for row in ended.table("configs")) == [0.1, 0.5]
    assert ended.objects("tables/metrics") == before
    of_runs = [r for r in ended.sandbox.requests if "/runs/" in r.path or "/house/" in r.path]
    assert len(of_runs) == 2 + 1  # the runs, and the summaries of all


def test_late_lines_and_media_are_found_by_a_recheck(world: LivingData, ended: Nights) -> None:
    """Once per period a recent run is asked for the latest steps of its media and log."""
    world.start("three")
    world.log_many("three", 5, "loss")
    world.wait(hours=1)
    world.finish("three")
    world.wait(hours=1)
    ended.run()
    world.print_line("three", "late")
    found = [ended.run(recheck="7d") for _ in range(7) if not world.wait(days=1)]  # type: ignore[func-returns-value]
    assert [each for each in found if each] == [
        {"three": ("whole", "media or log lines came late")}
    ]
    asked = [ended.run(recheck="7d") for _ in range(7) if not world.wait(days=1)]  # type: ignore[func-returns-value]
    assert not any(asked)
    world.print_line("three", "too late to be looked for")
    world.wait(days=40)
    assert ended.run(recheck="7d") == {}


def test_what_was_not_asked_for_before_is_fetched_alone(world: LivingData, nights: Nights) -> None:
    """More tables, keys or files: only those; and what is more than is asked for now is kept."""
    world.start("one")
    world.log_many("one", 3, "loss", "acc", "cpu")
    world.print_line("one", "epoch 1")
    world.show("one", "image", 1, b"png")
    world.wait(hours=1)
    world.finish("one")
    world.wait(days=1)
    nights.run(tables="metrics", keys="loss")
    assert {row["key"] for row in nights.table("metrics")} == {"loss"}
    assert not (nights.folder / "tables" / "logs").exists()
    assert nights.run(tables="logs", keys="loss") == {"one": ("part", "not fetched before: logs")}
    assert not [r for r in nights.sandbox.requests if "export" in r.path]
    assert nights.run(media=False) == {
        "one": ("part", "not fetched before: columns, metrics, medias")
    }
    assert {row["key"] for row in nights.table("metrics")} == {"acc", "loss", "__swanlab__.cpu"}
    (item,) = nights.table("medias")
    assert (item["path"] is None, item["file"]) == (False, None)
    assert nights.run() == {"one": ("part", "not fetched before: medias")}
    (item,) = nights.table("medias")
    assert (nights.folder / item["file"]).read_bytes() == b"png"
    assert nights.run(tables="metrics", keys="acc", media=False) == {}
    world.log("one", 9, loss=1.0)
    nights.run(tables="metrics", keys="acc", media=False)
    assert {row["key"] for row in nights.table("metrics")} == {"acc", "loss", "__swanlab__.cpu"}


def test_a_run_that_was_deleted_stays_and_is_marked(world: LivingData, ended: Nights) -> None:
    """What a whole list lacks is asked for; its data stay, and it is not asked for again."""
    world.delete("one")
    assert ended.run() == {"one": ("gone", "the server no longer has it")}
    row = ended.runs()["one"]
    assert row["backup.gone_at"] is not None
    assert len(ended.values("one")) == 30
    assert ended.run() == {}
    assert not [r for r in ended.sandbox.requests if r.path.endswith("/runs/one")]


def test_keys_that_no_run_has_are_named(world: LivingData, nights: Nights) -> None:
    """Of names and patterns, those that some run has are right; the others hide that nothing came."""
    for run_id, key in (("one", "loss"), ("two", "acc")):
        world.start(run_id)
        world.log_many(run_id, 5, key)
    with pytest.warns(se.SwanlabExportWarning) as warned:
        nights.run(keys="loss,acc,losss,val/*")
    said = [str(each.message) for each in warned]
    words = "none of the runs that were fetched has a key"
    assert said == [f"{words} 'losss'", f"{words} 'val/*'"]
    assert len(nights.values("two", "acc")) == 5


def test_a_run_to_accept_that_does_not_exist(world: LivingData, ended: Nights) -> None:
    """It is named; a display name means its run, as in other commands."""
    world.edit("one", name="best one")
    with pytest.warns(se.SwanlabExportWarning) as warned:
        ended.run(accept_smaller=["lab/digits/one", "lab/digits/best one", "lab/digits/nope"])
    said = [str(each.message) for each in warned]
    assert said == [
        "accept_smaller=: none of the runs that were compared is 'lab/digits/nope'",
    ]
    world.lose_points("one", "loss", 10)
    assert ended.run(accept_smaller="lab/digits/best one")["one"][0] == "whole"


@pytest.mark.parametrize("first", ["", "three"], ids=["of all", "with the filter"])
def test_a_filter_takes_no_turn_of_other_runs(
    world: LivingData, nights: Nights, first: str
) -> None:
    """Runs that hourly backups leave out are checked by those which do not, as often as without."""
    for run_id in ("two", "three"):
        world.start(run_id)
        world.log_many(run_id, 5, "loss")
        world.finish(run_id)
    world.wait(days=1)
    nights.run(where=f"name={first}" if first else None)
    world.print_line("three", "late")
    found: dict[str, tuple[str, str]] = {}
    for _ in range(7):
        world.wait(days=1)
        found |= nights.run(where="name=two" if not first else "name=three")
        found |= nights.run() if not first else {}
    assert found["three"] == ("whole", "media or log lines came late")


def test_runs_that_a_rule_leaves_out_are_not_gone(ended: Nights) -> None:
    """A part of a list says nothing about the rest."""
    assert ended.run(where="name=two") == {}
    assert ended.runs()["one"]["backup.gone_at"] is None


@pytest.mark.parametrize("is_dry_run", [False, True], ids=["real", "dry run"])
def test_a_project_without_the_key_of_a_rule(
    world: LivingData, ended: Nights, is_dry_run: bool
) -> None:
    """It has no run to fetch, if another project has one; a key that none has is an error."""
    world.add_project("other")
    world.start("three", project="lab-other")
    world.edit_config("three", depth=3)
    fetched = {"three": ("whole", "new")}
    assert ended.run(where="config.depth=3", dry_run=is_dry_run) == fetched
    with pytest.raises(se.NotFoundError) as caught:
        ended.run(where="config.dept=3", dry_run=is_dry_run)
    for path in ("lab/digits", "lab/other"):
        assert f"{path}: no config key 'dept'" in str(caught.value)


def test_a_project_that_is_gone_is_named(world: LivingData, ended: Nights) -> None:
    """Nothing of a project that is not found is marked as gone."""
    world.add_project("other")
    ended.run()
    world.remove_project("lab", "digits")
    with pytest.raises(se.IncompleteError, match="lab/digits: the project was there, and is not"):
        ended.run()
    assert {row["backup.gone_at"] for row in ended.table("runs")} == {None}


def test_a_smaller_version_does_not_replace_a_larger_one(world: LivingData, ended: Nights) -> None:
    """It is kept beside, once for each content, until it is accepted."""
    world.lose_points("one", "loss", 10)
    error = "'loss' has 20 points, and the backup has 30; the new version is kept as "
    for _ in range(2):
        with pytest.warns(se.SwanlabExportWarning, match="lab/digits/one: 'loss' has 20 points"):
            ((action, text),) = ended.run().values()
        assert action == "refused"
        assert text.startswith(error)
        assert len(list((ended.folder / "state" / "kept").rglob("*.parquet"))) == 1
    assert len(ended.values("one")) == 30
    assert ended.run(accept_smaller="lab/digits/one")["one"][0] == "whole"
    assert len(ended.values("one")) == 20
    assert ended.run() == {}


def test_a_run_that_lost_all_points_is_refused_too(world: LivingData, ended: Nights) -> None:
    """A key that is gone has fewer points; accepted, its object goes."""
    for key in ("loss", "acc", "__swanlab__.cpu"):
        world.lose_points("one", key, 30)
    with pytest.warns(se.SwanlabExportWarning, match="the new version has no point"):
        ended.run()
    assert len(ended.values("one")) == 30
    ended.run(accept_smaller="lab/digits/one")
    assert ended.values("one") == []
    assert {row["run_id"] for row in ended.table("metrics")} == {"two"}


def test_statistics_may_vary_in_their_last_digits(world: LivingData, ended: Nights) -> None:
    """What differs within one part in a million is not fetched again."""
    from swanlab_export.backups.decide import summary_change

    stored = ended.receipt("one")["facts"]["summary"]
    now = {
        key: item | {"avg": item["avg"] * (1 + 1e-9), "min": {"index": 0, "data": 0.0}}
        for key, item in stored.items()
    }
    assert summary_change(stored, now) == ""
    changed = now | {"loss": now["loss"] | {"avg": now["loss"]["avg"] * (1 + 1e-5)}}
    assert summary_change(stored, changed) == "the summary of 'loss' has changed"
    last = now | {"loss": now["loss"] | {"value": now["loss"]["value"] * (1 + 1e-9)}}
    assert summary_change(stored, last) == "the summary of 'loss' has changed"


def test_a_dry_run_says_why_and_writes_nothing(world: LivingData, ended: Nights) -> None:
    """The reasons are those of the backup that follows."""
    world.log("two", 99, loss=0.5)
    world.delete("one")
    before = ended.objects()
    said = ended.run(dry_run=True)
    assert ended.objects() == before
    assert said == ended.run()


def test_a_receipt_that_cannot_be_read_loses_no_run(world: LivingData, ended: Nights) -> None:
    """What the index has of it stays true, also of a run that the server no longer has."""
    world.delete("one")
    ended.run()
    (path,) = (ended.folder / "state" / "receipts").rglob("one.json")
    path.write_bytes(path.read_bytes()[:-9])
    assert ended.run() == {}
    path.unlink()
    assert ended.run() == {}
    assert set(ended.runs()) == {"one", "two"}
