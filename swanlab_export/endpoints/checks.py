"""Every endpoint that reads: what it is asked for one run, and what its payload is declared to be.

The declared shapes are those that the official clients read. A name that ends in ``?`` came with a
later release, or only under some conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swanlab_export.client import Request
from swanlab_export.endpoints import (
    logs,
    medias,
    metrics,
    projects,
    runs,
    self_hosted,
    users,
    workspaces,
)
from swanlab_export.endpoints.filters import Rule
from swanlab_export.endpoints.releases import SINCE
from swanlab_export.endpoints.runs import RunSource
from swanlab_export.endpoints.shapes import (
    ANY,
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    TRUTH,
    UNIX_MS,
    URL,
    Names,
    Nullable,
    Words,
)
from swanlab_export.errors import SwanlabExportError
from swanlab_export.limits import (
    COLUMN_CLASSES,
    COLUMN_TYPES,
    GENERATIONS,
    LOG_LEVELS,
    METRIC_TYPES,
    PAGE_SIZES,
    RUN_STATES,
)
from swanlab_export.normalizers.details import is_path, key_class
from swanlab_export.refs import WorkspaceRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from swanlab_export.client import Client
    from swanlab_export.refs import RunRef

_ROLES = ("VISITOR", "VIEWER", "MEMBER", "OWNER")
_NAME = Nullable(TEXT)


def _optional(*names: str) -> dict[str, Any]:
    return {f"{name}?": _NAME for name in names}


def _page(item: Any) -> dict[str, Any]:
    return {"list": Nullable([item]), "size": INTEGER, "pages": INTEGER, "total": INTEGER}


_PROFILE = _optional("bio", "url", "institution", "school", "email", "location")
_LOGIN = {"sid": TEXT, "expiredAt?": TIME, "userInfo": {"username": TEXT, "name?": _NAME}}
_WORKSPACE = {
    "username": TEXT,
    "name": _NAME,
    "type": Words(("TEAM", "PERSON")),
    "comment?": _NAME,
    "role": Words(_ROLES),
    "profile?": Nullable(_PROFILE),
}
_PROJECT = {
    "cuid": TEXT,
    "name": TEXT,
    "username?": TEXT,
    "path": TEXT,
    "visibility": Words(("PUBLIC", "PRIVATE")),
    "description": _NAME,
    "version?": INTEGER,
    "group?": {"type": Words(("TEAM", "PERSON")), "username": TEXT, "name": _NAME},
    "projectLabels?": Nullable([{"name": TEXT, "colors?": ANY, "cuid?": TEXT}]),
    "_count?": Names(INTEGER),
    "createdAt": TIME,
    "updatedAt": Nullable(TIME),
    "role?": Words(_ROLES),
}
_RUN = {
    "cuid": TEXT,
    "slug?": _NAME,
    "name": TEXT,
    "type?": Words(("CHAPTER", "SUMMARY")),
    "description?": _NAME,
    "show?": TRUTH,
    "state": Words(RUN_STATES),
    "labels?": Nullable([{"name": TEXT, "colors?": ANY}]),
    **_optional("cluster", "job", "rootProId", "rootExpId", "cloneType"),
    "user?": Nullable({"username": TEXT, "name": _NAME, "avatar?": ANY, "status?": ANY}),
    "colors?": ANY,
    "tags?": ANY,
    "sectionIndex?": ANY,
    "pin?": TRUTH,
    "pinnedAt?": Nullable(TIME),
    "baseline?": TRUTH,
    "createdAt": TIME,
    "updatedAt?": Nullable(TIME),
    "finishedAt?": Nullable(TIME),
    "profile?": Nullable(
        {
            "config?": Nullable(Names(ANY)),
            "metadata?": Nullable(Names(ANY)),
            "requirements?": _NAME,
            "conda?": _NAME,
        }
    ),
}
_COLUMN = {
    "key": TEXT,
    "name": TEXT,
    "class": Words(COLUMN_CLASSES),
    "type": Words(COLUMN_TYPES),
    "createdAt?": TIME,
    "error?": ANY,
}
_EXTREME = {"index": INTEGER, "data": NUMBER}
_SUMMARY = {
    "step": INTEGER,
    "value": NUMBER,
    "min": _EXTREME,
    "max": _EXTREME,
    **dict.fromkeys(("avg", "median", "stdDev"), NUMBER),
    "minMax?": [NUMBER],
}
_SUMMARIES = Names(Nullable(Names(Nullable(_SUMMARY))))
_LATEST = Nullable([{"key": TEXT, "step": INTEGER}])
_KEYS = {"keys": Nullable([TEXT]), "hasMore": TRUTH, "nextCursor": _NAME}
_RUNS_BY_KEY = Names([TEXT])
_MORE = {"data": [TEXT], "more": Nullable([Nullable(Names(ANY))])}
_LOG_LINE = {
    "epoch": INTEGER,
    "level": Words(LOG_LEVELS),
    "message": TEXT,
    "tag": _NAME,
    "timestamp": ANY,
}


@dataclass
class Facts:
    """What is known of the run so far; requests name it by these."""

    ref: RunRef
    username: str = ""
    project_id: str = ""
    source: RunSource = field(default_factory=lambda: RunSource("", ""))
    scalar_key: str = ""
    media_key: str = ""
    media_path: str = ""
    export_path: str = ""
    file_url: str = ""
    media_url: str = ""

    @property
    def run_id(self) -> str:
        """The id of the run; empty while it is not known."""
        return self.source.run_id

    def private_names(self) -> set[str]:
        """Names of the user's own, in so far as they are known."""
        ref, source = self.ref, self.source
        ids = (source.run_id, source.root_run_id, source.root_project_id)
        keys = (self.scalar_key, self.media_key)
        names = (ref.run, ref.project.project, ref.project.workspace, self.username)
        return {self.project_id, *ids, *keys, *names} - {""}


