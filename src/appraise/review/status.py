"""How far a project is: which partitions are up to date, and what the others wait for.

A recipe names the content of what a step read, so on its own it still fits when something further
up has changed and was not made again. Here the graph is walked from the top: a partition is up to
date only if everything that it was made from is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appraise.errors import ArtifactError, OfferError
from appraise.project import Project
from appraise.steps.flow import NOUNS, step
from appraise.steps.offers import pool_path, read_pool
from appraise.steps.step import Step

DECIDED = "valuation_decision"


@dataclass(frozen=True)
class State:
    """How far a partition is.

    Attributes:
        word: what is said of it.
        late: the steps to be made before it is up to date, in the order of the flow: its own, or
            those that it waits for.
    """

    word: str
    late: tuple[str, ...] = ()


UP_TO_DATE = State("up to date")


@dataclass(frozen=True)
class StepState:
    """How far a step is.

    Attributes:
        partitions: by key.
        unknown: the steps to be made before it is known which partitions there are.
    """

    partitions: Mapping[str, State]
    unknown: tuple[str, ...] = ()

    @property
    def late(self) -> tuple[str, ...]:
        """The steps to be made before all of it is up to date."""
        return _in_order(
            [*self.unknown, *(n for one in self.partitions.values() for n in one.late)]
        )

    def __str__(self) -> str:
        words = sorted(one.word for one in self.partitions.values())
        counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        return ", ".join(counts) or _waiting(self.unknown).word


def states(project: Project) -> dict[str, StepState]:
    """How far each step is, in the order of the flow; nothing is computed.

    Raises:
        ParamsError: `params.yaml` cannot be read.
    """
    project.params  # noqa: B018 - without it nothing can be said
    found: dict[str, StepState] = {}
    for noun in NOUNS:
        found[noun] = _of_step(project, step(noun), found)
    return found


def _of_step(project: Project, one: Step, above: Mapping[str, StepState]) -> StepState:
    unknown = _in_order(late for noun in one.keys.nouns for late in above[noun].late)
    try:
        keys = one.keys(project)
    except (ArtifactError, OfferError):
        return StepState({}, unknown or (one.noun,))
    return StepState({key: _of_partition(project, one, key, above) for key in keys}, unknown)


def _of_partition(project: Project, one: Step, key: str, above: Mapping[str, StepState]) -> State:
    try:
        project.manifest(one.noun, key)
    except ArtifactError:
        return State("missing", (one.noun,))
    try:
        inputs = one.recipe(project, key).inputs
    except (ArtifactError, OfferError):  # something that it reads is not there
        return _waiting([late for noun in one.needs for late in above[noun].late] or [one.noun])
    if not project.intact(one.noun, key):
        return State("damaged", (one.noun,))
    if not one.current(project, key):
        return State("out of date", (one.noun,))
    read = [above[each.noun].partitions.get(each.key, above[each.noun]) for each in inputs]
    read += [above[noun] for fact in one.declared(key).facts for noun in fact.nouns]
    late = [noun for each in read for noun in each.late]
    return _waiting(late) if late else UP_TO_DATE


def _waiting(nouns: Iterable[str]) -> State:
    late = _in_order(nouns)
    return State(f"waiting for {', '.join(late)}", late)


def _in_order(nouns: Iterable[str]) -> tuple[str, ...]:
    wanted = set(nouns)
    return tuple(noun for noun in NOUNS if noun in wanted)


def next_step(project: Project, found: Mapping[str, StepState]) -> str:
    """What to do next, as a line for the terminal."""
    try:
        read_pool(pool_path(project.root, project.params.offers), project.root)
    except OfferError as error:
        return f"Next: {error}"
    if found[DECIDED].late:
        return (
            f"Next: `appraise run --until {DECIDED}` values the datasets and decides; without "
            "--until it also trains and evaluates"
        )
    if any(state.late for state in found.values()):
        return (
            "Next: `appraise summary` prints the decision; `appraise run` trains and evaluates "
            "what each policy buys"
        )
    return "Everything is up to date; `appraise summary` prints the decision"
