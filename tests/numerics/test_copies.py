"""Who of exact copies has the weight: by rule, whatever split a solver came with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from appraise.numerics.copies import settled, settled_within
from appraise.numerics.limits import Limits, violation

FIRST = np.array([0, 1, 0, 1, 4, 0, 1, 7])  # three copies of 0 and of 1, two datasets alone
OWNERS = np.array([0, 0, 1, 2, 1, 2, 1, 0])


def splits(limits: Limits, seed: int, count: int = 12) -> list[np.ndarray]:
    """Weights within the limits that differ only in how copies share: corners drawn by lot."""
    rng = np.random.default_rng(seed)
    caps = np.full(8, 1.0) if limits.cap is None else limits.cap
    rows = np.array([owner == OWNERS for owner in range(3)], dtype=float)
    most = np.full(3, 9.0 if limits.owner_cap is None else limits.owner_cap)
    bounds = list(zip(np.zeros(8), caps, strict=True))
    start = linprog(-np.ones(8), rows, most, bounds=bounds).x * 0.8
    groups = np.array([one == FIRST for one in (0, 1)], dtype=float)
    for i in (4, 7):
        bounds[i] = (start[i], start[i])
    drawn = []
    for _ in range(count):
        way = linprog(rng.normal(size=8), rows, most, groups, groups @ start, bounds=bounds)
        drawn.append(np.maximum(way.x, 0.0))
    return drawn


def test_without_limits_the_first_has_all() -> None:
    weights = np.array([0.1, 0.0, 0.2, 0.3, 0.4, 0.0, 0.1, 0.0])
    on = np.flatnonzero(weights)
    np.testing.assert_allclose(
        settled(weights, FIRST[on], on), [0.3, 0.4, 0, 0, 0.4, 0, 0, 0], atol=1e-15
    )


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("cap", [None, 0.35])
@pytest.mark.parametrize("owner_cap", [None, 0.6])
def test_no_split_changes_the_answer(seed: int, cap: float | None, owner_cap: float | None) -> None:
    caps = None if cap is None else np.random.default_rng(seed).uniform(0.2, cap + 0.2, 8)
    limits = Limits(OWNERS, caps, owner_cap)
    drawn = splits(limits, seed)
    answers = [settled_within(limits, weights, FIRST) for weights in drawn]
    for weights, answer in zip(drawn, answers, strict=True):
        np.testing.assert_allclose(answer, answers[0], atol=1e-9)
        for one in (0, 1):
            assert answer[one == FIRST].sum() == pytest.approx(weights[one == FIRST].sum())
        np.testing.assert_array_equal(answer[[4, 7]], weights[[4, 7]])
        assert violation(limits, answer) < 1e-9
    most = max(weights[0] for weights in drawn)
    assert answers[0][0] >= most - 1e-9, "nobody gives the first of all more"


def test_room_of_rounding_is_no_room() -> None:
    limits = Limits(np.array([0, 0, 1]), owner_cap=0.5)
    weights = np.array([0.5 - 1e-17, 0.0, 0.2])  # datasets 1 and 2 are copies, owner 0 is full
    answer = settled_within(limits, weights, np.array([0, 1, 1]))
    np.testing.assert_array_equal(answer, [0.5, 0.0, 0.2])
