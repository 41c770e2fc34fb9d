"""The question that the settings of a valuation ask of the datasets on offer."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from appraise.numerics.question import Question, question
from appraise.numerics.rule import LambdaRule
from appraise.settings.valuation import KmmWeightsParams


def question_of(
    settings: KmmWeightsParams,
    ids: Sequence[str],
    prices: ArrayLike,
    owners: Sequence[str],
) -> Question:
    """λ's rule, penalties, ridge, limits and tolerance, for these datasets.

    Args:
        settings: the section of the parameters.
        ids: (n,) the datasets.
        prices: (n,) money.
        owners: (n,) who offers each.

    Raises:
        SolverError: they do not fit the datasets: a price of 0, no room within the limits.
    """
    return question(
        ids,
        rule=LambdaRule(settings.rule, settings.relative_lambda, settings.number, settings.budget),
        penalty=settings.penalty,
        prices=prices,
        owners=owners,
        ridge=settings.ridge,
        cap=settings.cap,
        caps=settings.caps,
        owner_cap=settings.owner_cap,
        total=settings.total,
        tolerance=settings.tolerance,
    )
