"""The git checkout that a project is in, if it is in one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SECONDS = 10  # a disk on a network may be slow; git that hangs is as good as none


def git_commit(root: Path) -> str | None:
    """The commit that is checked out; None outside of git and before the first commit."""
    return git(root, "rev-parse", "--verify", "--quiet", "HEAD")


def git(root: Path, *words: str) -> str | None:
    """What git says in a folder; None where it fails, says nothing, or is not installed."""
    try:
        done = subprocess.run(
            ("git", "-C", str(root), *words),
            capture_output=True, text=True, check=False, errors="replace", timeout=_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):  # not installed, not to be run, or hanging
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def checkout_above(root: Path) -> Path | None:
    """The folder with `.git` that a folder is in, found without git; None outside of git."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def obstacle(root: Path) -> str | None:
    """Why the commit of a checkout cannot be named; None where it can, and outside of git."""
    top = checkout_above(root)
    if top is None or git_commit(root) is not None:
        return None
    if shutil.which("git") is None:
        return "expected git, found no such program on PATH; install it, or add its folder to PATH"
    if git(root, "rev-parse", "--git-dir") is None:
        return (
            "expected a checkout that git reads, found one that it refuses; `git status` in it "
            f"says why (of another owner: `git config --global --add safe.directory {top}`)"
        )
    return (
        "expected a commit, found none yet; commit your settings (`git add -A`, `git commit`) so "
        "that a decision can name what it was made from"
    )