@dataclass(frozen=True)
class Check:
    """One endpoint.

    Args:
        endpoint: Method and path, without names of the user's.
        ask: Sends the request.
        shape: What its payload is declared to be.
        needs: The facts that the request is made of.
        learn: Takes from a payload facts for later requests.
        since: The generation of servers that it came with.
        until: The last generation that has it.
        is_required: Where it is not found, neither is the run.
        is_file: It is a presigned file, and not an endpoint of the API.
    """

    endpoint: str
    ask: Callable[[Client, Facts], Any]
    shape: Any
    needs: tuple[str, ...] = ()
    learn: Callable[[Facts, Any], None] | None = None
    since: str = GENERATIONS[0]
    until: str = GENERATIONS[-1]
    is_required: bool = False
    is_file: bool = False

    @property
    def generations(self) -> str:
        """The generations of servers that have it, for people."""
        if self.until == GENERATIONS[-1]:
            return f"since {self.since}"
        is_one = self.since == self.until
        return f"only {self.since}" if is_one else f"{self.since} to {self.until}"

    def is_of(self, generation: str) -> bool:
        """Say whether servers of a generation have it."""
        rank = GENERATIONS.index
        return rank(self.since) <= rank(generation) <= rank(self.until)


def _fixed(endpoint: str, ask: Callable[[Client, Facts], Any], shape: Any, **rest: Any) -> Check:
    """An endpoint whose path names no object, as ``releases`` lists them."""
    return Check(endpoint, ask, shape, since=SINCE[endpoint], **rest)


def _learn_login(facts: Facts, payload: Any) -> None:
    facts.username = payload["userInfo"]["username"]


def _learn_project(facts: Facts, payload: Any) -> None:
    facts.project_id = projects.read_project_id(payload)


def _learn_run(facts: Facts, payload: Any) -> None:
    facts.source = runs.read_source(payload, facts.project_id)


def _learn_keys(facts: Facts, keys: list[str], metric_type: str) -> None:
    """Choose a key: one that the user logged, where there is one."""
    own = [key for key in keys if key_class(key, metric_type) == "CUSTOM"]
    chosen = next(iter(own or keys), "")
    if metric_type == "SCALAR":
        facts.scalar_key = facts.scalar_key or chosen
    else:
        facts.media_key = facts.media_key or chosen


def _learn_latest(facts: Facts, payload: Any) -> None:
    for metric_type in ("SCALAR", "MEDIA"):
        _learn_keys(facts, list(metrics.read_latest(payload, metric_type)), metric_type)


def _learn_columns(facts: Facts, payload: Any) -> None:
    for metric_type in ("SCALAR", "MEDIA"):
        of_type = [each for each in payload["list"] if runs.is_column_of(each, metric_type)]
        _learn_keys(facts, [runs.read_column_key(each) for each in of_type], metric_type)


def _learn_media(facts: Facts, payload: Any) -> None:
    found = [path for entry in payload[0]["metrics"] for path in entry["data"]]
    facts.media_path = next((path for path in found if is_path(path)), "")


