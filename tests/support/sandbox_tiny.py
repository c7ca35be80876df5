"""A sandbox over a dataset small enough to write its responses down by hand."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import requests

if TYPE_CHECKING:
    from pathlib import Path

    from swanlab_export.sandbox import Sandbox

TIME = pa.timestamp("ms", "UTC")
IDS = {"project_id": pa.string(), "run_id": pa.string()}
METRICS = pa.schema(
    IDS
    | {"key": pa.string(), "step": pa.int64(), "value": pa.float64()}
    | {"timestamp": TIME, "text": pa.string()}
)
LOGS = pa.schema(
    IDS
    | {"line": pa.int64(), "level": pa.string(), "timestamp": TIME}
    | {"tag": pa.string(), "message": pa.string()}
)
MEDIAS = pa.schema(
    IDS
    | {"key": pa.string(), "step": pa.int64(), "item": pa.int64()}
    | dict.fromkeys(("path", "caption", "text", "file"), pa.string())
    | {"size_bytes": pa.int64(), "sha256": pa.string(), "more": pa.string()}
)
INDEX = pa.schema(
    IDS
    | dict.fromkeys(("slug", "root_exp_id", "created_at", "gone_at"), pa.string())
    | dict.fromkeys(("payload", "metrics", "logs", "medias", "receipt"), pa.string())
    | {"complete": pa.bool_()}
)
# 2026-01-05T09:00:00Z
CREATED_S = 1_767_603_600
CREATED_MS = CREATED_S * 1000
PROFILE = {
    "bio": "Digits.",
    "url": None,
    "institution": "Example",
    "school": None,
    "email": None,
    "location": None,
}
EMPTY_PROFILE: dict[str, None] = dict.fromkeys(PROFILE)


def _user(username: str, *, root: bool, name: str | None) -> dict[str, Any]:
    return {
        "username": username,
        "name": name,
        "api_key": f"{username}0123456789abcdefghijk"[:21],
        "root": root,
        "profile": PROFILE if root else EMPTY_PROFILE,
    }


def _workspace(username: str, kind: str) -> dict[str, Any]:
    return {
        "username": username,
        "name": username.title(),
        "type": kind,
        "comment": "",
        "profile": EMPTY_PROFILE,
    }


def _project(cuid: str, name: str, visibility: str, runs: int) -> dict[str, Any]:
    return {
        "cuid": cuid,
        "name": name,
        "username": "team",
        "path": f"team/{name}",
        "visibility": visibility,
        "description": None,
        "group": {"type": "TEAM", "username": "team", "name": "Team"},
        "projectLabels": [],
        "_count": {"experiments": runs, "contributors": 1, "collaborators": 2, "clones": 0},
        "createdAt": "2026-01-05T08:00:00.000Z",
        "updatedAt": "2026-01-06T08:00:00.000Z",
    }


def run_record(cuid: str, **fields: Any) -> dict[str, Any]:
    """One run as the server sends it, with the fields that differ from the plainest run."""
    plain: dict[str, Any] = {
        "cuid": cuid,
        "slug": None,
        "name": cuid,
        "type": "CHAPTER",
        "description": None,
        "show": True,
        "state": "FINISHED",
        "labels": [],
        "cluster": None,
        "job": None,
        "user": {"username": "ada", "name": "Ada"},
        "rootProId": None,
        "rootExpId": None,
        "createdAt": "2026-01-05T09:00:00.000Z",
        "updatedAt": "2026-01-05T09:01:00.000Z",
        "finishedAt": "2026-01-05T09:01:00.000Z",
        "profile": {"config": {}, "metadata": {}, "requirements": "", "conda": None},
        "projectId": "pro1",
    }
    return plain | fields


def _profile(config: dict[str, Any]) -> dict[str, Any]:
    return {"config": config, "metadata": {"os": "x"}, "requirements": "a==1\n", "conda": None}


RUNS = [
    run_record(
        "run1",
        slug="first",
        name='a "b", c',
        labels=[{"name": "good", "colors": ["#fff"]}],
        cluster="g1",
        job="train",
        profile=_profile({"lr": {"value": 0.1, "desc": "", "sort": 0}, "net": {"depth": 2}}),
    ),
    run_record(
        "run2",
        state="CRASHED",
        createdAt="2026-01-05T10:00:00.000Z",
        cluster="g2",
        profile=_profile({"lr": 0.5}),
    ),
    run_record(
        "clone",
        createdAt="2026-01-05T11:00:00.000Z",
        rootProId="pro1",
        rootExpId="run1",
        profile=None,
    ),
    # The official commands crash on an integer this big, so it is kept out of their lists.
    run_record("hidden", projectId="pro2", profile=_profile({"big": 2**70})),
]
POINTS = [
    # run, key, step, value; the timestamp is the creation time plus step seconds
    ("run1", "__swanlab__.cpu", 0, 7.0),
    ("run1", "loss", 0, 4.0),
    ("run1", "loss", 1, math.nan),
    ("run1", "loss", 2, math.inf),
    ("run1", "loss", 4, 1.0),
    ("run1", "neg", 0, -math.inf),
    ("run1", "seen", 0, 10.0),
    ("run1", "seen", 4, 50.0),
    ("run2", "acc", 0, 0.25),
    ("run2", "acc", 1, 0.5),
]
LOG = [("INFO", "one"), ("DEBUG", "two"), ("WARN", "three"), ("ERROR", "four")]


MEDIA = [("pic", 3, item, f"pic-3-{item}.png", caption) for item, caption in enumerate(("x", None))]


def write_tiny(folder: Path, runs: list[dict[str, Any]] | None = None) -> Path:
    """Write the tiny dataset in format 1, or with other runs, as far as a sandbox reads it."""
    runs = RUNS if runs is None else runs
    members = {
        "ada": {"ada": "OWNER"},
        "bob": {"bob": "OWNER"},
        "team": {"ada": "OWNER", "cleo": "VIEWER"},
    }
    users = [
        _user("ada", root=True, name="Ada"),
        _user("bob", root=False, name=None),
        _user("cleo", root=False, name="Cleo"),
    ]
    projects = []
    for cuid, name, visibility in (("pro1", "open", "PUBLIC"), ("pro2", "secret", "PRIVATE")):
        mine = [run for run in runs if run["projectId"] == cuid]
        payload = _project(cuid, name, visibility, len(mine))
        index = write_index(folder, f"team/{name}", [_write_run(folder, run) for run in mine])
        projects.append(
            {"project_id": cuid, "workspace": "team", "name": name}
            | {"index": index, "payload": payload}
        )
    kinds = {"ada": "PERSON", "bob": "PERSON", "team": "TEAM"}
    contents = {
        "projects": projects,
        "workspaces": [_workspace(name, kind) for name, kind in kinds.items()],
    }
    write_json(folder, "swanlab-backup.json", {"format": 1})
    write_json(folder, "state/projects.json", contents)
    write_json(folder, "accounts.json", {"users": users, "members": members})
    return folder


def write_json(folder: Path, path: str, content: Any) -> None:
    """Write one object of JSON."""
    _place(folder, path).write_text(json.dumps(content), encoding="utf-8")


def write_payload(folder: Path, path: str, content: Any) -> str:
    """Write what a server sent about a run; returns the path."""
    with pa.output_stream(str(_place(folder, path)), compression="zstd") as stream:
        stream.write(json.dumps(content).encode())
    return path


def write_index(folder: Path, project: str, rows: list[dict[str, Any]]) -> str:
    """Write the index of a project, its newest run first; returns the path."""
    path = f"state/index/{project}.parquet"
    rows = sorted(rows, key=lambda row: str(row["run_id"]))
    rows.sort(key=lambda row: str(row["created_at"]), reverse=True)
    pq.write_table(pa.Table.from_pylist(rows, INDEX), _place(folder, path))
    return path


def _place(folder: Path, path: str) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _write_run(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Write the objects of a run; returns its row of the index."""
    run_id = run["cuid"]
    keys = dict.fromkeys(key for owner, key, _, _ in POINTS if owner == run_id)
    columns = [
        {
            "key": key,
            "name": key,
            "class": "SYSTEM" if key.startswith("__swanlab__") else "CUSTOM",
            "type": "FLOAT",
            "createdAt": "2026-01-05T09:00:01.000Z",
        }
        for key in reversed(list(keys))
    ]
    payload = {name: value for name, value in run.items() if name != "projectId"}
    row = dict.fromkeys(INDEX.names) | {
        "project_id": run["projectId"],
        "run_id": run_id,
        "slug": run["slug"],
        "root_exp_id": run["rootExpId"],
        "created_at": run["createdAt"],
        "complete": True,
        "payload": write_payload(
            folder,
            f"state/payloads/{run_id}.json.zst",
            {"run": payload, "listed": None, "summary": None, "columns": columns, "keys": None},
        ),
    }
    ids = {"project_id": run["projectId"], "run_id": run_id}
    points = [
        ids | {"key": key, "step": step, "value": value, "timestamp": CREATED_MS + 1000 * step}
        for owner, key, step, value in POINTS
        if owner == run_id
    ]
    row["metrics"] = _write_rows(folder, f"tables/metrics/{run_id}.parquet", METRICS, points)
    if run_id == "run1":
        row["logs"] = _write_log(folder, ids)
        row["medias"] = _write_media(folder, ids)
    return row


