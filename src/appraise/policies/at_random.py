"""Policies at random: what a method of valuation has to beat."""

from __future__ import annotations

import numpy as np

from appraise.numerics.randomness import fraction
from appraise.numerics.selection import Given, Purchase, select
from appraise.policies.policy import Policy


def at_random(name: str, *, title: str, meaning: str) -> Policy:
    """Lots in an order drawn from the seed and the id, so that a new dataset moves no other.

    Args:
        name, title, meaning: see `Policy`.
    """

    def choose(given: Given) -> Purchase:
        draws = np.array([fraction(given.seed, f"policy/{identity}") for identity in given.ids])
        return select(given.ids, draws, given.limits)

    return Policy(name, title, meaning, choose, depends_on=frozenset({"seed"}))
