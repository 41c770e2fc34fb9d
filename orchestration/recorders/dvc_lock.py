"""`dvc.lock`, as DVC writes it: read, and repaired after a kill.

DVC writes `dvc.lock` in place; a kill while it does leaves a torn file. So a copy lies in
`.appraise/` while a record is made, and the next record looks whether it is needed:

- killed before DVC wrote: copy and lock are equal, the copy is dropped;
- killed while DVC wrote: the lock is empty, is no YAML, has lost a stage or has a stage without its
  command or hashes: the copy takes its place. What was being recorded is recorded again;
- killed after DVC wrote: the lock is whole and stays.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from appraise.storage.files import write_bytes

LINEAGE = "lineage"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """One record at a time: DVC's own waiting is unfair, ours blocks in order."""
    lock = root / ".appraise" / "locks" / "dvc.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def repair(root: Path) -> bool:
    """Put back `dvc.lock` if a kill tore it while it was written; whether that was needed."""
    lineage = root / f"{LINEAGE}.dvc"
    if lineage.is_file() and not parsed(lineage).get("outs"):
        lineage.unlink()  # made again with the next record of it
    copy = copied(root)
    if not copy.is_file():
        return False
    torn = not _whole(root)
    if torn:
        restore(root)
    copy.unlink()
    return torn


@contextmanager
def keeping_copy(root: Path) -> Iterator[None]:
    """Keep a copy of `dvc.lock` while it is written; it is left behind if this process dies."""
    lock = root / "dvc.lock"
    write_bytes(copied(root), lock.read_bytes() if lock.is_file() else b"")
    yield
    copied(root).unlink()


def restore(root: Path) -> None:
    """Put the copy in the place of `dvc.lock`."""
    content = copied(root).read_bytes()
    if content:
        write_bytes(root / "dvc.lock", content)
    else:
        (root / "dvc.lock").unlink(missing_ok=True)


def locked_md5(root: Path, noun: str) -> str | None:
    """MD5 of a stage's first output as `dvc.lock` has it."""
    stage = stages(root / "dvc.lock").get(noun)
    outs = stage.get("outs") if isinstance(stage, Mapping) else None
    return str(outs[0]["md5"]) if outs else None


def stages(path: Path) -> Mapping[str, object]:
    """The stages in `dvc.yaml` or `dvc.lock`, by noun; none if the file is missing or torn."""
    content = parsed(path).get("stages")
    return content if isinstance(content, Mapping) else {}


def copied(root: Path) -> Path:
    """Where the copy of `dvc.lock` lies while a record is made."""
    return root / ".appraise" / "dvc.lock.copy"


def _whole(root: Path) -> bool:
    """Whether `dvc.lock` lost nothing that its copy has, and each stage has all it must have."""
    if not (root / "dvc.lock").is_file():
        return not stages(copied(root))
    locked = stages(root / "dvc.lock")
    kept = set(stages(copied(root))) <= set(locked)
    return bool(locked) and kept and all(_complete(stage) for stage in locked.values())


def _complete(stage: object) -> bool:
    if not isinstance(stage, Mapping) or not stage.get("cmd") or not stage.get("outs"):
        return False
    entries = [*stage.get("deps", ()), *stage["outs"]]
    return all(isinstance(e, Mapping) and _MD5.fullmatch(str(e.get("md5", ""))) for e in entries)


def parsed(path: Path) -> Mapping[str, object]:
    """The mapping in a YAML file; an empty one if the file is missing, torn or not to be read."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, Mapping) else {}
