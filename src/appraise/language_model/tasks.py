"""Tasks of lm-eval that `evaluation.tasks` asks for: names, or folders of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appraise.errors import ParamsError
from appraise.storage.files import sha256_file, sha256_json

_LEFT = {"__pycache__", ".ipynb_checkpoints"}


def folders_of(tasks: Sequence[str], root: Path) -> dict[str, Path]:
    """Which of the tasks are folders: those that are one, and those that are written as a path.

    Raises:
        ParamsError: a path leads to no folder.
    """
    folders = {}
    for task in tasks:
        if (root / task).is_dir():
            folders[task] = root / task
        elif "/" in task:
            raise ParamsError(
                f"evaluation.tasks: expected a folder with tasks of lm-eval, found none at {task}"
            )
    return folders


def contents(tasks: Sequence[str], root: Path) -> dict[str, str]:
    """SHA-256 of the names and contents of each folder's files, for a step's recipe.

    The tasks that come with lm-eval are not in it, nor data from elsewhere.

    Raises:
        ParamsError: a path leads to no folder.
    """
    hashes = {}
    for task, folder in folders_of(tasks, root).items():
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        own = [(path.relative_to(folder), path) for path in files]
        hashes[task] = sha256_json(
            {name.as_posix(): sha256_file(path) for name, path in own if not _LEFT & {*name.parts}}
        )
    return hashes
