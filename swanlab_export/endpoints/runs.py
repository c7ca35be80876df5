"""Runs: their records and columns, and how data requests name them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_path

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.filters import sent_filters
from swanlab_export.endpoints.items import check_same, identify_by
from swanlab_export.errors import ServerError
from swanlab_export.messages import quote
from swanlab_export.normalizers.values import as_time_ms, refuse_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swanlab_export.endpoints.filters import Rule
    from swanlab_export.refs import ProjectRef, RunRef

identify = identify_by("cuid")
identify_column = identify_by("key")
_FACTS = {
    **{name: name for name in ("state", "name", "description", "labels", "show")},
    "group": "cluster",
    "job_type": "job",
    "finished_at": "finishedAt",
    "updated_at": "updatedAt",
    "root_exp_id": "rootExpId",
    "root_pro_id": "rootProId",
}
_SCALAR_TYPES = {"FLOAT", "BOOLEAN", "STRING"}
# Servers of the clients 0.7 refuse a filter request that has them.
_GROUPS_AND_SORTS = "groups and sorts of runs"


@dataclass(frozen=True)
class RunSource:
    """A run as data requests name it; a clone carries the ids of the run that holds its data.

    ``created_at_s`` bounds the server's search, and makes it fast; without it the run is found, too.
    """

    run_id: str
    project_id: str
    created_at_s: int | None = None
    root_run_id: str = ""
    root_project_id: str = ""

    def bound(self) -> dict[str, int]:
        """The creation time in Unix seconds, where it is known."""
        return {} if self.created_at_s is None else {"createdAt": self.created_at_s}

    def unbound(self) -> RunSource:
        """The same run without its creation time."""
        return replace(self, created_at_s=None)

    def root_ids(self) -> dict[str, str]:
        """The ids of the original, where this is a clone."""
        ids = {"rootProId": self.root_project_id, "rootExpId": self.root_run_id}
        return {name: value for name, value in ids.items() if value}

    def column(self, key: str) -> dict[str, Any]:
        """Name one column of the run."""
        return {"experimentId": self.run_id, "key": key} | self.bound() | self.root_ids()

    def run(self) -> dict[str, Any]:
        """Name the run, with its root ids beside its own."""
        return self.undated() | self.bound()

    def undated(self) -> dict[str, Any]:
        """Name the run as older servers know it, without its creation time."""
        return {"projectId": self.project_id, "experimentId": self.run_id} | self.root_ids()

    def origin_ids(self) -> tuple[str, str]:
        """The ids of the project and the run that hold the data."""
        return self.root_project_id or self.project_id, self.root_run_id or self.run_id

    def origin(self) -> dict[str, Any]:
        """Name the run that holds the data: the original of a clone, else the run itself."""
        project_id, run_id = self.origin_ids()
        return {"projectId": project_id, "experimentId": run_id} | self.bound()


def bounded(
    build: Callable[[Sequence[RunSource]], Request], sources: Sequence[RunSource]
) -> Request:
    """A request about runs with their creation times, and without for servers that refuse these.

    Servers before those of the client 0.9.5 did not know them.
    """
    request = build(sources)
    if all(source.created_at_s is None for source in sources):
        return request
    return replace(request, older=lambda: build([source.unbound() for source in sources]))


def fetch_run(client: Client, ref: RunRef) -> Any:
    """Fetch one run with its full profile: ``GET /project/{ws}/{project}/runs/{id or slug}``."""
    payload = client.send(Request("GET", f"/project/{ref.url_path}"))
    # Ids are random letters: one that differs in case is another run.
    check_same(payload, ["cuid", "slug"], ref.run, "run", ignores_case=False)
    return payload


def read_source(payload: Any, project_id: str) -> RunSource:
    """Read from a run what data requests need to name it.

    Raises:
        ServerError: It has no id, or ids that are none.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("cuid"), str):
        if isinstance(payload, dict):
            refuse_error(payload, "a run")
        raise ServerError("the server sent a run without an id")
    roots = [payload.get(name) or "" for name in ("rootExpId", "rootProId")]
    if not all(isinstance(root, str) for root in roots):
        raise ServerError(f"run {quote(payload['cuid'])} has root ids that are not text")
    try:
        created_at_s = as_time_ms(payload.get("createdAt")) // 1000
    except (TypeError, ValueError, OverflowError):
        created_at_s = None
    return RunSource(payload["cuid"], project_id, created_at_s, *roots)


def drop_profile(payload: Any) -> Any:
    """A run without config, metadata and requirements, which are most of it."""
    return payload | {"profile": None} if isinstance(payload, dict) else payload


