"""What would keep DVC from recording a project, found in well under a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dvc.config import Config, ConfigError

from appraise.errors.foreseen import of_system, one_line
from appraise.orchestration.checkout import checkout_above, git
from appraise.orchestration.recorders.dvc_lock import LINEAGE, copied, parsed, stages
from appraise.steps.flow import NOUNS

DATA = "data"


def obstacles(root: Path) -> Iterator[str]:
    """What is in DVC's way in a folder that has a `.dvc`, each with what to do."""
    no_scm = False
    try:
        core = Config(str(root / ".dvc"))["core"]
        no_scm = bool(core.get("no_scm"))
    except ConfigError as error:
        yield (
            f".dvc/config: expected DVC's settings, found: {one_line(error)}; correct it, or run "
            "`dvc init --force`"
        )
    except OSError as error:
        yield of_system(error)
    yield from _of_stages(root)
    yield from _of_lock(root)
    yield from _of_links(root)
    if not no_scm:
        yield from _of_git(root)
    yield from _of_cache(root)


def _of_stages(root: Path) -> Iterator[str]:
    """`dvc.yaml`: there, with stages whose sections `params.yaml` has."""
    found = stages(root / "dvc.yaml")
    if not found:
        yield (
            "dvc.yaml: expected the stages of the steps, found none that can be read; copy the "
            "file from the repository of appraise, or restore yours (`git checkout dvc.yaml`)"
        )
        return
    named = {
        str(name).split(".")[0]
        for stage in found.values()
        if isinstance(stage, dict)
        for name in stage.get("params") or ()
        if isinstance(name, str)
    }
    absent = sorted(named - set(parsed(root / "params.yaml")))
    if absent and (root / "params.yaml").is_file():
        lines = ", ".join(f"`{name}: {{}}`" for name in absent)
        yield (
            "params.yaml: expected each section that dvc.yaml names, found no "
            f"{', '.join(absent)}; add {lines}, which leaves all at its default"
        )


def _of_lock(root: Path) -> Iterator[str]:
    """`dvc.lock` and DVC's own locks, which a kill may have torn."""
    lock = root / "dvc.lock"
    if (
        lock.exists() and not stages(lock) and not copied(root).is_file()
    ):  # a copy is put back by itself
        yield (
            "dvc.lock: expected what DVC has recorded, found a file that is torn or no lock; "
            "restore it (`git checkout dvc.lock`), or delete it: the next run records all anew"
        )
    torn = root / ".dvc" / "tmp" / "rwlock"
    if torn.is_file() and torn.stat().st_size and not parsed(torn) and torn.read_text() != "{}":
        yield (
            ".dvc/tmp/rwlock: expected DVC's list of who reads what, found a torn file; delete it "
            "while no DVC runs"
        )


def _of_links(root: Path) -> Iterator[str]:
    for path in (root / DATA, *(root / DATA / noun for noun in NOUNS), root / LINEAGE):
        if path.is_symlink():
            name = path.relative_to(root)
            yield (
                f"{name}: expected a folder in the project, found a link to {path.resolve()}, "
                "behind which DVC records nothing; mount that disk here (`mount --bind "
                f"{path.resolve()} {path}`), move the whole project to it, or work without DVC "
                "(`--no-record`)"
            )


def _of_git(root: Path) -> Iterator[str]:
    top = checkout_above(root)
    if top is None:
        return
    tracked = git(root, "ls-files", "--", DATA, LINEAGE)
    if tracked:
        files = tracked.splitlines()
        yield (
            f"{files[0]}{f' and {len(files) - 1} more' if files[1:] else ''}: expected to be "
            "tracked by DVC alone, found tracked by git too; run `git rm -r --cached --quiet "
            f"{DATA} {LINEAGE} --ignore-unmatch`, add /{DATA}/ and /{LINEAGE}/ to .gitignore and "
            "commit: the files stay where they are"
        )


def _of_cache(root: Path) -> Iterator[str]:
    for path in (root / ".dvc" / "cache", root / ".dvc" / "tmp", root / ".dvc", root / "dvc.lock"):
        if path.exists() and not os.access(path, os.W_OK):
            yield f"{path.relative_to(root)}: expected permission to write, found none; `chmod` it"
            return
