"""What other budgets, prices, places and sample rows would buy."""

from __future__ import annotations

import math

from appraise.numerics.counterfactual import (
    Point,
    bought_probability,
    changes,
    frontier,
    shadow_prices,
    walk_away_price,
)
from appraise.numerics.stability import separations
from appraise.records.subset import Alternatives, Change, FrontierPoint, Separation, ShadowPrice
from appraise.records.values import Resamples, WeightsTable
from appraise.steps.buyer import VALUES, Buyer


def alternatives(buyer: Buyer, resamples: int, confidence: float) -> Alternatives:
    """What would have to change, and whether the choice is settled.

    Args:
        buyer: with the purchase that is the decision.
        resamples: of the sketches' rows; 0 for none, or where the policy does not follow them.
        confidence: of intervals.
    """
    choose, question = buyer.policy.choose, buyer.question
    points = frontier(choose, question)
    slopes = shadow_prices(points, question.limits)
    return Alternatives(
        shadow_price=None if slopes is None else ShadowPrice(more=slopes[0], less=slopes[1]),
        frontier=tuple(_point(buyer, point) for point in points),
        walk_away={buyer.ids[i]: _walk_away(buyer, i) for i in buyer.purchase.chosen},
        changes={
            buyer.ids[change.index]: Change(price=change.price, k=change.k, budget=change.budget)
            for change in changes(choose, question, points)
        },
        bought_probability=_probabilities(buyer, resamples),
        separations=_separations(buyer, confidence) if resamples else {},
    )


def _walk_away(buyer: Buyer, i: int) -> float | None:
    price = walk_away_price(buyer.policy.choose, buyer.question, i)
    return None if price is None or math.isinf(price) else price


def _point(buyer: Buyer, point: Point) -> FrontierPoint:
    return FrontierPoint(
        budget=point.budget,
        cost=point.cost,
        datasets=tuple(buyer.ids[i] for i in point.chosen),
        objective=point.objective,
        matched=point.matched,
    )


def _probabilities(buyer: Buyer, resamples: int) -> dict[str, float]:
    if not resamples:
        return {}
    often = bought_probability(buyer.policy.choose, buyer.resampled(), resamples, len(buyer.ids))
    return dict(zip(buyer.ids, often.tolist(), strict=True))


def _separations(buyer: Buyer, confidence: float) -> dict[str, Separation]:
    """For each dataset, whether other sample rows might have moved it across the cut; of a policy
    that cuts a ranking."""
    if "objective" in buyer.policy.depends_on:
        return {}
    draws = buyer.given.read(Resamples, VALUES, buyer.own).weights
    rows = int(buyer.given.read(WeightsTable, VALUES, buyer.own).numbers("rows").max())
    return {
        buyer.ids[each.index]: Separation(
            rival=buyer.ids[each.rival],
            difference=each.difference,
            low=each.low,
            high=each.high,
            tied=each.tied,
            more_rows=each.more_rows,
        )
        for each in separations(draws, buyer.purchase.chosen, rows, confidence)
    }
