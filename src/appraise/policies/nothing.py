"""Policies that buy nothing: what a purchase is measured from."""

from __future__ import annotations

import numpy as np

from appraise.numerics.selection import Given, Purchase, select
from appraise.policies.policy import Policy


def nothing(name: str, *, title: str, meaning: str, target_data: bool) -> Policy:
    """No dataset at all.

    Args:
        name, title, meaning: see `Policy`.
        target_data: whether its adapter is trained on the target's own data; then it means
            something only where training mixes such data in. Else it is the base model as it is.
    """

    def choose(given: Given) -> Purchase:
        return select(given.ids, np.zeros(len(given.ids)), given.limits)

    return Policy(
        name,
        title,
        meaning,
        choose,
        buys=False,
        needs_target_data=target_data,
        mixes_target_data=target_data,
    )
