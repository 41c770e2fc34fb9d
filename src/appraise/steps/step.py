"""What a step is, and how it is run: compute what is missing or out of date, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Literal

from appraise.errors import ArtifactError, ParamsError, RecorderError
from appraise.project import Project, Recipe
from appraise.steps.executors import HERE, Executor, Produce
from appraise.steps.recorder import By, Recorded, Recorder

Partitions = Literal["", "dataset", "target", "target/policy"]


def whole(_: Project) -> list[str]:
    """The one key of a step without partitions."""
    return [""]


def each_target(project: Project) -> list[str]:
    """The targets, for a step with a partition for each."""
    return sorted(project.params.target_sets)


@dataclass(frozen=True)
class Step:
    """One step of the pipeline, under one noun.

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
    """What a run of a step did.

    Attributes:
        made: keys of the partitions that were computed.
        current: keys of those that were up to date.
        removed: keys of those that were deleted, since they no longer exist.
        recorded: name of the recorder → what it recorded.
    """

    noun: str
    made: tuple[str, ...]
    current: tuple[str, ...]
    removed: tuple[str, ...]
    recorded: Mapping[str, Recorded] = field(default_factory=dict)


def run(
    step: Step,
    project: Project,
    keys: Sequence[str] | None = None,
    force: bool = False,
    executor: Executor = HERE,
    recorders: Sequence[Recorder] = (),
    by: By = "command",
    run_id: str = "",
) -> Made:
    """Bring partitions of a step up to date, and have them recorded.

    Args:
        keys: the partitions wanted; None for all that exist, in which case partitions whose key
            no longer exists are removed.
        force: compute them even when they are current.
        executor: where the partitions are made.
        recorders: those that keep a record of it, in this order, as far as they apply.
        by: who runs the step.
        run_id: of the Dagster run, if there is one.

    Raises:
        ParamsError: a key does not exist.
        RecorderError: a recorder failed; the partitions are there, and the other recorders have
            recorded them.
        AppraiseError: whatever the step itself raises; partitions already made stay.
    """
    applying = [recorder for recorder in recorders if recorder.applies(project, step.noun, by)]
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
            try:
                executor.make(step.noun, project, pending, _produce(step))
            except Exception as error:
                _report_failure(applying, project, step.noun, error)
                raise
        gone = sorted(set(project.partitions(step.noun)) - set(existing)) if keys is None else []
        for key in gone:
            project.remove(step.noun, key)
    done = tuple(key for key in wanted if key not in set(pending))
    recorded = _record(applying, project, step.noun, run_id)
    return Made(step.noun, tuple(pending), done, tuple(gone), recorded)


def _produce(step: Step) -> Produce:
    """What an executor calls. Another process imports the step's module when it is called, and not
    before: the process has to take its cores and its GPU first."""
    module = step.make.__module__
    if getattr(sys.modules.get(module), "STEP", None) is step:
        return partial(_make_as_in, module)
    return lambda _, project, keys: step.make(project, keys)  # not of a module: in this process


def _make_as_in(module: str, _: str, project: Project, keys: Sequence[str]) -> None:
    """Make partitions of the step that a module has as `STEP`."""
    step: Step = import_module(module).STEP
    step.make(project, keys)


def _record(
    recorders: Sequence[Recorder], project: Project, noun: str, run_id: str
) -> dict[str, Recorded]:
    """Have all recorders record a step; the error of one does not keep the others from it."""
    recorded, errors = {}, []
    for recorder in recorders:
        try:
            recorded[recorder.name] = recorder.record(project, noun, run_id)
        except Exception as error:
            errors.append((recorder.name, error))
    if errors:
        said = "; ".join(f"{name}: {error}" for name, error in errors)
        raise RecorderError(f"{noun}: made, but not recorded: {said}") from errors[0][1]
    return recorded


def _report_failure(
    recorders: Sequence[Recorder], project: Project, noun: str, error: Exception
) -> None:
    """Have all recorders take note of a failure; what they raise is a note on its error."""
    for recorder in recorders:
        try:
            recorder.failed(project, noun, error)
        except Exception as second:
            error.add_note(f"{recorder.name} did not take note of this failure: {second}")
