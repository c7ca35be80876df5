"""The people, workspaces and projects of the sandbox."""

from __future__ import annotations

from typing import Any

from recorder import make_id

DIGITS = make_id("project", "ada-lab/digits")
SWEEP = make_id("project", "ada-lab/sweep")
EMPTY = make_id("project", "ada-lab/empty")
SEGMENTATION = make_id("project", "vision-team/segmentation")
SECRET = make_id("project", "vision-team/secret")


def _profile(**known: str | None) -> dict[str, str | None]:
    blank = dict.fromkeys(("bio", "url", "institution", "school", "email", "location"))
    return {**blank, **known}


def build_users() -> list[dict[str, Any]]:
    """Return the accounts; the first is the one that the sandbox logs in as."""
    ada = _profile(bio="Digits, mostly.", institution="Sandbox Institute", email="ada@example.org")
    zoe = _profile(
        bio="日本語 ok", school="École d’été", email="zoe@example.org", location="Zürich"
    )
    people = [
        ("ada", "Ada L.", True, ada),
        ("bob", "Bob", False, _profile(email="bob@example.org")),
        ("chen", None, False, _profile(email="chen@example.org", location="杭州")),
        ("zoe", "Zoë, “the tester”", False, zoe),
    ]
    return [
        {
            "username": username,
            "name": name,
            "api_key": f"sandbox-key-{username}",
            "root": root,
            "profile": profile,
        }
        for username, name, root, profile in people
    ]


def build_members() -> dict[str, dict[str, str]]:
    """Return the roles of the members of each workspace."""
    personal = {user["username"]: {user["username"]: "OWNER"} for user in build_users()}
    return {
        **personal,
        "ada-lab": {"ada": "OWNER", "bob": "MEMBER", "chen": "VISITOR"},
        "vision-team": {"chen": "OWNER", "ada": "MEMBER"},
    }


def build_contents() -> dict[str, Any]:
    """Return what ada, the first user, sees beside the projects."""
    first = build_users()[0]
    members = build_members()
    workspaces = [
        {**space, "role": members[space["username"]].get("ada", "VISITOR")}
        for space in build_workspaces()
    ]
    return {
        "workspaces": workspaces,
        "own_workspaces": [name for name, roles in members.items() if "ada" in roles],
        "user": {key: first[key] for key in ("username", "name", "profile")},
        "instance": None,
        "usage": None,
        "users": None,
    }


def build_workspaces() -> list[dict[str, Any]]:
    """Return one personal workspace for each account, then the teams."""
    personal = [
        {
            "username": user["username"],
            "name": user["name"] or user["username"],
            "type": "PERSON",
            "comment": None,
            "profile": user["profile"],
        }
        for user in build_users()
    ]
    lab = _profile(bio="We read digits.", url="https://example.org/lab", institution="Example")
    return [
        *personal,
        {
            "username": "ada-lab",
            "name": "Ada’s Lab",
            "type": "TEAM",
            "comment": "Classifiers of handwritten digits",
            "profile": lab,
        },
        {
            "username": "vision-team",
            "name": "视觉组",
            "type": "TEAM",
            "comment": "",
            "profile": _profile(location="杭州"),
        },
    ]


def _project(  # one row of the table below
    cuid: str, path: str, visibility: str, days: tuple[str, str], about: str | None, *labels: str
) -> dict[str, Any]:
    workspace, name = path.split("/")
    space = next(each for each in build_workspaces() if each["username"] == workspace)
    members = build_members()[workspace]
    colours = ["#528d59", "#dbb65c"]
    return {
        "cuid": cuid,
        "name": name,
        "visibility": visibility,
        "description": about,
        "username": workspace,
        "path": path,
        "group": {key: space[key] for key in ("type", "username", "name")},
        "projectLabels": [
            {"name": label, "colors": colours, "cuid": make_id("label", cuid, label)}
            for label in labels
        ],
        "_count": {"collaborators": len(members), "clones": 0},
        "createdAt": f"2026-{days[0]}T08:00:00.000Z",
        "updatedAt": f"2026-{days[1]}T17:30:00.250Z",
        "role": members.get("ada", "VISITOR"),
    }


def build_projects(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the projects, oldest first, as ada sees them."""
    about = "Handwritten digits, 8×8 pixels.\nOne run per idea, “good” or not."
    projects = [
        _project(DIGITS, "ada-lab/digits", "PUBLIC", ("01-05", "03-20"), about, "mlp", "digits"),
        _project(SEGMENTATION, "vision-team/segmentation", "PUBLIC", ("01-20", "02-25"), "Ink"),
        _project(SWEEP, "ada-lab/sweep", "PUBLIC", ("02-10", "02-12"), "Five seeds each", "sweep"),
        _project(SECRET, "vision-team/secret", "PRIVATE", ("02-20", "02-21"), None),
        _project(EMPTY, "ada-lab/empty", "PRIVATE", ("03-01", "03-01"), ""),
    ]
    for project in projects:
        mine = [run for run in runs if run["projectId"] == project["cuid"]]
        people = {(run["user"] or {}).get("username") for run in mine} - {None}
        counts = {"experiments": len(mine), "contributors": len(people)}
        project["_count"] = counts | project["_count"]
    return projects
