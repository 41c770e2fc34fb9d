"""The git checkout that a project is in, if it is in one."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_commit(root: Path) -> str | None:
    """The commit that is checked out; None outside of git and before the first commit."""
    words = ("git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # git is not installed
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
