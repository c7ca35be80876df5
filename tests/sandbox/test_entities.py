"""Login, workspaces, projects, runs, columns and administration: literal requests and bodies."""

from __future__ import annotations