def _learn_export(facts: Facts, payload: Any) -> None:
    facts.export_path = facts.export_path or metrics.read_export_path(payload, "an export")


def _learn_file_url(facts: Facts, payload: Any) -> None:
    facts.file_url = metrics.read_urls(payload, 1)[0]


def _learn_column_url(facts: Facts, payload: Any) -> None:
    facts.file_url = facts.file_url or metrics.read_column_url(payload, "an export")


def _learn_media_url(facts: Facts, payload: Any) -> None:
    facts.media_url = metrics.read_urls(payload, 1)[0]


def learn(check: Check, facts: Facts, payload: Any) -> None:
    """Take from a payload what later requests need, as far as it is there."""
    if check.learn is None:
        return
    try:
        check.learn(facts, payload)
    except (SwanlabExportError, LookupError, TypeError, AttributeError):
        return  # its shape is what is reported


_ANY_STATE = Rule("state", "STABLE", "IN", RUN_STATES)
_SIZE = PAGE_SIZES[0]
_RUN_PATH = "/project/{workspace}/{project}/runs"
_POINT = {"index": NUMBER, "data": NUMBER, "timestamp": UNIX_MS}
_KEYS_OF = {"SCALAR": "scalar_key", "MEDIA": "media_key"}


def _keys_check(metric_type: str) -> Check:
    return _fixed(
        f"POST /house/metrics/{metric_type.lower()}/keys",
        lambda c, f: c.send(metrics.keys_page([f.source], metric_type, "")),
        _KEYS,
        needs=("run_id",),
        learn=lambda f, payload: _learn_keys(f, metrics.read_keys(payload), metric_type),
    )


def _availability_check(metric_type: str) -> Check:
    key = _KEYS_OF[metric_type]
    return _fixed(
        f"POST /house/metrics/{metric_type.lower()}/availability",
        lambda c, f: metrics.fetch_availability(c, [f.source], [getattr(f, key)], metric_type),
        _RUNS_BY_KEY,
        needs=("run_id", key),
    )


