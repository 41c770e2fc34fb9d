"""The flow: the steps in their order, one module for each noun, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from appraise.errors import ParamsError

if TYPE_CHECKING:  # the command line lists the steps without importing any
    from appraise.steps.step import Step

NOUNS = (
    "base_model",
    "offers",
    "target_sets",
    "auxiliary_datasets",
    "near_copies",
    "gradient_sketches",
    "target_sketches",
    "candidates",
    "kernel_matrix",
    "transfer_matrix",
    "dataset_values",
    "selected_subset",
    "valuation_decision",
    "lora_adapter",
    "evaluation",
    "decision_outcome",
    "report",
)


def step(noun: str) -> Step:
    """The step of this name.

    Raises:
        ParamsError: there is no such step.
    """
    if noun not in NOUNS:
        raise ParamsError(f"expected one of the steps {', '.join(NOUNS)}, found {noun!r}")
    one: Step = import_module(f"appraise.steps.{noun}").STEP
    return one


def until(noun: str) -> tuple[str, ...]:
    """The steps that the outputs of this one rest on, and itself, in their order.

    Raises:
        ParamsError: there is no such step.
    """
    wanted = {noun}
    step(noun)
    for each in reversed(NOUNS):
        if each in wanted:
            wanted.update(step(each).needs)
    return tuple(each for each in NOUNS if each in wanted)
