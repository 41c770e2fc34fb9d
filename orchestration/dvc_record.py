"""What a step made, recorded in DVC: `dvc status` is clean afterwards and `dvc repro` runs nothing.

DVC writes `dvc.lock` in place; a kill while it does leaves a torn file. So a copy lies in
`.appraise/` while a record is made, and the next record looks whether it is needed:

- killed before DVC wrote: copy and lock are equal, the copy is dropped;
- killed while DVC wrote: the lock is empty, is no YAML, has lost a stage or has a stage without its
  command or hashes: the copy takes its place. What was being recorded is recorded again;
- killed after DVC wrote: the lock is whole and stays.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from appraise.errors import ArtifactError, ParamsError
from appraise.project import Project
from appraise.steps.step import Step
from appraise.storage.files import TEMPORARY, write_bytes

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

LINEAGE = "lineage"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Recorded:
    """What DVC knows of a step now.

    Attributes:
        md5: of the step's output folder as `dvc.lock` has it; None when it was not recorded.
        changed: whether `dvc.lock` had to be written.
        reason: why it was not recorded.
    """

    md5: str | None
    changed: bool = False
    reason: str = ""


def record(project: Project, step: Step) -> Recorded:
    """Record a step's outputs and dependencies in `dvc.lock`, if all of its partitions are current.

    While some are not, `dvc.lock` is left alone, and `dvc status` says so, which is the truth.

    Raises:
        ParamsError: the folder is not a DVC project.
    """
    with _alone(project.root):
        repair(project.root)
        late = not_current(project, step)
        if late:
            return Recorded(None, reason=late)
        repo = open_repo(project.root)
        try:
            return _commit(project, step, repo)
        finally:
            repo.close()


def _commit(project: Project, step: Step, repo: Repo) -> Recorded:
    from dvc.lock import LockError

    try:
        with repo.lock:
            stage = repo.stage.load_one(str(project.root / "dvc.yaml"), step.noun)
            before = _hashes(stage)
            _hash_again(stage)
            if before == _hashes(stage) and not stage.changed_stage():
                return Recorded(locked_md5(project.root, step.noun))
            with _keeping_copy(project.root):
                stage.dump(update_pipeline=False)
                late = not_current(project, step)
                if late:  # an input changed meanwhile, and DVC has recorded the new one
                    _restore(project.root)
                    return Recorded(None, reason=f"changed while it was recorded: {late}")
    except LockError as error:  # `dvc repro` is at work on the same files
        return Recorded(None, reason=" ".join(str(error).split()))
    return Recorded(locked_md5(project.root, step.noun), changed=True)


def _hash_again(stage: PipelineStage) -> None:
    """What `dvc commit --force` does to a stage, with one walk through each folder at most.

    DVC walks through an output twice, and through a dependency although it has just recorded it as
    the output of another stage.
    """
    from dvc_data.hashfile.transfer import transfer

    for dep in stage.deps:
        if not Path(dep.fs_path).is_dir():  # params.yaml is another dependency in each stage
            dep.save()
            continue
        stamp = _stamp(Path(dep.fs_path))
        if _walked.get(dep.fs_path, (None,))[0] == stamp:
            _, dep.meta, dep.hash_info = _walked[dep.fs_path]
            continue
        dep.save()
        _walked[dep.fs_path] = (stamp, dep.meta, dep.hash_info)
    for out in stage.outs:
        out.ignore()
        stamp = _stamp(Path(out.fs_path))
        staging, out.meta, out.obj = out._build(
            out.cache, out.fs_path, out.fs, out.hash_name, ignore=out.dvcignore
        )
        out.hash_info, out.files = out.obj.hash_info, None
        transfer(staging, out.cache, {out.hash_info}, shallow=False)
        _walked[out.fs_path] = (stamp, out.meta, out.hash_info)
    stage.md5 = stage.compute_md5()


_walked: dict[str, tuple[Any, ...]] = {}  # path → its files' stamps, DVC's meta and hash


def _stamp(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, modification time, size and inode of each file, but for those being written aside."""
    found = []
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]
        for name in files:
            with suppress(FileNotFoundError):  # replaced meanwhile: the stamp will be another
                st = (Path(folder) / name).stat()
                found.append((f"{folder}/{name}", st.st_mtime_ns, st.st_size, st.st_ino))
    return tuple(sorted(found))


