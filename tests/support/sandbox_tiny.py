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


def _workspace(username: str, kind: str, members: dict[str, str]) -> dict[str, Any]:
    return {
        "username": username,
        "name": username.title(),
        "type": kind,
        "comment": "",
        "members": members,
        "profile": EMPTY_PROFILE,
    }


def _project(cuid: str, name: str, visibility: str) -> dict[str, Any]:
    return {
        "cuid": cuid,
        "name": name,
        "workspace": "team",
        "visibility": visibility,
        "description": None,
        "labels": [],
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


def write_tiny(folder: Path, runs: list[dict[str, Any]] | None = None) -> Path:
    """Write the tiny dataset, laid out as sample_data is, or with other runs."""
    spaces = [
        _workspace("ada", "PERSON", {"ada": "OWNER"}),
        _workspace("bob", "PERSON", {"bob": "OWNER"}),
        _workspace("team", "TEAM", {"ada": "OWNER", "cleo": "VIEWER"}),
    ]
    users = [
        _user("ada", root=True, name="Ada"),
        _user("bob", root=False, name=None),
        _user("cleo", root=False, name="Cleo"),
    ]
    projects = [_project("pro1", "open", "PUBLIC"), _project("pro2", "secret", "PRIVATE")]
    for name, content in (("users", users), ("workspaces", spaces), ("projects", projects)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    columns = [
        {
            "runId": run,
            "key": key,
            "name": key,
            "class": "SYSTEM" if key.startswith("__swanlab__") else "CUSTOM",
            "type": "FLOAT",
            "createdAt": "2026-01-05T09:00:01.000Z",
        }
        for run, key in dict.fromkeys((run, key) for run, key, _, _ in POINTS)
    ]
    media = [
        {
            "runId": "run1",
            "key": "pic",
            "step": 3,
            "data": ["pic-3-0.png", "pic-3-1.png"],
            "more": [{"caption": "x"}, None],
        }
    ]
    for name, lines in (("runs", runs or RUNS), ("columns", columns), ("media", media)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    pictures = folder / "media" / "pro1" / "run1"
    pictures.mkdir(parents=True)
    for item in range(2):
        (pictures / f"pic-3-{item}.png").write_bytes(b"\x89PNG" + bytes([item]) * 1000)
    _write_points(folder / "metrics")
    _write_log(folder / "logs")
    return folder


def _write_points(folder: Path) -> None:
    folder.mkdir()
    run, key, step, value = zip(*POINTS, strict=True)
    table = pa.table(
        {
            "run_id": pa.array(run).dictionary_encode(),
            "key": pa.array(key).dictionary_encode(),
            "step": pa.array(step, pa.int64()),
            "value": pa.array(value, pa.float64()),
            "timestamp": pa.array([CREATED_MS + 1000 * each for each in step], pa.int64()),
        }
    )
    pq.write_table(table, folder / "pro1.parquet")


def _write_log(folder: Path) -> None:
    folder.mkdir()
    count = len(LOG)
    table = pa.table(
        {
            "run_id": pa.array(["run1"] * count).dictionary_encode(),
            "epoch": pa.array(range(1, count + 1), pa.int64()),
            "level": pa.array([level for level, _ in LOG]),
            "tag": pa.array([""] * count),
            "message": pa.array([message for _, message in LOG]),
            "timestamp": pa.array([CREATED_MS + 1000 * line for line in range(count)], pa.int64()),
        }
    )
    pq.write_table(table, folder / "pro1.parquet")


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
            timeout=10,
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
            timeout=options.pop("timeout", 10),
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
        return self._session.get(url, headers=headers, timeout=10)

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
