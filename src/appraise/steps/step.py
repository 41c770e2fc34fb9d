"""What a step is, and how it is run: compute what is missing or out of date, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appraise.errors import ArtifactError, ParamsError
from appraise.project import Project, Recipe
from appraise.steps.processes import share_out

Partitions = Literal["", "dataset", "target", "target/policy"]


def whole(_: Project) -> list[str]:
    """The one key of a step without partitions."""
    return [""]


def each_target(project: Project) -> list[str]:
    """The targets, for a step with a partition for each."""
    return sorted(project.params.target_sets)


@dataclass(frozen=True)
class Step:
    """One step of the way of the data, under one noun.

    Attributes:
        noun: name of step, stage, asset, subcommand, module and folder.
        needs: the steps whose output is read.
        partitions: what a key is; "" for a step with one partition, whose key is "".
        keys: the keys that exist now.
        recipe: what decides the content of one partition. It hashes nothing itself.
        make: computes the given partitions, each written with `Step.writing`.
        version: of its code; raised when the same inputs would give another content.
    """

    noun: str
    needs: tuple[str, ...]
    partitions: Partitions
    keys: Callable[[Project], list[str]]
    recipe: Callable[[Project, str], Recipe]
    make: Callable[[Project, Sequence[str]], None]
    version: str = "1"

    def current(self, project: Project, key: str) -> bool:
        """Whether the partition is there, whole, and made from what is there now."""
        try:
            manifest = project.manifest(self.noun, key)
        except ArtifactError:
            return False
        made = {name: manifest.get(name) for name in ("version", "settings", "inputs")}
        return made == self.recipe(project, key).as_json() and project.intact(self.noun, key)

    def writing(
        self, project: Project, key: str, measured: Mapping[str, float] | None = None
    ) -> AbstractContextManager[Path]:
        """A folder to write a partition to; see `Project.writing`.

        Raises:
            ArtifactError: an input changed between the computation's start and its end.
        """
        return _writing(self, project, key, measured)


@contextmanager
def _writing(
    step: Step, project: Project, key: str, measured: Mapping[str, float] | None
) -> Iterator[Path]:
    recipe = step.recipe(project, key)
    with project.writing(step.noun, key, recipe, measured) as folder:
        yield folder
        if step.recipe(project, key) != recipe:
            raise ArtifactError(
                f"{step.noun} {key}: an input changed while this was computed; run the step again"
            )


@dataclass(frozen=True)
class Made:
    """What a run of a step did."""

    noun: str
    made: tuple[str, ...]
    current: tuple[str, ...]
    removed: tuple[str, ...]


def run(
    step: Step,
    project: Project,
    keys: Sequence[str] | None = None,
    force: bool = False,
    workers: int = 1,
) -> Made:
    """Bring partitions of a step up to date.

    Args:
        keys: the partitions wanted; None for all that exist, in which case partitions whose key
            no longer exists are removed.
        force: compute them even when they are current.
        workers: processes among which the partitions are shared out.

    Raises:
        ParamsError: a key does not exist.
        AppraiseError: whatever the step itself raises; partitions already made stay.
    """
    with project.alone(step.noun):
        existing = step.keys(project)
        unknown = sorted(set(keys or ()) - set(existing))
        if unknown:
            raise ParamsError(
                f"{step.noun}: expected one of {', '.join(existing) or 'no'} keys, "
                f"found {', '.join(map(repr, unknown))}"
            )
        wanted = existing if keys is None else [key for key in existing if key in set(keys)]
        pending = [key for key in wanted if force or not step.current(project, key)]
        if pending:
            share_out(step, project, pending, workers)
        gone = sorted(set(project.partitions(step.noun)) - set(existing)) if keys is None else []
        for key in gone:
            project.remove(step.noun, key)
    done = tuple(key for key in wanted if key not in set(pending))
    return Made(step.noun, tuple(pending), done, tuple(gone))
