"""The question that the settings of a valuation ask of the datasets on offer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import OfferError
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
        OfferError: a price of 0 where the penalty follows the price.
        SolverError: the limits leave no room.
    """
    if settings.penalty == "price":
        for name, price in zip(ids, np.asarray(prices).tolist(), strict=True):
            if not price > 0:
                raise OfferError(
                    f"offers: price of {name}: expected a number above 0 because the penalty "
                    f"follows the price, found {price:g}; correct the price or set "
                    "kmm_weights.penalty to uniform"
                )
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
