"""Ranks from resamples: intervals, ties, and the rows that would settle a tie."""

from __future__ import annotations

import numpy as np
import pytest

from appraise.numerics.stability import mean_weights, rank_intervals, separations


def draws(means: list[float], spread: float, count: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array(means) + spread * rng.normal(size=(count, len(means)))


def test_ranks_that_are_settled_and_ranks_that_are_not() -> None:
    best, worst = rank_intervals(draws([0.9, 0.5, 0.49, 0.1], 0.03), 0.9)
    assert best.tolist() == [1, 2, 2, 4]
    assert worst.tolist() == [1, 3, 3, 4]


def test_equal_weights_share_a_rank() -> None:
    best, worst = rank_intervals(np.array([[0.5, 0.0, 0.0]] * 3), 0.9)
    assert best.tolist() == worst.tolist() == [1, 2.5, 2.5]


def test_a_tie_at_the_cut_is_said_to_be_one() -> None:
    found = separations(draws([0.9, 0.5, 0.48, 0.1], 0.03), [0, 1], 24, 0.9)
    assert [one.tied for one in found] == [False, True, True, False]
    assert (found[1].rival, found[2].rival, found[3].rival) == (2, 1, 1)
    assert found[1].difference == pytest.approx(-found[2].difference)


@pytest.mark.parametrize("rows", [8, 24])
def test_more_rows_are_as_many_as_the_standard_error_asks_for(rows: int) -> None:
    # sd of the difference 0.03·√2, difference 0.02: rows · (1.645 · 0.0424 / 0.02)²
    tied = separations(draws([0.5, 0.48], 0.03, 200_000), [0], rows, 0.9)[0]
    assert tied.more_rows == pytest.approx(
        rows * (1.645 * 0.03 * 2**0.5 / 0.02) ** 2 - rows, rel=0.1
    )
    settled = separations(draws([0.5, 0.2], 0.03), [0], rows, 0.9)[0]
    assert settled.more_rows == 0


def test_equal_in_every_resample_no_number_of_rows_will_do() -> None:
    assert separations(np.ones((5, 2)), [0], 24, 0.9)[0].more_rows is None


def test_nothing_to_separate() -> None:
    assert separations(np.ones((5, 2)), [], 24, 0.9) == ()
    assert separations(np.ones((5, 2)), [0, 1], 24, 0.9) == ()
    assert separations(np.empty((0, 2)), [0], 24, 0.9) == ()
    assert np.isnan(mean_weights(np.empty((0, 2)))).all()
    assert np.isnan(rank_intervals(np.empty((0, 2)), 0.9)).all()
