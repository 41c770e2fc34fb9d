"""What a step is: its noun, its partitions, what it reads, and how it makes what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from appraise.errors import ArtifactError
from appraise.project import Project, Recipe
from appraise.project.keys import WHOLE, Partitions, name_of
from appraise.project.manifest import Manifest
from appraise.project.reads import Given, Reads
from appraise.steps.progress import Progress


class Record(Protocol):
    """What can be written into a partition."""

    def write(self, folder: Path) -> None:
        """Write its files."""


class Written(Protocol):
    """A kind of record: the file that it is written to, and the version of its layout."""

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int]


def nothing() -> None:
    """Nothing is left to do."""


@dataclass(frozen=True)
class Output:
    """A partition, made: for the runner to write.

    Attributes:
        key: of the partition.
        records: what is written into its folder.
        measured: seconds and the like; not part of the content.
        provisional: something could not be read that may be there next time: look in every run.
        written: called when the partition is on disk.
    """

    key: str
    records: tuple[Record, ...]
    measured: Mapping[str, float] = field(default_factory=dict)
    provisional: bool = False
    written: Callable[[], None] = nothing


Make = Callable[[Sequence[Given], Progress], Iterator[Output]]


@dataclass(frozen=True)
class Keys:
    """Which partitions a step has.

    Attributes:
        now: gives those that exist now.
        settings: names in `params.yaml` by which there are more or fewer of them.
        nouns: the steps whose outputs say which there are.
    """

    now: Callable[[Project], list[str]]
    settings: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()

    def __call__(self, project: Project) -> list[str]:
        """The keys that exist now."""
        return self.now(project)


def _whole(_: Project) -> list[str]:
    return [WHOLE]


def targets(project: Project) -> list[str]:
    """The targets, sorted."""
    return sorted(project.params.target_sets)


whole = Keys(_whole)
each_target = Keys(targets)


@dataclass(frozen=True)
class Step:
    """One step of the flow, under one noun.

    Attributes:
        noun: name of step, stage, asset, subcommand, module and folder.
        partitions: what a key is; "" for a step with one partition, whose key is "".
        keys: which partitions exist.
        reads: what every partition is made from.
        reads_of: what the partitions of a method or a policy are made from besides, by its name.
        alike: what partitions with equal recipes have in common ("purchase"): their content then
            does not depend on their keys, and one of them is made. "": it does, or nobody asks.
        writes: the kinds of records that a partition may hold.
        make: computes partitions, one `Output` for each, in any order; sees what was declared.
        version: of its code; raised when the same inputs would give another content.
    """

    noun: str
    partitions: Partitions
    keys: Keys
    reads: Reads
    writes: tuple[type[Written], ...]
    make: Make
    version: str = "1"
    reads_of: Mapping[str, Reads] = field(default_factory=dict)
    alike: str = ""

    @property
    def every_read(self) -> Reads:
        """What any partition reads."""
        everything = self.reads
        for more in self.reads_of.values():
            everything = everything | more
        return everything

    @property
    def needs(self) -> tuple[str, ...]:
        """The steps whose outputs are read."""
        return tuple(dict.fromkeys([*self.every_read.nouns, *self.keys.nouns]))

    @property
    def settings(self) -> frozenset[str]:
        """The settings, dotted, that decide which partitions there are and what is in them."""
        names = self.every_read.names | set(self.keys.settings)
        within = {name for name in names for other in names if name.startswith(f"{other}.")}
        return names - within

    @property
    def schemas(self) -> dict[str, int]:
        """File name → version of its layout."""
        return {record.FILE: record.SCHEMA for record in self.writes}

    def declared(self, key: str) -> Reads:
        """What one partition reads."""
        more = self.reads_of.get(name_of(key))
        return self.reads if more is None else self.reads | more

    def recipe(self, project: Project, key: str) -> Recipe:
        """What decides the content of one partition.

        Raises:
            ArtifactError: something that it reads has not been made.
        """
        return self.declared(key).recipe(project, key, self.version)

    def given(self, project: Project, key: str) -> Given:
        """What the making of one partition may see."""
        return Given(key, self.recipe(project, key), project, self.declared(key), self.noun)

    def current(self, project: Project, key: str) -> bool:
        """Whether the partition is there, whole, and made from what is there now."""
        try:
            manifest = project.manifest(self.noun, key)
        except ArtifactError:
            return False
        return (
            manifest.recipe == self.recipe(project, key)
            and self.written_as_now(manifest)
            and project.intact(self.noun, key)
        )

    def written_as_now(self, manifest: Manifest) -> bool:
        """Whether a partition's records are of the versions that this code writes."""
        return all(
            self.schemas.get(name, version) == version for name, version in manifest.schemas.items()
        )
