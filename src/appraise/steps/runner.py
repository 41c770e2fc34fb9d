"""How a step is run: what is missing or out of date is made, nothing else, and then recorded.

The runner alone writes partitions. A partition is written only if what it was made from is still
what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from appraise.errors import ArtifactError, ParamsError
from appraise.project import Project, Recipe
from appraise.steps import sharing
from appraise.steps.executors import HERE, Executor, Produce
from appraise.steps.flow import NOUNS, step
from appraise.steps.progress import progress_of
from appraise.steps.recorder import By, Recorded, Recorder
from appraise.steps.recording import record, report_failure
from appraise.steps.step import Output, Step

PROVISIONAL = {"source": "not readable"}  # in the facts of a recipe: never current


@dataclass(frozen=True)
class Made:
    """What a run of a step did.

    Attributes:
        noun: the step.
        made: keys of the partitions that were computed, or taken over from others like them.
        current: keys of those that were up to date.
        removed: keys of those that no longer exist.
        recorded: what each recorder says, by its name.
        unrecorded: why those have no record of it that failed, by their names.
    """

    noun: str
    made: tuple[str, ...]
    current: tuple[str, ...]
    removed: tuple[str, ...]
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    unrecorded: Mapping[str, str] = field(default_factory=dict)


def run(
    one: Step,
    project: Project,
    keys: Sequence[str] | None = None,
    force: bool = False,
    executor: Executor = HERE,
    recorders: Sequence[Recorder] = (),
    by: By = "command",
    run_id: str = "",
) -> Made:
    """Bring partitions of a step up to date.

    Args:
        keys: the partitions wanted; None for all that exist, in which case partitions whose key
            no longer exists are removed.
        force: compute them even when they are current.
        executor: where they are made.
        recorders: those that keep a record of it, in this order, as far as they apply.
        by: who runs the step.
        run_id: of the Dagster run, if there is one.

    Raises:
        ParamsError: a key does not exist.
        AppraiseError: whatever the step itself raises; partitions already made stay.
    """
    applying = [recorder for recorder in recorders if recorder.applies(project, one.noun, by)]
    made = _made(one, project, keys, force, executor, applying)
    recorded, missed = record(applying, project, one.noun, by, run_id)
    return replace(made, recorded=recorded, unrecorded=missed)


def _made(
    one: Step,
    project: Project,
    keys: Sequence[str] | None,
    force: bool,
    executor: Executor,
    recorders: Sequence[Recorder],
) -> Made:
    with project.alone(one.noun):
        existing = one.keys(project)
        unknown = sorted(set(keys or ()) - set(existing))
        if unknown:
            raise ParamsError(
                f"{one.noun}: expected one of {', '.join(existing) or 'no'} keys, "
                f"found {', '.join(map(repr, unknown))}"
            )
        wanted = existing if keys is None else [key for key in existing if key in set(keys)]
        pending = [key for key in wanted if force or not one.current(project, key)]
        if pending:
            try:
                _make(one, project, pending, force, executor)
            except Exception as error:  # not of a wrong key, nor of an input that is not there yet
                report_failure(recorders, project, one.noun, error)
                raise
        gone = sorted(set(project.partitions(one.noun)) - set(existing)) if keys is None else []
        sharing.keep(one, project, gone)
        for key in gone:
            project.remove(one.noun, key)
    done = tuple(key for key in wanted if key not in set(pending))
    return Made(one.noun, tuple(pending), done, tuple(gone))


def _make(
    one: Step, project: Project, pending: Sequence[str], force: bool, executor: Executor
) -> None:
    """Make partitions; of those that are made from the same one, which the others take over."""
    sharing.keep(one, project, pending)
    left = list(pending) if force else sharing.take_over(one, project, pending)
    while left:
        firsts = sharing.unlike(one, project, left)
        executor.make(one.noun, project, firsts, _producing(one))
        others = [key for key in left if key not in set(firsts)]
        left = sharing.take_over(one, project, others, among=firsts)


def _producing(one: Step) -> Produce:
    """What an executor calls.

    Another process imports the step's module when it is called and not before: it has to take its
    cores and its GPU first. So a step of the flow goes by its noun.
    """
    if one.noun in NOUNS and step(one.noun) is one:
        return _produce_noun
    return partial(produce, one)


def _produce_noun(noun: str, project: Project, keys: Sequence[str]) -> None:
    produce(step(noun), noun, project, keys)


def produce(one: Step, noun: str, project: Project, keys: Sequence[str]) -> None:
    """Make partitions in this process, and write each as soon as it is made."""
    given = {key: one.given(project, key) for key in keys}
    with progress_of(noun, len(keys)) as progress:
        for output in one.make(list(given.values()), progress):
            write(one, project, output, given[output.key].recipe)
            progress.partition_done()


def write(one: Step, project: Project, output: Output, recipe: Recipe) -> None:
    """Write a partition.

    Raises:
        ArtifactError: an input changed between the computation's start and its end.
    """
    stated = recipe
    if output.provisional:
        stated = replace(recipe, facts={**recipe.facts, **PROVISIONAL})
    with project.writing(one.noun, output.key, stated, output.measured, one.schemas) as folder:
        for record in output.records:
            record.write(folder)
        if one.recipe(project, output.key) != recipe:
            raise ArtifactError(
                f"{one.noun} {output.key}: an input changed while this was computed; run the step "
                "again"
            )
    output.written()
