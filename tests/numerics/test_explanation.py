from __future__ import annotations

import math

import numpy as np
import pytest
from programs import certify, explain, lambda_max, penalties, program, solve

TWO = np.array([[1.0, 0.6], [0.6, 1.0]])  # the second is aligned, but covered by the first


def explained(K, c, tau, share=0.2, penalties=None, ridge=0.0, nonnegative=True):
    lam = share * lambda_max(c, penalties, nonnegative)
    settings = {"penalties": penalties, "ridge": ridge, "nonnegative": nonnegative}
    solution = solve(K, c, tau, lam=lam, **settings)
    return solution, explain(K, c, tau, solution, penalties, ridge, nonnegative)


def test_why_not_in_numbers() -> None:
    c = np.array([0.9, 0.5])
    solution, (first, second) = explained(TWO, c, 1.0)
    lam = 0.2 * 0.9
    assert solution.weights == pytest.approx([0.72, 0])
    assert second.covered_by == ((0, pytest.approx(0.6 * 0.72)),)
    assert second.margin == pytest.approx(0.5 - 0.432)
    assert second.threshold == pytest.approx(lam)
    assert second.value == 0
    # Without the first, the second would be taken with weight c_2 − λ.
    assert first.value == pytest.approx((0.72**2 - (0.5 - lam) ** 2) / 2)


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(4))
def test_amounts_add_up_to_what_is_covered(seed: int, ridge: float, nonnegative: bool) -> None:
    K, c, tau = program(12, 40, seed)
    solution, found = explained(K, c, tau, ridge=ridge, nonnegative=nonnegative)
    for one in found:
        amounts = [amount for _, amount in one.covered_by]
        assert math.fsum(amounts) == pytest.approx(one.alignment - one.margin, abs=2e-16)
        assert amounts == sorted(amounts, reverse=True)
        assert {j for j, _ in one.covered_by} == set(np.flatnonzero(solution.weights))
        assert one.margin == pytest.approx(solution.margins[one.index], abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_a_threshold_near_what_the_others_leave_of_the_alignment_is_near(seed: int) -> None:
    K, c, tau = program(8, 60, seed)
    p = penalties(8, seed)
    lam = 0.2 * lambda_max(c, p)
    for i in range(8):
        rest = np.delete(np.arange(8), i)
        without = solve(K[np.ix_(rest, rest)], c[rest], tau, lam=lam, penalties=p[rest]).weights
        left = c[i] - K[i, rest] @ without
        if left <= 1e-3 * lam:
            continue
        for part, chosen, near in (
            (0.9, True, False), (0.995, True, True), (1.005, False, True), (1.1, False, False)
        ):  # fmt: skip
            other = p.copy()
            other[i] = part * left / lam
            solution = solve(K, c, tau, lam=lam, penalties=other)
            one = explain(K, c, tau, solution, other)[i]
            assert (one.weight > 0, one.near_threshold) == (chosen, near)
            assert one.threshold == pytest.approx(part * left)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_value_is_what_the_optimum_loses_without_it(nonnegative: bool) -> None:
    K, c, tau = program(9, 60, 1)
    solution, found = explained(K, c, tau, nonnegative=nonnegative)
    for one in found:
        keep = np.arange(9) != one.index
        sub = K[np.ix_(keep, keep)], c[keep]
        without = solve(*sub, tau, lam=solution.lam, nonnegative=nonnegative)
        best = certify(*sub, tau, without.weights, solution.lam, None, 0.0, nonnegative).primal
        assert one.value == pytest.approx(best - solution.certificate.primal, abs=1e-10)
        assert (one.value > 0) == (one.weight != 0)


def test_a_dataset_that_points_away_has_a_value_only_where_weights_may_be_negative() -> None:
    _, found = explained(np.eye(2), np.array([0.8, -0.5]), 1.0)
    assert (found[1].weight, found[1].value, found[1].margin) == (0, 0, -0.5)
    _, signed = explained(np.eye(2), np.array([0.8, -0.5]), 1.0, nonnegative=False)
    assert signed[1].weight == pytest.approx(-(0.5 - 0.16))
    assert signed[1].value == pytest.approx(0.34**2 / 2)


@pytest.mark.parametrize(("margin", "near"), [(0.9995, True), (1.0005, True), (0.95, False)])
def test_choices_that_hang_on_a_hair_are_marked(margin: float, near: bool) -> None:
    _, found = explained(np.eye(2), np.array([0.8, 0.2 * 0.8 * margin]), 1.0)
    assert (found[1].weight > 0) == (margin > 1)
    assert found[1].near_threshold == near
    assert not found[0].near_threshold


def test_only_dataset_and_no_useful_dataset() -> None:
    _, (only,) = explained(np.ones((1, 1)), np.array([0.5]), 1.0)
    assert (only.weight, only.margin) == pytest.approx((0.4, 0.1))
    assert only.value == pytest.approx(0.4**2 / 2)
    _, (none,) = explained(np.ones((1, 1)), np.array([-0.5]), 1.0)
    assert (none.weight, none.value, none.covered_by) == (0, 0, ())