CHECKS = (
    Check("POST /login/api_key", lambda c, _: c.login(), _LOGIN, learn=_learn_login),
    _fixed("GET /user/profile", lambda c, _: users.fetch_profile(c), _PROFILE),
    Check(
        "GET /user/{username}/groups",
        lambda c, f: workspaces.fetch_workspaces_of(c, f.username),
        Nullable([_WORKSPACE]),
        ("username",),
    ),
    Check(
        "GET /group/",
        lambda c, _: c.send(Request("GET", "/group/")),
        {"list": Nullable([{"username": TEXT, "name": _NAME, "role": Words(_ROLES)}])},
        until="2.6",
    ),
    Check(
        "GET /group/{workspace}",
        lambda c, f: workspaces.fetch_workspace(c, WorkspaceRef(f.ref.project.workspace)),
        _WORKSPACE,
        since="2.8",
    ),
    Check(
        "GET /project/{workspace}",
        lambda c, f: c.send(
            projects.projects_page(
                WorkspaceRef(f.ref.project.workspace), 1, _SIZE, search=None, sort=None
            )
        ),
        _page(_PROJECT),
    ),
    Check(
        "GET /project/{workspace}/{project}",
        lambda c, f: projects.fetch_project(c, f.ref.project),
        _PROJECT,
        learn=_learn_project,
        is_required=True,
    ),
    Check(
        f"GET {_RUN_PATH}",
        lambda c, f: c.send(runs.runs_page(f.ref.project, 1, _SIZE)),
        _page(_RUN),
    ),
    Check(
        f"GET {_RUN_PATH}/{{run}}",
        lambda c, f: runs.fetch_run(c, f.ref),
        _RUN,
        learn=_learn_run,
        is_required=True,
    ),
    Check(
        f"POST {_RUN_PATH}/shows",
        lambda c, f: runs.fetch_filtered_runs(c, f.ref.project, [_ANY_STATE]),
        Nullable([_RUN]),
    ),
    *map(_keys_check, METRIC_TYPES),
    Check(
        "GET /house/metrics/summaries/{project}/{run}",
        lambda c, f: metrics.fetch_latest(c, f.source),
        {"scalar": _LATEST, "media": _LATEST, "log": _LATEST},
        ("run_id",),
        _learn_latest,
    ),
    Check(
        "GET /experiment/{run}/column",
        lambda c, f: c.send(
            runs.columns_page(f.run_id, 1, _SIZE, search=None, column_class=None, column_type=None)
        ),
        _page(_COLUMN),
        ("run_id",),
        _learn_columns,
    ),
    *map(_availability_check, METRIC_TYPES),
    _fixed(
        "POST /house/metrics/summaries",
        lambda c, f: metrics.fetch_summaries(c, [f.source], None),
        _SUMMARIES,
        needs=("run_id",),
    ),
    _fixed(
        "POST /house/metrics/scalar",
        lambda c, f: metrics.fetch_sample(
            c, f.source, [f.scalar_key], points=_SIZE, x_axis="step", x_key=None
        ),
        Nullable([{"key": TEXT, "metrics": Nullable([_POINT])}]),
        needs=("run_id", "scalar_key"),
    ),
    _fixed(
        "POST /house/metrics/scalar/export",
        lambda c, f: metrics.fetch_export(c, f.source, [f.scalar_key]),
        {"cosKey": TEXT},
        needs=("run_id", "scalar_key"),
        learn=_learn_export,
    ),
    _fixed(
        "POST /house/metrics/log/export",
        lambda c, f: logs.fetch_log_export(c, f.source, 0, 1),
        {"cosKey": TEXT},
        needs=("run_id",),
        learn=_learn_export,
    ),
    Check(
        "POST /files/presigned/get",
        lambda c, f: metrics.fetch_file_urls(c, [f.export_path]),
        {"urls": [URL]},
        ("export_path",),
        _learn_file_url,
        since="2.8",
    ),
    Check(
        "GET /experiment/{run}/column/csv",
        lambda c, f: metrics.fetch_column_file(c, f.source, f.scalar_key),
        {"url": URL},
        ("run_id", "scalar_key"),
        _learn_column_url,
        until="2.8",
    ),
    Check(
        "GET the exported file",
        lambda c, f: c.download(lambda: f.file_url, "it", needs_length=False),
        ANY,
        ("file_url",),
        is_file=True,
    ),
    _fixed(
        "POST /house/metrics/media",
        lambda c, f: medias.fetch_media_step(c, f.source, [f.media_key], 0),
        {
            "steps": Nullable([INTEGER]),
            "step": Nullable(INTEGER),
            "metrics": Nullable([{"key": TEXT, **_MORE}]),
        },
        needs=("run_id", "media_key"),
    ),
    _fixed(
        "POST /house/metrics/f_media",
        lambda c, f: medias.fetch_media(c, f.source, [f.media_key]),
        Nullable([Nullable({"key": TEXT, "metrics": Nullable([{"index": INTEGER, **_MORE}])})]),
        needs=("run_id", "media_key"),
        learn=_learn_media,
    ),
    Check(
        "POST /resources/presigned/get",
        lambda c, f: medias.fetch_media_urls(c, f.source, [f.media_path]),
        {"urls": [URL]},
        ("run_id", "media_path"),
        _learn_media_url,
        since="2.8",
    ),
    Check(
        "GET the media file",
        lambda c, f: c.download(lambda: f.media_url, "it", needs_length=False),
        ANY,
        ("media_url",),
        since="2.8",
        is_file=True,
    ),
    _fixed(
        "GET /house/metrics/log",
        lambda c, f: c.send(logs.logs_page(f.source, 0, LOG_LEVELS[0])),
        {"logs": Nullable([_LOG_LINE]), "count": INTEGER},
        needs=("run_id",),
    ),
    _fixed(
        "GET /self_hosted/info",
        lambda c, _: self_hosted.fetch_instance(c),
        {
            **dict.fromkeys(("enabled", "expired", "root"), TRUTH),
            "plan?": Words(("free", "commercial")),
            "seats?": Nullable(INTEGER),
        },
    ),
    _fixed("GET /self_hosted/summary", lambda c, _: self_hosted.fetch_usage(c), Names(ANY)),
    _fixed(
        "GET /self_hosted/users",
        lambda c, _: c.send(self_hosted.users_page(1, _SIZE)),
        _page({"username": TEXT, "name?": _NAME, "email?": _NAME, "isRoot?": ANY}),
    ),
    _fixed(
        "GET /self_hosted/projects",
        lambda c, _: c.send(
            self_hosted.projects_page(1, _SIZE, search=None, creator=None, workspace=None)
        ),
        _page(_PROJECT),
    ),
    _fixed(
        "GET /self_hosted/groups",
        lambda c, _: c.send(self_hosted.workspaces_page(1, _SIZE, search=None)),
        _page(_WORKSPACE),
    ),
)
