"""What a trace collector keeps of an error: the variables of each call."""

from __future__ import annotations

import traceback
from pathlib import Path

import swanlab_export

_PACKAGE = str(Path(swanlab_export.__file__).parent)


def variables_of(error: BaseException) -> str:
    """The calls of this package that an error went through, with their variables."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    calls = [each for each in found.stack if each.filename.startswith(_PACKAGE)]
    assert calls
    return "\n".join(f"{each.name}: {each.locals}" for each in calls)
