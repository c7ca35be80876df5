"""What a run is on the wire, and how its config and environment are told."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from recorder import Recorder, make_id, to_iso

if TYPE_CHECKING:
    from training import Settings

USERS = {"ada": "Ada L.", "bob": "Bob", "chen": None, "zoe": "Zoë, “the tester”"}


def run_id_of(project_id: str, slug: str) -> str:
    """Return the id of the run that goes by this name in its project."""
    return make_id("run", project_id, slug)


def start_recorder(project_id: str, slug: str, start: str, step_ms: int) -> Recorder:
    """Return an empty recorder whose clock stands at the run's creation."""
    return Recorder(project_id, run_id_of(project_id, slug), start, step_ms)


def describe_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain config values: lists, numbers, strings and None."""
    plain = asdict(settings)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}


def wrap(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config as servers store it: every value with a description and a rank."""
    return {k: {"value": v, "desc": "", "sort": i} for i, (k, v) in enumerate(config.items())}


def build_profile(config: dict[str, Any], *, conda: str | None = None) -> dict[str, Any]:
    """Return config, metadata and packages of a run; the versions are the real ones."""
    packages = ("matplotlib", "numpy", "pyarrow", "scikit-learn")
    return {
        "config": config,
        "metadata": {
            "command": "record.py",
            "hardware": {"cpu": {"cores": 2}, "gpu": None},
            "libraries": {name: version(name) for name in packages[1:2]},
            "swanlab": {"monitor_interval": 30},
        },
        "requirements": "".join(f"{name}=={version(name)}\n" for name in packages),
        "conda": conda,
    }


def build_run(rec: Recorder, slug: str | None, state: str, **known: Any) -> dict[str, Any]:
    """Return the run as the server would send it; `known` replaces what is usual."""
    username = known.pop("username", "ada")
    user = username and {"username": username, "name": USERS[username]}
    end_ms = rec.now_ms + 2000
    run = {
        "cuid": rec.run_id,
        "slug": slug,
        "name": slug,
        "type": "CHAPTER",
        "description": None,
        "show": True,
        "state": state,
        "labels": [],
        "cluster": None,
        "job": None,
        "user": user,
        "rootProId": None,
        "rootExpId": None,
        "createdAt": to_iso(rec.start_ms),
        "updatedAt": to_iso(end_ms),
        "finishedAt": None if state == "RUNNING" else to_iso(end_ms),
        "profile": None,
        "projectId": rec.project_id,
    }
    return {**run, **known}


def clone_run(original: dict[str, Any], project_id: str, slug: str, **known: Any) -> dict[str, Any]:
    """Return a clone: a run of its own whose data stay with the original."""
    return {
        **original,
        "cuid": run_id_of(project_id, slug),
        "slug": slug,
        "name": slug,
        "state": "FINISHED",
        "rootProId": original["projectId"],
        "rootExpId": original["cuid"],
        "projectId": project_id,
        **known,
    }
