"""What the jobs and assets of one project are built from: graph, steps and what people see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import AssetCheckSeverity

from appraise.orchestration.graph import Stage
from appraise.project import Project
from appraise.steps import step
from appraise.steps.step import Partitions, Step

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


@dataclass(frozen=True)
class Pipeline:
    """A project with its graph and the way each of its assets appears."""

    root: Path
    stages: Mapping[str, Stage]
    shown: Mapping[str, Shown]
    step: Callable[[str], Step] = step

    def project(self) -> Project:
        """The project, its settings read anew."""
        return Project(self.root)

    def partitions(self, noun: str) -> Partitions:
        """What a key of this step is."""
        return self.step(noun).partitions

    def code_version(self, noun: str) -> str:
        """The version of the step's code."""
        return self.step(noun).version
