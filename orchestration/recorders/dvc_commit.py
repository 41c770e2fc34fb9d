"""What DVC itself does: commit a stage, track a folder. The only module that imports DVC."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.scm import SCM, SCMError
from dvc.stage import PipelineStage
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.transfer import transfer

from appraise.errors import ArtifactError, RecorderError
from appraise.errors.foreseen import one_line
from appraise.orchestration.recorders.dvc_checks import obstacles
from appraise.orchestration.recorders.dvc_lock import alone, keeping_copy, repair, restore
from appraise.project import Project
from appraise.steps.step import Step
from appraise.storage.files import TEMPORARY

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
Walked: TypeAlias = dict[str, tuple[Stamp, Meta, HashInfo]]  # path → its files, DVC's meta and hash


def commit(project: Project, step: Step, walked: Walked) -> str:
    """Record a stage in `dvc.lock` if all of its partitions are current.

    Args:
        walked: folders that were hashed before; those hashed here are added.

    Returns:
        Why it was not recorded; "" when it was.
    """
    with alone(project.root), _in_our_words(project.root):
        repair(project.root)
        late = not_current(project, step)
        if late:
            return late
        repo = open_repo(project.root)
        try:
            with repo.lock:
                return _commit(project, step, repo, walked)
        except LockError as error:  # `dvc repro` is at work on the same files
            return " ".join(str(error).split())
        finally:
            repo.close()


def _commit(project: Project, step: Step, repo: Repo, walked: Walked) -> str:
    stage = repo.stage.load_one(str(project.root / "dvc.yaml"), step.noun)
    before = _hashes(stage)
    _hash_again(stage, walked)
    if before == _hashes(stage) and not stage.changed_stage():
        return ""
    with keeping_copy(project.root):
        stage.dump(update_pipeline=False)
        late = not_current(project, step)
        if late:  # an input changed meanwhile, and DVC has recorded the new one
            restore(project.root)
            return f"changed while it was recorded: {late}"
    return ""


def not_current(project: Project, step: Step) -> str:
    """What is damaged, missing, too many or not made from what is there; "" if all is well."""
    try:
        for need in step.needs:
            for key in project.partitions(need):
                project.open(need, key)
        keys = step.keys(project)
    except ArtifactError as error:
        return str(error)
    left = set(project.partitions(step.noun)) - set(keys)
    late = sorted(left) + [key for key in keys if not step.current(project, key)]
    return f"{step.noun} {late[0]}".strip() + " is not up to date" if late else ""


def track(root: Path, folder: str) -> None:
    """Track a folder with DVC (`<folder>.dvc`), unless it is tracked as it is."""
    with alone(root), _in_our_words(root):
        repair(root)
        repo = open_repo(root)
        try:
            if (root / f"{folder}.dvc").is_file():
                with repo.lock:
                    if not repo.stage.load_one(str(root / f"{folder}.dvc")).changed():
                        return
            repo.add(str(root / folder))
        finally:
            repo.close()


@contextmanager
def _in_our_words(root: Path) -> Iterator[None]:
    """What DVC refuses is a RecorderError with what is in its way, or with its own words."""
    try:
        yield
    except DvcException as error:
        found = list(obstacles(root)) or [
            f"expected DVC to take it, found: {one_line(error)}; `dvc status` may say more"
        ]
        raise RecorderError("; ".join(found)) from error


def open_repo(root: Path) -> Repo:
    """The DVC repository of a project; outside of git, DVC learns so from `.dvc/config.local`."""
    logging.getLogger("dvc").setLevel(logging.WARNING)  # it announces each write of its lock
    dvc_dir = root / ".dvc"
    if not Config(str(dvc_dir))["core"].get("no_scm", False):
        try:
            SCM(str(root)).close()
        except SCMError:
            with Config(str(dvc_dir), validate=False).edit("local") as local:
                local.setdefault("core", {})["no_scm"] = True
    return Repo(str(root), _wait_for_lock=True)


def _hash_again(stage: PipelineStage, walked: Walked) -> None:
    """What `dvc commit --force` does to a stage, with one walk through each folder at most.

    DVC walks through an output twice, and through a dependency although it has just recorded it as
    the output of another stage.
    """
    for dep in stage.deps:
        if not Path(dep.fs_path).is_dir():  # params.yaml is another dependency in each stage
            dep.save()
            continue
        stamp = _stamp(Path(dep.fs_path))
        known = walked.get(dep.fs_path)
        if known and known[0] == stamp:
            _, dep.meta, dep.hash_info = known
            continue
        dep.save()
        walked[dep.fs_path] = (stamp, dep.meta, dep.hash_info)
    for out in stage.outs:
        out.ignore()
        stamp = _stamp(Path(out.fs_path))
        staging, out.meta, out.obj = out._build(
            out.cache, out.fs_path, out.fs, out.hash_name, ignore=out.dvcignore
        )
        out.hash_info, out.files = out.obj.hash_info, None
        transfer(staging, out.cache, {out.hash_info}, shallow=False)
        walked[out.fs_path] = (stamp, out.meta, out.hash_info)
    stage.md5 = stage.compute_md5()


def _stamp(path: Path) -> Stamp:
    """Name, modification time, size and inode of each file, but for those being written aside."""
    files: list[tuple[str, int, int, int]] = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]
        for name in names:
            with suppress(FileNotFoundError):  # replaced meanwhile: the stamp will be another
                st = (Path(folder) / name).stat()
                files.append((f"{folder}/{name}", st.st_mtime_ns, st.st_size, st.st_ino))
    return tuple(sorted(files))


def _hashes(stage: PipelineStage) -> list[object]:
    return [(entry.def_path, entry.hash_info) for entry in (*stage.deps, *stage.outs)]
