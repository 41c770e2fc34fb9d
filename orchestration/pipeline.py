"""What the jobs and assets of one project are built from: graph, steps and what people see."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import AssetCheckSeverity, AssetKey

from appraise.errors import ParamsError
from appraise.orchestration.graph import Stage
from appraise.project import Project
from appraise.project.keys import Partitions
from appraise.steps.asked import check
from appraise.steps.flow import step
from appraise.steps.recorder import Recorder
from appraise.steps.step import Step

Describe = Callable[[Project, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What a check found; the metadata is for a person."""

    passed: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)
    severity: AssetCheckSeverity = AssetCheckSeverity.ERROR


@dataclass(frozen=True)
class Check:
    """A check of all that an asset has on disk."""

    name: str
    description: str
    examine: Callable[[Project], Verdict]
    blocking: bool = True


@dataclass(frozen=True)
class Shown:
    """How an asset appears.

    Attributes:
        noun: the step that makes it.
        group: the group it is drawn in.
        kinds: the formats and tools it is of.
        owner: the team that answers for it.
        describe: metadata of one partition, of the types that Dagster draws.
        checks: what is checked of it.
    """

    noun: str
    group: str
    kinds: tuple[str, ...]
    owner: str
    describe: Describe
    checks: tuple[Check, ...] = ()


_PART = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Pipeline:
    """A project with its graph, the way each of its assets appears, and who records what it makes.

    Attributes:
        root: the project's folder.
        stages: its graph, by noun.
        shown: how each asset appears, by noun.
        recorders: what keeps a record of what is made, in this order.
        key_prefix: of the asset keys and of all other names, so that Dagster tells two projects in
            one code location apart.
        group: the group of all assets; "" for groups by what they are of.
        step: the step of a noun.
        check: what is called before a step runs, to refuse what cannot be computed.

    Raises:
        ParamsError: a part of the prefix, or the group, is no name for Dagster.
    """

    root: Path
    stages: Mapping[str, Stage]
    shown: Mapping[str, Shown]
    recorders: Sequence[Recorder] = ()
    key_prefix: tuple[str, ...] = ()
    group: str = ""
    step: Callable[[str], Step] = step
    check: Callable[[Project, str], object] = check

    def __post_init__(self) -> None:
        for part in (*self.key_prefix, self.group or "x"):
            if not _PART.fullmatch(part):
                raise ParamsError(
                    f"key prefix or group: expected letters, digits and _ for Dagster, "
                    f"found {part!r}"
                )

    def project(self) -> Project:
        """The project, its settings read anew."""
        return Project(self.root)

    def asset_key(self, noun: str) -> AssetKey:
        """The asset that a step makes."""
        return AssetKey([*self.key_prefix, noun])

    def named(self, name: str) -> str:
        """A name of a job, sensor, op or resource in the code location."""
        return "_".join((*self.key_prefix, name))

    def group_name(self, noun: str) -> str:
        """The group in which an asset is drawn."""
        return self.group or self.named(self.shown[noun].group)

    def partitions(self, noun: str) -> Partitions:
        """What a key of this step is."""
        return self.step(noun).partitions

    def code_version(self, noun: str) -> str:
        """The version of the step's code."""
        return self.step(noun).version