def _hashes(stage: PipelineStage) -> list[object]:
    return [(entry.def_path, entry.hash_info) for entry in (*stage.deps, *stage.outs)]


def record_lineage(root: Path) -> None:
    """Track the folder `lineage/` with DVC (`lineage.dvc`)."""
    with _alone(root):
        repair(root)
        repo = open_repo(root)
        try:
            if (root / f"{LINEAGE}.dvc").is_file():
                with repo.lock:
                    if not repo.stage.load_one(str(root / f"{LINEAGE}.dvc")).changed():
                        return
            repo.add(str(root / LINEAGE))
        finally:
            repo.close()


def open_repo(root: Path) -> Repo:
    """The DVC repository of a project; outside of git, DVC is told so (`.dvc/config.local`).

    Raises:
        ParamsError: there is no `.dvc` folder.
    """
    from dvc.config import Config
    from dvc.repo import Repo
    from dvc.scm import SCM, SCMError

    logging.getLogger("dvc").setLevel(logging.WARNING)  # it announces each write of its lock
    dvc_dir = root / ".dvc"
    if not dvc_dir.is_dir():
        raise ParamsError(
            f"{root}: expected a DVC project, found no .dvc folder; run `dvc init` (`dvc init "
            "--no-scm` outside of git)"
        )
    if not Config(str(dvc_dir))["core"].get("no_scm", False):
        try:
            SCM(str(root)).close()
        except SCMError:
            with Config(str(dvc_dir), validate=False).edit("local") as local:
                local.setdefault("core", {})["no_scm"] = True
    return Repo(str(root), _wait_for_lock=True)


def repair(root: Path) -> bool:
    """Put back `dvc.lock` if a kill tore it while it was written; whether that was needed."""
    lineage = root / f"{LINEAGE}.dvc"
    if lineage.is_file() and not _parsed(lineage).get("outs"):
        lineage.unlink()  # made again with the next record of it
    copy = _copy(root)
    if not copy.is_file():
        return False
    torn = not _whole(root)
    if torn:
        _restore(root)
    copy.unlink()
    return torn


def locked_md5(root: Path, noun: str) -> str | None:
    """MD5 of a stage's first output as `dvc.lock` has it."""
    outs = _stages(root / "dvc.lock").get(noun, {}).get("outs", [])
    return str(outs[0]["md5"]) if outs else None


def not_current(project: Project, step: Step) -> str:
    """What is damaged, missing, too many or not made from what is there; nothing if all is well."""
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


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One record at a time: DVC's own waiting is unfair, ours blocks in order."""
    lock = root / ".appraise" / "locks" / "dvc.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _keeping_copy(root: Path) -> Iterator[None]:
    lock = root / "dvc.lock"
    write_bytes(_copy(root), lock.read_bytes() if lock.is_file() else b"")
    yield
    _copy(root).unlink()


def _copy(root: Path) -> Path:
    return root / ".appraise" / "dvc.lock.copy"


def _restore(root: Path) -> None:
    content = _copy(root).read_bytes()
    if content:
        write_bytes(root / "dvc.lock", content)
    else:
        (root / "dvc.lock").unlink(missing_ok=True)


def _whole(root: Path) -> bool:
    """Whether `dvc.lock` lost nothing that its copy has, and each stage has all it must have."""
    if not (root / "dvc.lock").is_file():
        return not _stages(_copy(root))
    stages = _stages(root / "dvc.lock")
    kept = set(_stages(_copy(root))) <= set(stages)
    return bool(stages) and kept and all(_complete(stage) for stage in stages.values())


def _complete(stage: Any) -> bool:
    if not isinstance(stage, dict) or not stage.get("cmd") or not stage.get("outs"):
        return False
    entries = [*stage.get("deps", ()), *stage["outs"]]
    return all(isinstance(e, dict) and _MD5.fullmatch(str(e.get("md5", ""))) for e in entries)


def _stages(path: Path) -> dict[str, Any]:
    stages = _parsed(path).get("stages", {})
    return stages if isinstance(stages, dict) else {}


def _parsed(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty one if the file is missing or torn."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
