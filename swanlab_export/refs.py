"""What a path names: ``team``, ``team/project`` or ``team/project/run``, or a pasted web URL.

Parsed and checked once, here; everything behind it handles refs and never splits a string.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib import parse

from swanlab_export.errors import UsageError
from swanlab_export.messages import quote


@dataclass(frozen=True, order=True)
class WorkspaceRef:
    """A workspace, by its username."""

    workspace: str

    def __str__(self) -> str:
        return self.workspace

    @property
    def url_path(self) -> str:
        """The part of a request path that names it."""
        return parse.quote(self.workspace, safe="")


@dataclass(frozen=True, order=True)
class ProjectRef:
    """A project in a workspace."""

    workspace: str
    project: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.project}"

    @property
    def url_path(self) -> str:
        """The part of a request path that names it."""
        return f"{parse.quote(self.workspace, safe='')}/{parse.quote(self.project, safe='')}"


@dataclass(frozen=True, order=True)
class RunRef:
    """A run in a project, by its id or its slug."""

    project: ProjectRef
    run: str

    def __str__(self) -> str:
        return f"{self.project}/{self.run}"

    @property
    def url_path(self) -> str:
        """The part of a request path that names it."""
        return f"{self.project.url_path}/runs/{parse.quote(self.run, safe='')}"


def parse_workspace(text: str) -> WorkspaceRef:
    """Read ``team`` or the URL of anything in it."""
    return WorkspaceRef(_parts(text, least=1, form="WORKSPACE")[0])


def parse_project(text: str) -> ProjectRef:
    """Read ``team/project``, or the URL of the project or of one of its runs."""
    workspace, project = _parts(text, least=2, form="WORKSPACE/PROJECT")[:2]
    return ProjectRef(workspace, project)


def parse_run(text: str) -> RunRef:
    """Read ``team/project/run``, or the run's URL with or without ``/chart`` behind it."""
    workspace, project, run = _parts(text, least=3, form="WORKSPACE/PROJECT/RUN")
    return RunRef(ProjectRef(workspace, project), run)


def _parts(text: str, *, least: int, form: str) -> list[str]:
    """Split a path or URL into names; a URL may name more than was asked for, a path may not."""
    if not isinstance(text, str):
        raise UsageError(f"a path is text, {form}, not {quote(repr(text))}")
    is_url = "://" in text
    parts = _url_parts(text) if is_url else text.split("/")
    fits = len(parts) >= least if is_url else len(parts) == least
    if not fits or not all(_is_name(part) for part in parts):
        raise UsageError(f"{quote(text)} is not {form} or the web page of one")
    return parts


def _url_parts(text: str) -> list[str]:
    """``https://host/@team/project/runs/id/chart`` → [team, project, id]."""
    try:
        pieces = [
            parse.unquote(piece) for piece in parse.urlsplit(text.strip()).path.split("/") if piece
        ]
    except ValueError:
        return []
    if not pieces or not pieces[0].startswith("@"):
        return []
    names = [pieces[0][1:], *pieces[1:2]]
    if len(pieces) >= 4 and pieces[2] == "runs":
        names.append(pieces[3])
    return names


def _is_name(part: str) -> bool:
    """Say whether ``part`` can name something: not blank, no controls, no way up the tree."""
    return part == part.strip() and part not in {"", ".", ".."} and part.isprintable()
