"""Policies by objective: the set that serves the target best by a method's own program.

Such a set does not depend on offers that are not in it: an offer that is not bought changes nothing
for the others, whatever it is aligned with, covers or costs.
"""

from __future__ import annotations

from appraise.errors import ParamsError
from appraise.numerics.selection import Given, Purchase, select_by_objective
from appraise.numerics.subsets import SetRule
from appraise.policies.policy import Policy


def by_objective(
    name: str, rule: SetRule, *, title: str, meaning: str, method: str, searches: bool = False
) -> Policy:
    """The set that a rule finds for its objective, with a bound that no other set can beat.

    Args:
        name, title, meaning, method: see `Policy`.
        rule: `subsets.forward` or `subsets.best`.
        searches: whether it may run into the limit of nodes.
    """

    def choose(given: Given) -> Purchase:
        if given.program is None or given.lam is None:
            raise ParamsError(
                f"policy {name}: expected the convex program of method {method}, found none; "
                "choose by value where a method has no program"
            )
        return select_by_objective(
            given.ids, given.program, given.lam, given.limits, rule, given.search_limit
        )

    return Policy(
        name,
        title,
        meaning,
        choose,
        method,
        frozenset({"objective", "search_limit"} if searches else {"objective"}),
    )
