"""The policy that buys everything: the ceiling to compare with."""

from __future__ import annotations

import numpy as np

from appraise.numerics.selection import Given, Purchase, select
from appraise.policies.policy import Policy


def everything(name: str, *, title: str, meaning: str) -> Policy:
    """All datasets that may be bought at all, whatever k, budget and exclusions.

    Args:
        name, title, meaning: see `Policy`.
    """

    def choose(given: Given) -> Purchase:
        return select(given.ids, np.ones(len(given.ids)), given.limits.lifted())

    return Policy(name, title, meaning, choose, within_limits=False)
