"""A project: a folder with `params.yaml` and `data/<noun>/<key>/`.

Each partition of each step is a folder of files with a `manifest.json` beside them, which holds
the recipe (code version, settings, facts, content of every input) and the SHA-256 of every file.
The manifest is written last: a partition without a matching one is not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Protocol, Self, TypeVar

from appraise.errors import ArtifactError
from appraise.project.keys import WHOLE
from appraise.project.manifest import MANIFEST, Manifest, Recipe
from appraise.project.params import Params, read_params
from appraise.records.set_aside import WhySetAside
from appraise.storage.files import TEMPORARY, read_object, sha256_file, sync, write_json


class Readable(Protocol):
    """A typed record: the content of one file of a partition."""

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from a partition's folder."""


R = TypeVar("R", bound=Readable)


@lru_cache(maxsize=64)
def _read_once(record: type[R], folder: Path, content: str) -> R:  # noqa: ARG001 (content is a key)
    """A record in JSON, which never changes: read once for each content."""
    return record.read(folder)


class Project:
    """Where things lie. Every path of the library is made here."""

    def __init__(self, root: Path | str = ".") -> None:
        self.root = Path(root).resolve()

    @cached_property
    def params(self) -> Params:
        """The settings, read once."""
        return read_params(self.root / "params.yaml")

    def folder(self, noun: str, key: str = "") -> Path:
        """`data/<noun>/<key>`."""
        return self.root / "data" / noun / key

    def manifest(self, noun: str, key: str = WHOLE) -> Manifest:
        """The manifest of a partition; ArtifactError when it has not been made."""
        folder = self.folder(noun, key)
        if not (folder / MANIFEST).is_file():
            name = f"{noun} of {key}" if key else noun
            raise ArtifactError(
                f"{name}: expected {(folder / MANIFEST).relative_to(self.root)}, found nothing; "
                f"run `appraise {noun.replace('_', '-')}` first"
            )
        return Manifest.read(folder)

    def content(self, noun: str, key: str = WHOLE, file: str | None = None) -> str:
        """SHA-256 of a partition's content, or of one of its files, as its manifest has it."""
        manifest = self.manifest(noun, key)
        if file is None:
            return manifest.content
        try:
            return manifest.files[file]
        except KeyError:
            raise ArtifactError(
                f"{noun} {key}: expected a file {file}, found none; run "
                f"`appraise {noun.replace('_', '-')}` again"
            ) from None

    def open(self, noun: str, key: str = WHOLE, files: Sequence[str] | None = None) -> Path:
        """The folder of a partition, after its files, or some of them, were hashed again.

        Raises:
            ArtifactError: it has not been made, or a file is not what its manifest says.
        """
        folder, stated = self.folder(noun, key), self.manifest(noun, key).files
        for name in stated if files is None else files:
            expected = stated.get(name) or self.content(noun, key, name)
            actual = sha256_file(folder / name)
            if actual != expected:
                raise ArtifactError(
                    f"{(folder / name).relative_to(self.root)}: expected SHA-256 {expected[:12]}…, "
                    f"found {actual[:12]}…; the file is damaged: run the step again or pull it anew"
                )
        return folder

    def read(self, record: type[R], noun: str, key: str = WHOLE) -> R:
        """A record of a partition, after its files were hashed again.

        Raises:
            ArtifactError: it has not been made, is damaged, or was written by another version.
        """
        schema = self.manifest(noun, key).schemas.get(record.FILE, record.SCHEMA)
        if schema != record.SCHEMA:
            raise ArtifactError(
                f"{noun} {key}: expected {record.FILE} of schema {record.SCHEMA}, found {schema}; "
                f"run `appraise {noun.replace('_', '-')}` again"
            )
        folder = self.open(noun, key, [record.FILE])
        if not record.FILE.endswith(".json"):
            return record.read(folder)
        return _read_once(record, folder, self.content(noun, key, record.FILE))

    def intact(self, noun: str, key: str = "") -> bool:
        """Whether the partition is there and every file is what its manifest says."""
        try:
            self.open(noun, key)
        except ArtifactError:
            return False
        return True

    def set_aside(self, noun: str, key: str) -> str | None:
        """Why this dataset was set aside at this step, or None."""
        if WhySetAside.FILE not in self.manifest(noun, key).files:
            return None
        return WhySetAside.read(self.folder(noun, key)).reason

    @contextlib.contextmanager
    def writing(
        self,
        noun: str,
        key: str,
        recipe: Recipe,
        measured: Mapping[str, float] | None = None,
        schemas: Mapping[str, int] | None = None,
    ) -> Iterator[Path]:
        """Give an empty folder; what was written there becomes the partition at the end.

        Files are flushed and renamed one by one, files of an earlier version that are no longer
        made are removed, and the manifest comes last. An exception leaves the old partition alone.

        Args:
            measured: seconds and the like, kept beside the artifacts (see `measured`).
            schemas: file name → version of the record that writes it.
        """
        target = self.folder(noun, key)
        aside = self.folder(noun) / f"{TEMPORARY}{os.getpid()}-{key.replace('/', '--')}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            files = {}
            for path in sorted(aside.rglob("*")):
                if path.is_file():
                    sync(path)
                    files[path.relative_to(aside).as_posix()] = sha256_file(path)
            old = _old_files(target)
            (target / MANIFEST).unlink(missing_ok=True)
            for name in files:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).replace(target / name)
            for name in old - set(files):
                (target / name).unlink(missing_ok=True)
            sync(target)
            versions = {name: version for name, version in (schemas or {}).items() if name in files}
            manifest = Manifest.of(noun, key, recipe, files, versions)
            if measured:
                self._measured(noun, key).parent.mkdir(parents=True, exist_ok=True)
                write_json(self._measured(noun, key), {"content": manifest.content, **measured})
            manifest.write(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def measured(self, noun: str, key: str = "") -> dict[str, float]:
        """Seconds and the like of the run that made a partition; {} where it was not made here.

        They are of a machine and not of the inputs, so no artifact has them: it would differ from
        run to run.
        """
        path = self._measured(noun, key)
        try:
            stated = read_object(path)
        except ArtifactError:  # not there, or damaged: it is no evidence, and is made anew
            return {}
        return stated if stated.pop("content", None) == self.content(noun, key) else {}

    def _measured(self, noun: str, key: str) -> Path:
        return self.root / ".appraise" / "measured" / noun / f"{key or noun}.json"

    @contextlib.contextmanager
    def alone(self, noun: str) -> Iterator[None]:
        """Hold the step's lock: two runs of one step follow each other."""
        lock = self.root / ".appraise" / "locks" / noun
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{noun}: waiting for another run of this step to end", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            for left in self.folder(noun).glob(f"{TEMPORARY}*"):  # by a run that was killed
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            yield

    def partial(self, noun: str, key: str) -> Path:
        """Where a step keeps what is done of a partition until all of it is."""
        return self.root / ".appraise" / "partial" / noun / key

    def earlier(self, noun: str) -> Path:
        """Where copies of partitions that were replaced or removed are kept for a while."""
        return self.root / ".appraise" / "earlier" / noun

    def partitions(self, noun: str) -> list[str]:
        """Keys of the partitions that are on disk, sorted."""
        root = self.folder(noun)
        manifests = root.rglob(MANIFEST)
        keys = (path.parent.relative_to(root).as_posix() for path in manifests)
        return sorted("" if key == "." else key for key in keys if not key.startswith(TEMPORARY))

    def remove(self, noun: str, key: str) -> None:
        """Delete a partition that no longer exists (its content stays in DVC's cache)."""
        shutil.rmtree(self.folder(noun, key))


def _old_files(folder: Path) -> set[str]:
    try:
        return set(Manifest.read(folder).files)
    except ArtifactError:
        return set()