def read_facts(payload: Any) -> dict[str, Any]:
    """Read what tells whether a run has changed: its state, its times, names and so on.

    Of its configuration there is a hash; None where the payload has no configuration.
    """
    facts = {ours: payload.get(theirs) for ours, theirs in _FACTS.items()}
    profile = payload.get("profile")
    config = profile.get("config") if isinstance(profile, dict) else None
    if config is not None:
        text = json.dumps(config, sort_keys=True, ensure_ascii=False)
        facts["config"] = hashlib.sha256(text.encode()).hexdigest()
    return facts | {"config": facts.get("config")}


def read_slug(payload: Any) -> str:
    """Read the short name of a run; "" where it has none."""
    found = payload.get("slug")
    return found if isinstance(found, str) else ""


def read_run_name(payload: Any) -> str | None:
    """Read what people call a run; None where it has no name."""
    found = payload.get("name") or payload.get("slug")
    return found if isinstance(found, str) else None


def read_names(payload: Any) -> list[str]:
    """Read how paths may name a run: its slug, where it has one, and its id."""
    found = [payload.get(name) for name in ("slug", "cuid")] if isinstance(payload, dict) else []
    return [name for name in found if isinstance(name, str) and name]


def has_config(payload: Any) -> bool:
    """Say whether a run came with its config."""
    profile = payload.get("profile") if isinstance(payload, dict) else None
    return isinstance(profile, dict) and isinstance(profile.get("config"), dict)


def with_config(payload: Any) -> Any:
    """A run that was fetched by itself: where it has no config, nothing was logged as one."""
    if has_config(payload):
        return payload
    profile = payload.get("profile")
    return payload | {"profile": (profile if isinstance(profile, dict) else {}) | {"config": {}}}


def read_run_names(payload: Any) -> list[str]:
    """What a run can be called beside its id: its slug, then its display name."""
    found = (payload.get("slug"), payload.get("name")) if isinstance(payload, dict) else ()
    return [name for name in found if isinstance(name, str) and name]


def is_pinned(payload: Any) -> bool:
    """Say whether a run is pinned: such a run comes whatever a filter says."""
    return isinstance(payload, dict) and bool(payload.get("pin"))


def runs_page(ref: ProjectRef, page: int, size: int) -> Request:
    """Ask for a page of runs: ``GET /project/{ws}/{project}/runs``."""
    params = (("page", page), ("size", size))
    return Request("GET", f"/project/{ref.url_path}/runs", params=params)


def fetch_filtered_runs(client: Client, ref: ProjectRef, rules: Sequence[Rule]) -> Any:
    """Fetch at least the runs that pass all rules: ``POST /project/{ws}/{project}/runs/shows``.

    Pinned runs come whatever the rules say, and so do runs near a bound: see ``sent_filters``.
    """
    filters = [{**sent, "active": True} for rule in rules for sent in sent_filters(rule)]
    path = f"/project/{ref.url_path}/runs/shows"
    body: dict[str, Any] = {"filters": filters}
    if not client.capabilities.lacks(_GROUPS_AND_SORTS):
        try:
            return client.send(Request("POST", path, body=body | {"groups": [], "sorts": []}))
        except ServerError as refused:
            if refused.status != 400:
                raise
    payload = client.send(Request("POST", path, body=body))
    client.capabilities.learn(_GROUPS_AND_SORTS, is_offered=False)
    return payload


def columns_page(
    run_id: str,
    page: int,
    size: int,
    *,
    search: str | None,
    column_class: str | None,
    column_type: str | None,
) -> Request:
    """Ask for a page of a run's columns: ``GET /experiment/{id}/column``."""
    wanted = (("search", search), ("class", column_class), ("type", column_type))
    params: list[tuple[str, str | int]] = [("page", page), ("size", size)]
    params += [(name, value) for name, value in wanted if value]
    path = f"/experiment/{quote_path(run_id, safe='')}/column"
    return Request("GET", path, params=tuple(params))


def read_column_key(payload: Any) -> Any:
    """Read the key of a column."""
    return payload.get("key") if isinstance(payload, dict) else None


def key_as_column(key: str, column_class: str) -> dict[str, Any]:
    """Describe a key as a column, as far as it tells."""
    return {"key": key, "name": key, "class": column_class, "type": None}


def is_column_of(payload: Any, metric_type: str) -> bool:
    """Say whether a column holds SCALAR data (numbers, truth values, words), or MEDIA."""
    is_scalar = isinstance(payload, dict) and payload.get("type") in _SCALAR_TYPES
    return is_scalar == (metric_type == "SCALAR")
