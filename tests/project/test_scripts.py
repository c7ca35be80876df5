"""The scripts of the workflows: release notes, lowest versions, and what CI installs."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "project"
CHANGELOG = "# Changelog\n\n## 1.10.0\n\nTen.\n\n## 1.1.0 (2026-01-02)\n\n- One.\n\n## 1.0.0\n"


def _functions(name: str) -> dict[str, Any]:
    return runpy.run_path(str(PROJECT / name))


def test_release_notes_are_the_section_of_the_version() -> None:
    """The notes have the text of one section; a version is not found by its first digits."""
    notes = _functions("release_notes.py")["release_notes"]
    assert notes("v1.1.0", "1.1.0", CHANGELOG) == "- One.\n"
    assert notes("v1.10.0", "1.10.0", CHANGELOG) == "Ten.\n"


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [
        ("v1.1.0", "1.10.0", "the tag is v1.1.0, but the version of the package is 1.10.0"),
        ("1.1.0", "1.1.0", "the tag is 1.1.0"),
        ("v1.1", "1.1", "has no section 1.1"),
        ("v1.0.0", "1.0.0", "or it is empty"),
    ],
)
def test_a_release_without_notes_is_refused(tag: str, version: str, said: str) -> None:
    """Another version, a version without a section and an empty section stop a release."""
    with pytest.raises(SystemExit, match=re.escape(said)):
        _functions("release_notes.py")["release_notes"](tag, version, CHANGELOG)


def test_this_version_has_release_notes() -> None:
    """The changelog describes the version of the package."""
    functions = _functions("release_notes.py")
    version = functions["package_version"]()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert functions["release_notes"](f"v{version}", version, changelog)


def test_lowest_versions_come_from_the_bounds() -> None:
    """Dependencies and extras are pinned to their lower bounds, with or without an upper one."""
    lowest = _functions("lowest.py")["lowest_versions"]
    extras = {"a": ["three>=3.1,<4"], "b": ["one>=1.2"]}
    project = {"dependencies": ["one>=1.2", "two[x]>=2"], "optional-dependencies": extras}
    assert lowest(project) == ["one==1.2", "three==3.1", "two==2"]


@pytest.mark.parametrize("requirement", ["one", "one<2", "one~=1.2", "one>=1.2; os_name=='nt'"])
def test_a_dependency_without_a_lower_bound_is_refused(requirement: str) -> None:
    """What has no lowest version cannot be tested with it."""
    project = {"dependencies": [requirement], "optional-dependencies": {}}
    with pytest.raises(SystemExit, match="has no lower bound"):
        _functions("lowest.py")["lowest_versions"](project)


def test_ci_installs_what_make_installs() -> None:
    """The job that has no make tests the same extras and groups, from the lowest Python on."""
    installed = [
        set(re.findall(r'"(\.\[.+?\])"|--group (\w+)', path.read_text(encoding="utf-8")))
        for path in (ROOT / "Makefile", ROOT / ".github" / "workflows" / "ci.yml")
    ]
    assert installed[0] == installed[1] != set()
    with (ROOT / "pyproject.toml").open("rb") as file:
        lowest = tomllib.load(file)["project"]["requires-python"].removeprefix(">=")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f'python: ["{lowest}",' in workflow


def test_messages_name_packages_that_can_be_installed() -> None:
    """What a message tells to install is a dependency of an extra, or the official client."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    known = {re.split(r"\W", name, maxsplit=1)[0] for names in extras.values() for name in names}
    said = {
        name
        for path in (ROOT / "swanlab_export").rglob("*.py")
        for name in re.findall(r"pip install ([^\s\"{]+)", path.read_text(encoding="utf-8"))
    }
    assert len(said) > 4
    assert said <= known | {"swanlab"}
