"""The pictures of a valuation, drawn of its records: the same on every page that shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from appraise.presentation import pictures
from appraise.presentation.drawing import Format
from appraise.presentation.wording import one_line
from appraise.records.adapter import AdapterTraining
from appraise.records.certificate import ProgramCertificate
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel, Transfer
from appraise.records.outcome import Outcome
from appraise.records.subset import FrontierPoint
from appraise.records.values import PathKnots, WeightsTable


def of_valuation(
    decision: Decision,
    kernel: Kernel,
    weights: WeightsTable | None,
    path: PathKnots | None,
    fmt: Format = "png",
) -> dict[str, bytes]:
    """What a decision is drawn from, as far as its method says it: `weights`, `kernel`, `path`."""
    bought, drawn = decision.bought_ids, {}
    if weights is not None:
        drawn["weights"] = weights_picture(weights, bought, fmt, measure=measure(decision))
    drawn["kernel"] = kernel_picture(kernel, bought, fmt)
    if path is not None and decision.certificate is not None:
        drawn["path"] = path_picture(path, decision.certificate, bought, fmt)
    return drawn


def measure(decision: Decision) -> str:
    """What the datasets are ranked by, in a word or two."""
    return measure_of(decision.method, decision.certificate is not None)


def measure_of(method: str | None, certified: bool) -> str:
    """What a method's values are called: weights where they solve a program."""
    return "weight" if certified or method is None else method.replace("_", " ")


def weights_picture(
    weights: WeightsTable,
    bought: Collection[str],
    fmt: Format = "png",
    *,
    filled: str = "bought",
    measure: str = "weight",
) -> bytes:
    """The weight of each dataset with its interval."""
    low, high = weights.interval()
    values = weights.numbers("weight")
    return pictures.weights_bar(weights.ids, values, low, high, bought, fmt, filled, measure)


def kernel_picture(kernel: Kernel, bought: Collection[str] = (), fmt: Format = "png") -> bytes:
    """Who teaches the same as whom."""
    return pictures.kernel_heat_map(kernel.K, kernel.ids, bought, fmt)


def transfer_picture(
    transfer: Transfer, bought: Collection[str] = (), fmt: Format = "png"
) -> bytes:
    """Who helps whom."""
    return pictures.transfer_heat_map(transfer.M, transfer.ids, bought, fmt)


def path_picture(
    path: PathKnots,
    certificate: ProgramCertificate,
    bought: Collection[str] = (),
    fmt: Format = "png",
) -> bytes:
    """The weights at every λ, and the λ that was used."""
    return pictures.path_plot(path.lambdas, path.weights, path.ids, certificate.lam, bought, fmt)


def frontier_picture(
    points: Sequence[FrontierPoint],
    names: Mapping[str, str],
    spent: float,
    currency: str,
    fmt: Format = "png",
) -> bytes | None:
    """What every budget would buy; None where nothing says how much of the target that matches.

    Args:
        points: by budget.
        names: dataset → what it is called beside its step; its id where it is not there.
        spent: money.
        currency: of it.
    """
    before = [None, *points[:-1]]
    matched = [point.matched for point in points if point.matched is not None]
    if len(points) < 2 or len(matched) < len(points):
        return None
    return pictures.frontier_plot(
        [point.budget for point in points],
        matched,
        [_step(old, new, names) for old, new in zip(before, points, strict=True)],
        spent,
        one_line(currency, 12),
        fmt,
    )


def _step(before: FrontierPoint | None, point: FrontierPoint, names: Mapping[str, str]) -> str:
    """What a larger budget adds, and what it gives up for it."""
    had = set(before.datasets) if before else set()
    new = [f"+ {_called(name, names)}" for name in point.datasets if name not in had]
    gone = [f"− {_called(name, names)}" for name in had - set(point.datasets)]
    return "\n".join([*new, *sorted(gone)])


def _called(dataset: str, names: Mapping[str, str]) -> str:
    return one_line(names.get(dataset, dataset), 18)


def training_picture(
    trainings: Mapping[str, AdapterTraining], ours: str, fmt: Format = "png"
) -> bytes | None:
    """Each policy's training, step by step; None where nothing was trained."""
    if not any(training.loss for training in trainings.values()):
        return None
    return pictures.training_curves(trainings, ours, fmt)


def outcome_picture(outcome: Outcome, fmt: Format = "png") -> bytes:
    """Each policy's held-out loss with its interval."""
    scores = outcome.policies.values()
    loss, low, high = (
        np.array([getattr(score, name) for score in scores]) for name in ("loss", "low", "high")
    )
    return pictures.outcome_bar(list(outcome.policies), loss, low, high, outcome.policy, fmt)
