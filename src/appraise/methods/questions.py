"""The question that the settings of a valuation ask of the datasets on offer."""

from __future__ import annotations

from collections.abc import Sequence

from appraise.numerics.question import Question, question
from appraise.numerics.rule import LambdaRule
from appraise.settings.valuation import KmmWeightsParams


def question_of(
    settings: KmmWeightsParams,
    ids: Sequence[str],
    owners: Sequence[str],
) -> Question:
    """λ's rule, ridge, limits and tolerance, for these datasets.

    Args:
        settings: the section of the parameters.
        ids: (n,) the datasets.
        owners: (n,) who offers each.

    Raises:
        SolverError: the limits leave no room.
    """
    return question(
        ids,
        rule=LambdaRule(
            settings.rule, settings.absolute_lambda, settings.relative_lambda, settings.number
        ),
        owners=owners,
        ridge=settings.ridge,
        cap=settings.cap,
        caps=settings.caps,
        owner_cap=settings.owner_cap,
        total=settings.total,
        tolerance=settings.tolerance,
    )
