"""A new project under git and DVC, as far as they are there; what could not be done is said."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

MESSAGE = "A project of appraise"
EXTRA = "pip install 'appraise[dagster]'"


def put_under(folder: Path, files: Sequence[str]) -> Iterator[str]:
    """Give a project's folder to git and DVC; gives a line for each.

    A repository that is there already, in this folder or around it, is left as it is: only in one
    that is made here is there a first commit.
    """
    around = _repository(folder)
    made = around is None and _ran(folder, "git", "init", "--quiet") == ""
    yield from _dvc(folder, scm=made or around is not None, within=around not in (None, folder))
    if around is not None:
        yield f"git: in the repository {around}; commit the new files when you like"
    elif shutil.which("git") is None:
        yield "git: not installed; decisions name no commit until the project is in a repository"
    else:
        yield _first_commit(folder, files)


def _repository(folder: Path) -> Path | None:
    """The repository that a folder is in."""
    if shutil.which("git") is None:
        return None
    words = ["git", "rev-parse", "--show-toplevel"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode else Path(done.stdout.strip())


def _dvc(folder: Path, scm: bool, within: bool) -> Iterator[str]:
    if (folder / ".dvc").exists():
        yield "DVC: set up already"
        return
    if find_spec("dvc") is None:
        yield f"DVC: not installed; `{EXTRA}`, then `dvc init`, keeps what the steps make"
        return
    options = [] if scm and not within else ["--subdir"] if scm else ["--no-scm"]
    failed = _ran(folder, sys.executable, "-m", "dvc", "init", "--quiet", *options)
    if failed:
        yield f"DVC: not set up: {failed}"
        return
    path, config = folder / ".dvc" / "config", configparser.ConfigParser()
    config.read(path)
    if not config.has_section("core"):
        config.add_section("core")
    config.set("core", "analytics", "false")
    with path.open("w", encoding="utf-8") as file:
        config.write(file)
    yield "DVC: set up; it sends no statistics"


def _first_commit(folder: Path, files: Sequence[str]) -> str:
    there = [name for name in (*files, ".dvc") if (folder / name).exists()]
    failed = _ran(folder, "git", "add", "--", *there) or _ran(
        folder, "git", "commit", "--quiet", "--message", MESSAGE
    )
    if failed:
        return (
            f"git: set up, but without a commit ({failed}); say who you are with "
            '`git config --global user.name "…"` and user.email, then `git add -A` and `git commit`'
        )
    return "git: set up, with a first commit"


def _ran(folder: Path, *words: str) -> str:
    """Run a command; "" when it went well, else the first line of what it says."""
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).strip()
    return said.splitlines()[0] if said else f"exit code {done.returncode}"
