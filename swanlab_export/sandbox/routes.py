"""Every endpoint of the API, and the function that responds."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.routing import Map, PathConverter, Rule

from swanlab_export.sandbox import (
    accounts,
    exports,
    keys,
    logs,
    medias,
    projects,
    runs,
    scalars,
    self_hosted,
    storage,
    summaries,
)
from swanlab_export.sandbox.access import damaged, not_found
from swanlab_export.sandbox.dataset import DamagedError
from swanlab_export.sandbox.generations import is_offered
from swanlab_export.sandbox.state import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from swanlab_export.sandbox.state import State

_ROUTES: dict[str, Callable[..., Response]] = {
    "POST /login/api_key": accounts.login,
    "GET /user/profile": accounts.profile,
    "GET /user/<username>/groups": accounts.workspaces_of,
    "GET /group/": accounts.own_workspaces,
    "GET /group/<username>": accounts.workspace,
    "GET /project/<workspace>": projects.projects,
    "POST /project": projects.create_project,
    "GET /project/<workspace>/<name>": projects.project,
    "GET /project/<workspace>/<name>/runs": runs.runs,
    "GET /project/<workspace>/<name>/runs/<run>": runs.run,
    "POST /project/<workspace>/<name>/runs/shows": runs.filtered_runs,
    "GET /experiment/<run_id>/column": runs.columns,
    "GET /experiment/<run_id>/column/csv": exports.export_column,
    "GET /house/metrics/summaries/<project_id>/<run_id>": summaries.latest_steps,
    "POST /house/metrics/summaries": summaries.summaries,
    "POST /house/metrics/scalar": scalars.sampled_points,
    "POST /house/metrics/scalar/value": scalars.statistics,
    "POST /house/metrics/scalar/export": exports.export_scalars,
    "POST /house/metrics/<kind>/keys": keys.keys,
    "POST /house/metrics/<kind>/availability": keys.availability,
    "POST /house/metrics/media": medias.media_of_step,
    "POST /house/metrics/f_media": medias.media_of_all_steps,
    "GET /house/metrics/log": logs.log_shard,
    "POST /house/metrics/log/export": exports.export_log,
    "POST /resources/presigned/get": exports.presign_media,
    "POST /files/presigned/get": exports.presign_files,
    "GET /self_hosted/info": self_hosted.instance,
    "GET /self_hosted/summary": self_hosted.usage,
    "GET /self_hosted/users": self_hosted.users,
    "POST /self_hosted/users": self_hosted.create_users,
    "GET /self_hosted/projects": self_hosted.all_projects,
    "GET /self_hosted/groups": self_hosted.all_workspaces,
}


class _FileName(PathConverter):
    """A name of a file, which has the ids and paths that runs came with: line ends, too."""

    part_isolating = False
    regex = "(?s:.+?)"


_CONVERTERS = {"file": _FileName}


@cache
def _map_api(generation: str) -> Map:
    """The rules of the API of a generation, which take longer to compile than all else to start."""
    rules = [
        Rule(f"/api{rule}", endpoint=endpoint, methods=[method])
        for endpoint in _ROUTES
        for method, _, rule in [endpoint.partition(" ")]
        if is_offered(endpoint, generation)
    ]
    return Map([*rules, _rule_of_files(PRIVATE)], converters=_CONVERTERS)


@cache
def _map_storage() -> Map:
    return Map([_rule_of_files("/")], converters=_CONVERTERS)


def _rule_of_files(folder: str) -> Rule:
    return Rule(f"{folder}<file:name>", endpoint="file", methods=["GET"])


def build_api(state: State) -> Flask:
    """The app of the API origin, with what the generation of ``state`` offers."""
    app = Flask("api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map = _map_api(state.generation)
    app.view_functions = {endpoint: partial(view, state) for endpoint, view in _ROUTES.items()}
    app.view_functions["file"] = partial(storage.send_file, state, 403)
    app.before_request(state.data.refresh)
    for status in (404, 405):
        app.register_error_handler(status, not_found)
    app.register_error_handler(DamagedError, damaged)
    return app


def build_storage(state: State) -> Flask:
    """The app of the storage origin."""
    app = Flask("storage", static_folder=None)
    app.url_map = _map_storage()
    app.view_functions["file"] = partial(storage.send_file, state, 400)
    app.register_error_handler(DamagedError, damaged)
    return app
