"""The edge: any error as one line, for the command line and for Dagster's pages.

What a user can do something about is said in words; of everything that came from elsewhere the
traceback is kept in `.appraise/errors/`, under a name made of its content, so that the same defect
has one file however often it happens.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from appraise.errors import AppraiseError, DefectError
from appraise.errors.foreseen import explained, one_line

FOLDER = Path(".appraise") / "errors"


def as_ours(error: Exception, root: Path) -> AppraiseError:
    """The error as one of ours: itself, a foreseen one in our words, or a defect.

    Args:
        root: the project's folder, where the traceback of what is not ours is kept.
    """
    if isinstance(error, AppraiseError):
        return error
    kept = _keep(error, root)
    ours = explained(error)
    if ours is not None:
        if kept is not None:
            ours.add_note(f"details: {kept}")
        return ours
    where = "" if kept is None else f"; please report it with {kept}, which has all of it"
    return DefectError(f"a defect of appraise: {type(error).__name__}: {one_line(error)}{where}")


def said(error: AppraiseError) -> str:
    """An error of ours with its notes, on one line."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])


def _keep(error: Exception, root: Path) -> Path | None:
    """Write the traceback into the project, else into the folder for temporary files.

    None where neither can be written: the disk is full, and the one line has to do.
    """
    text = "".join(traceback.format_exception(error))
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    for folder in (root / FOLDER, Path(tempfile.gettempdir()) / "appraise-errors"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{_circumstances()}\n\n{text}", encoding="utf-8")
        except OSError:  # the next folder; there is nowhere to say this
            continue
        inside = folder.is_relative_to(root)
        return (folder / name).relative_to(root) if inside else folder / name
    return None


def _circumstances() -> str:
    try:
        own = version("appraise")
    except PackageNotFoundError:
        own = "not installed"
    return f"appraise {own}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}"
