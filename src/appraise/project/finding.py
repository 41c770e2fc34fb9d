"""What a look at a project finds, before anything is computed: all is well, or what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much it matters."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"

    @property
    def mark(self) -> str:
        """As the table shows it."""
        return {"ok": "ok", "warning": "!", "error": "✗"}[self]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ERROR for what would stop a run, or leave it without its record; WARNING for what a
            person should know of.
        about: what was looked at: `params`, `pool`, `dvc`.
        says: what is there; or what was expected, what was found and what to do.
    """

    level: Level
    about: str
    says: str


def ok(about: str, says: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, about, says)


def warning(about: str, says: str) -> Finding:
    """Something to know of."""
    return Finding(Level.WARNING, about, says)


def wrong(about: str, says: str) -> Finding:
    """Something that has to be put right first."""
    return Finding(Level.ERROR, about, says)