def _write_log(folder: Path, ids: dict[str, str]) -> str | None:
    lines = [
        ids
        | {"line": line + 1, "level": level, "timestamp": CREATED_MS + 1000 * line}
        | {"tag": "", "message": message}
        for line, (level, message) in enumerate(LOG)
    ]
    return _write_rows(folder, "tables/logs/run1.parquet", LOGS, lines)


def _write_media(folder: Path, ids: dict[str, str]) -> str | None:
    items = []
    for key, step, item, path, caption in MEDIA:
        file = f"files/run1/{item}.png"
        _place(folder, file).write_bytes(b"\x89PNG" + bytes([item]) * 1000)
        known = {"key": key, "step": step, "item": item, "path": path, "caption": caption}
        items.append(ids | known | {"file": file, "size_bytes": 1004})
    return _write_rows(folder, "tables/medias/run1.parquet", MEDIAS, items)


def _write_rows(
    folder: Path, path: str, schema: pa.Schema, rows: list[dict[str, Any]]
) -> str | None:
    if not rows:
        return None
    # Two row groups, since those of a long run are many.
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, _place(folder, path), row_group_size=-(-len(rows) // 2))
    return path


class Caller:
    """A plain HTTP caller that logs in as one user and knows nothing of our client."""

    def __init__(self, sandbox: Sandbox, username: str = "ada") -> None:
        self.sandbox = sandbox
        self._key = sandbox.keys[username]
        self._session = requests.Session()
        self._session.trust_env = False
        self.login()

    def login(self) -> dict[str, Any]:
        """Log in, and keep the session's id."""
        response = self._session.post(
            f"{self.sandbox.url}/api/login/api_key",
            headers={"authorization": self._key},
            timeout=60,
        )
        self._session.cookies.clear()
        self.sid = str(response.json()["sid"])
        body: dict[str, Any] = response.json()
        return body

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send one request with the session's cookie."""
        return self._session.request(
            method,
            f"{self.sandbox.url}/api{path}",
            json=body,
            headers={"Cookie": f"sid={self.sid}"},
            timeout=options.pop("timeout", 60),
            allow_redirects=False,
            **options,
        )

    def get(self, path: str, **params: Any) -> Any:
        """GET, which must succeed; its JSON."""
        return self._good(self.call("GET", path, params=params))

    def post(self, path: str, body: Any) -> Any:
        """POST, which must succeed; its JSON."""
        return self._good(self.call("POST", path, body))

    def download(self, url: str, **headers: str) -> requests.Response:
        """GET a presigned URL, with neither cookie nor key."""
        return self._session.get(url, headers=headers, timeout=60)

    def export(self, *keys: str, **fields: Any) -> requests.Response:
        """Export keys of the first run and download the file."""
        body = {"projectId": "pro1", "columns": [column(key, **fields) for key in keys]}
        cos_key = self.post("/house/metrics/scalar/export", body)["cosKey"]
        return self.download(self.post("/files/presigned/get", {"paths": [cos_key]})["urls"][0])

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()

    def _good(self, response: requests.Response) -> Any:
        assert response.status_code == 200, f"{response.status_code} {response.text[:300]}"
        return response.json()


def column(key: str, **fields: Any) -> dict[str, Any]:
    """Refer to a key of the first run."""
    return {"experimentId": "run1", "key": key, "createdAt": CREATED_S} | fields


def experiment(run: str = "run1", **fields: Any) -> dict[str, Any]:
    """Refer to a run."""
    return {"projectId": "pro1", "experimentId": run, "createdAt": CREATED_S} | fields
