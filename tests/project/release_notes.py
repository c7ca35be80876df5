"""Prints the changelog section of a tag, as the notes of its release.

    python tests/project/release_notes.py v0.2.0 > notes.md

It fails if the tag is not the version of the package, or if the changelog has no such section.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return the text of the section ``## version``, without its heading."""
    if tag != f"v{version}":
        raise SystemExit(f"the tag is {tag}, but the version of the package is {version}")
    sections = re.split(r"^## +", changelog, flags=re.MULTILINE)
    for section in sections[1:]:
        heading, _, text = section.partition("\n")
        if heading.split()[:1] == [version] and text.strip():
            return text.strip() + "\n"
    raise SystemExit(f"CHANGELOG.md has no section {version}, or it is empty")


def package_version() -> str:
    """Return the version of the package without importing it: a release job has no dependencies."""
    text = (ROOT / "swanlab_export" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE)
    assert found
    return found[1]


if __name__ == "__main__":
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sys.stdout.write(release_notes(sys.argv[1], package_version(), changelog))
