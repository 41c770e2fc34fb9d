"""Policies by value: the datasets that a method of valuation says are worth most."""

from __future__ import annotations

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.selection import Given, Pooling, Purchase, select
from appraise.policies.policy import Policy


def by_value(
    name: str, *, title: str, meaning: str, method: str, pooling: Pooling = "mean"
) -> Policy:
    """Lots in the order of a method's values, positive ones only.

    Args:
        name, title, meaning, method: see `Policy`.
        pooling: what a bundle is worth: "sum" where the method's values are parts of one mix,
            which add up; "mean" where they do not, as cosines.
    """

    def choose(given: Given) -> Purchase:
        return select(given.ids, _values(name, method, given), given.limits, pooling)

    return Policy(name, title, meaning, choose, method)


def by_mean_value(
    name: str, *, title: str, meaning: str, method: str, pooling: Pooling = "mean"
) -> Policy:
    """Lots in the order of a method's average values over resamples; without any, of its values.

    Args:
        name, title, meaning, method: see `Policy`.
        pooling: as for `by_value`.
    """

    def choose(given: Given) -> Purchase:
        values = given.mean_values
        if values is None:
            values = _values(name, method, given)
        return select(given.ids, values, given.limits, pooling)

    return Policy(name, title, meaning, choose, method, frozenset({"resamples"}))


def _values(name: str, method: str, given: Given) -> Floats:
    if given.values is None:
        raise ParamsError(
            f"policy {name}: expected the values of method {method}, found none; "
            "value the datasets by it first"
        )
    return given.values
