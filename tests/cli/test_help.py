"""The help pages are those of help_pages.txt, so that no change of them goes unseen.

After a change that is meant, ``python tests/cli/test_help.py`` writes them anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).with_name("help_pages.txt")
RULE = "$ swanlab-export "


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(child, (*path, name))


COMMANDS = list(_commands(root))


def page(words: tuple[str, ...]) -> str:
    """The help page of one command, as a terminal of 100 columns shows it."""
    done = CliRunner().invoke(
        root, [*words, "--help"], prog_name="swanlab-export", terminal_width=100
    )
    assert done.exit_code == 0
    return done.stdout


def _name(words: tuple[str, ...]) -> str:
    return "".join(f"{word} " for word in words)


def _snapshots() -> dict[str, str]:
    pages = FILE.read_text(encoding="utf-8").split(RULE)[1:]
    return dict(text.split("--help\n", 1) for text in pages)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_is_as_recorded(words: tuple[str, ...]) -> None:
    """Every help page says what is recorded, wherever its lines break."""
    assert page(words).split() == _snapshots()[_name(words)].split()


def test_no_page_is_left_over() -> None:
    """What is recorded still exists."""
    assert sorted(_snapshots()) == sorted(map(_name, COMMANDS))


if __name__ == "__main__":
    FILE.write_text(
        "".join(f"{RULE}{_name(words)}--help\n{page(words)}\n" for words in COMMANDS),
        encoding="utf-8",
    )
