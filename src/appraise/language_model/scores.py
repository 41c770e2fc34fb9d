"""What evaluation counts: right answers, and the numbers that lm-eval gives for tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """The share of items that were answered rightly.

    Attributes:
        accuracy: how often the likeliest choice is the answer.
        stderr: its standard error.
        correct: for each item whether it was answered rightly, in the items' order.
    """

    accuracy: float
    stderr: float
    correct: tuple[bool, ...]

    @classmethod
    def of(cls, correct: Sequence[bool]) -> Accuracy:
        """Of items, at least one, by whether each was answered rightly."""
        share = sum(correct) / len(correct)
        stderr = (share * (1 - share) / max(1, len(correct) - 1)) ** 0.5
        return cls(share, stderr, tuple(correct))


@dataclass(frozen=True)
class TaskScore:
    """What lm-eval makes of a task by one metric.

    Attributes:
        metric: its name, with that of the filter of answers after a slash where there is one.
        stderr: standard error of the value; None where lm-eval gives none.
    """

    task: str
    metric: str
    value: float
    stderr: float | None


def as_metrics(scores: Sequence[TaskScore]) -> dict[str, dict[str, float]]:
    """Scores as `metrics.json` has them: task → metric, and its standard error if there is one."""
    metrics: dict[str, dict[str, float]] = {}
    for score in scores:
        of_task = metrics.setdefault(score.task, {})
        of_task[score.metric] = score.value
        if score.stderr is not None:
            metric, slash, answers = score.metric.partition("/")
            of_task[f"{metric}_stderr{slash}{answers}"] = score.stderr
    return metrics
