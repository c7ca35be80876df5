"""Calls of every method that reads, with every option that a server takes part in."""

from __future__ import annotations

from typing import Any

DIGITS = "ada-lab/digits"
RUN = f"{DIGITS}/mlp-adam"
ODD = f"{DIGITS}/diverged"
CLONE = f"{DIGITS}/mlp-clone"
FAR_CLONE = "vision-team/segmentation/digits-clone"
LIST = {"all": True}
PAGE = {"page": 1, "page_size": 10}
# Options of every list that are about its table.
SHAPED = {"varying": True, "limit": 50, "partial": True}
KEYS = {"keys": "loss,acc"}

# Every method that reads, with its arguments and options.
CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("workspace.info", ("ada-lab",), {}),
    ("workspace.info", ("bob",), {}),
    ("workspace.list", (), {}),
    ("workspace.list", (), {"username": "ada"}),
    ("workspace.list", (), {"sort": "-name", **SHAPED}),
    ("project.info", (DIGITS,), {}),
    ("project.list", (), {}),
    ("project.list", (), {"workspace": "ada-lab", "search": "dig", **PAGE}),
    ("project.list", (), {"workspace": "ada-lab", "sort": "name", **LIST}),
    ("project.list", (), {"workspace": "vision-team", "limit": 1}),
    ("project.list", (), {"workspace": "ada-lab", **SHAPED}),
    ("run.list", (DIGITS,), {"summary": True, **LIST}),
    ("run.list", (DIGITS,), {"summary": "loss,val/acc", **PAGE}),
    ("run.list", (DIGITS,), {"summary": "loss", "partial": True, **LIST}),
    ("run.list", (DIGITS,), {"limit": 3}),
    ("run.list", ("vision-team/segmentation",), {"where": "state=FINISHED"}),
    ("run.list", ("ada-lab/empty",), {}),
    ("run.list", (DIGITS,), {"config": "json"}),
    ("run.filter", (DIGITS,), {"where": ["state=FINISHED"], "config": "json"}),
    ("run.list", (DIGITS,), {"sort": "-config.lr", **SHAPED}),
    ("run.list", (DIGITS,), {"group_by": "config.optimizer", "summary": "loss"}),
    ("run.filter", (DIGITS,), {"where": ["config.lr>=0.01", "state=FINISHED"], "summary": "acc"}),
    # The sandbox does not filter a clone by what its original logged.
    ("run.filter", (DIGITS,), {"where": ["summary.loss<1", "name!=mlp-clone"]}),
    ("run.filter", (DIGITS,), {"where": "created_at>=2026-01-09", "partial": True}),
    ("run.filter", (DIGITS,), {"where": "state=FINISHED", "sort": "name", **SHAPED}),
    ("run.filter", (DIGITS,), {"where": "state=FINISHED", "group_by": "state", "summary": "loss"}),
    *(("run.info", (path,), {}) for path in (RUN, ODD, CLONE, FAR_CLONE, f"{DIGITS}/big-seed")),
    ("run.metrics", (RUN, ODD), KEYS),
    ("run.metrics", (RUN,), {"sample": 50, "x_axis": "time", **KEYS}),
    ("run.metrics", (RUN,), {"x_axis": "relative_time", **KEYS}),
    ("run.metrics", (RUN,), {"x_axis": "acc", "keys": "loss", **LIST}),
    ("run.metrics", (RUN, ODD, CLONE), KEYS | LIST),
    ("run.metrics", (FAR_CLONE,), {"keys": "loss", "layout": "wide", **LIST}),
    ("run.metrics", (f"{DIGITS}/mlp-long",), {"keys": "loss", "ignore_timestamp": True, **LIST}),
    ("run.metrics", (RUN,), {"keys": "*", "ignore_timestamp": True, **LIST}),
    ("run.metrics", (RUN,), {"range_start": 3, "range_end": 9, "range_type": "step", **KEYS}),
    ("run.metrics", (RUN,), {"range_head": 5, "text": True, **KEYS}),
    ("run.metrics", (RUN,), {"range_tail": 5, **KEYS}),
    ("run.metrics", (RUN,), {"range_last": 10**13, **KEYS}),
    ("run.metrics", (), {"project": DIGITS, "where": "state=FINISHED", "partial": True, **KEYS}),
    ("run.metrics", (RUN, ODD), {"smooth": 0.5, "run_columns": "config.lr,state", **KEYS}),
    ("run.metrics", (RUN, ODD), {"group_by": "config.optimizer", **KEYS, **LIST}),
    ("run.summary", (RUN, ODD, CLONE, FAR_CLONE), {}),
    ("run.summary", (RUN, ODD), {"sort": "-value", "run_columns": "config.lr", **SHAPED}),
    ("run.summary", (), {"project": DIGITS, "keys": "loss", "where": "name~mlp", "partial": True}),
    ("run.series", (RUN,), {"sort": "-key", **SHAPED}),
    ("run.series", (CLONE,), {"metric_type": "MEDIA"}),
    ("run.series", (RUN,), {"metric_class": "SYSTEM", "search": "cpu", "partial": True}),
    ("run.columns", (RUN,), {"column_class": None, **LIST}),
    ("run.columns", (RUN,), {"column_class": "SYSTEM", "search": "mem", **PAGE}),
    ("run.columns", (CLONE,), {"column_type": "IMAGE", "limit": 1}),
    ("run.columns", (RUN,), {"sort": "name", **SHAPED}),
    ("run.column", (RUN, "acc"), {"column_class": "CUSTOM", "column_type": "FLOAT"}),
    ("run.medias", (RUN,), {"keys": "val/confusion,val/wrong digits", **LIST}),
    (
        "run.medias",
        (RUN,),
        {"keys": "val/confusion", "step": 43, "run_columns": "name", "partial": True},
    ),
    ("run.medias", (FAR_CLONE,), {"keys": "val/confusion", **LIST}),
    ("run.logs", (f"{DIGITS}/mlp-long",), LIST),
    ("run.logs", (f"{DIGITS}/mlp-long",), {"offset": 1, "level": "DEBUG", "run_columns": "name"}),
    (
        "run.logs",
        (f"{DIGITS}/crashed",),
        {"level": "ERROR", "ignore_timestamp": True, "partial": True},
    ),
    ("run.logs", (CLONE,), {}),
    ("run.export_logs", (RUN,), {"start": 2, "rows": 5, "partial": True}),
    ("user.info", (), {}),
    ("self_hosted.info", (), {}),
    ("self_hosted.list_users", (), LIST),
    ("self_hosted.list_users", (), PAGE),
    ("self_hosted.list_users", (), {"sort": "name", **SHAPED}),
    ("self_hosted.list_projects", (), LIST),
    ("self_hosted.list_projects", (), {"search": "s", "workspace": "ada-lab", **PAGE}),
    ("self_hosted.list_projects", (), {"sort": "name", **SHAPED}),
    ("self_hosted.list_workspaces", (), LIST),
    ("self_hosted.list_workspaces", (), {"search": "lab", **PAGE}),
    ("self_hosted.list_workspaces", (), {"sort": "name", **SHAPED}),
]
