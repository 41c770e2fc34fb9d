"""The path: optimal everywhere, its entries and exits, and λ by rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from programs import certify, lambda_max, penalties, program, regularisation_path, solve
from sklearn.linear_model import lars_path_gram

from appraise.errors import ParamsError
from appraise.numerics.path import stays
from appraise.numerics.rule import Lambda, LambdaRule, lambda_by_number

SIZES = [(1, 8), (2, 50), (16, 4096), (40, 12), (60, 60)]  # 40 in 12 dimensions: K is singular


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_path_is_optimal_at_its_knots_and_between(
    n: int, d: int, even: bool, nonnegative: bool
) -> None:
    K, c, tau = program(n, d, seed=n + 1)
    p = None if even else penalties(n, n)
    path = regularisation_path(K, c, p, 0.0, nonnegative)
    top = lambda_max(c, p, nonnegative)
    if top == 0:
        assert not path.weights.any()
        return
    assert path.lambdas[0] == top
    assert (np.diff(path.lambdas) < 0).all()
    assert path.lambdas[-1] <= 0.0101 * top
    assert not path.weights[0].any()
    inside = path.lambdas >= 1e-2 * top
    middle = (path.lambdas[1:] + path.lambdas[:-1])[inside[1:]] / 2
    between = (path.weights[1:] + path.weights[:-1])[inside[1:]] / 2
    points = [*zip(path.lambdas[inside], path.weights[inside], strict=True)]
    for lam, w in [*points, *zip(middle, between, strict=True)]:
        found = certify(K, c, tau, w, lam, p, 0.0, nonnegative)
        assert found.kkt_violation < 1e-7
    lam = 0.2 * top
    solved = solve(K, c, tau, lam=lam, penalties=p, nonnegative=nonnegative)
    at = [np.interp(lam, path.lambdas[::-1], column[::-1]) for column in path.weights.T]
    assert K @ at == pytest.approx(K @ solved.weights, abs=1e-7)


def test_path_is_that_of_lars() -> None:
    K, c, _ = program(12, 300, seed=9)
    lambdas, _, weights = lars_path_gram(c, K, n_samples=1, method="lasso", positive=True)
    path = regularisation_path(K, c)
    np.testing.assert_allclose(path.lambdas, lambdas[lambdas > 0], atol=1e-12)
    np.testing.assert_allclose(path.weights, weights.T[lambdas > 0], atol=1e-10)


def test_path_of_copies_is_still_optimal() -> None:
    K, c, tau = program(6, 40, 2)
    index = np.r_[np.arange(6), np.arange(6)]
    K, c = K[np.ix_(index, index)], c[index]
    path = regularisation_path(K, c)
    for lam, w in zip(path.lambdas, path.weights, strict=True):
        assert certify(K, c, tau, w, lam).kkt_violation < 1e-8


def test_stays_tell_who_has_a_weight_at_every_lambda() -> None:
    exits = 0
    for seed in range(20):
        K, c, tau = program(12, 30, seed)
        path = regularisation_path(K, c)
        found = stays(path)
        exits += sum(stay.leaves is not None for stay in found)
        for part in (0.7, 0.31, 0.12, 0.02):
            lam = part * path.lambdas[0]
            inside = {
                s.index for s in found if s.enters > lam and (s.leaves is None or s.leaves <= lam)
            }
            assert inside == set(np.flatnonzero(solve(K, c, tau, lam=lam).weights))
    assert exits > 0, "the programs must have datasets that leave again"


@pytest.mark.parametrize("k", [1, 3, 5])
def test_lambda_by_number_is_the_last_with_so_few(k: int) -> None:
    K, c, tau = program(12, 300, seed=5)
    lam = lambda_by_number(regularisation_path(K, c), k)
    assert np.count_nonzero(solve(K, c, tau, lam=lam).weights) == k
    assert np.count_nonzero(solve(K, c, tau, lam=lam * (1 - 1e-6)).weights) == k + 1


def test_lambda_by_number_ends_with_the_path() -> None:
    K, c, _ = program(5, 60, seed=1)
    path = regularisation_path(K, c)
    assert lambda_by_number(path, 5) == path.lambdas[-1]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (LambdaRule("number", number=0), "number: expected at least 1 dataset, found 0"),
        (LambdaRule("number"), "rule number: expected a number, found none"),
        (LambdaRule(absolute=0.0), r"absolute_lambda: .* above 0, found 0\.0; 0\.05 is"),
        (LambdaRule(absolute=math.inf), "absolute_lambda: .* found inf"),
        (LambdaRule(absolute=math.nan), "absolute_lambda: .* found nan"),
        (LambdaRule("relative", relative=0.0), r"relative_lambda: .* found 0\.0; 0\.2 is"),
        (LambdaRule("relative", relative=1.1), r"relative_lambda: .* at most 1, found 1\.1"),
        (LambdaRule("relative", relative=math.nan), "relative_lambda: .* found nan"),
    ],
)
def test_rules_refuse_what_means_nothing(rule: LambdaRule, message: str) -> None:
    path = regularisation_path(*program(3, 20, seed=1)[:2])
    with pytest.raises(ParamsError, match=message):
        rule.chosen(path, 1.0)


def test_numbers_of_other_rules_are_not_looked_at() -> None:
    LambdaRule("absolute", absolute=0.1, relative=7.0, number=-1).check()
    LambdaRule("relative", absolute=-3.0, relative=0.1).check()
    LambdaRule("number", absolute=-3.0, relative=7.0, number=1).check()


@pytest.mark.parametrize("unit", [1e-12, 1e-4, 1e6])
def test_units_of_gradients_do_not_matter(unit: float) -> None:
    K, c, _ = program(30, 60, seed=4)
    path, other = regularisation_path(K, c), regularisation_path(unit * K, unit * c)
    np.testing.assert_allclose(other.lambdas, unit * path.lambdas, rtol=1e-9)
    np.testing.assert_allclose(other.weights, path.weights, atol=1e-9)


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_copies_enter_as_one_and_share_only_with_a_ridge(ridge: float, nonnegative: bool) -> None:
    K, c, tau = program(20, 60, seed=3)
    index = np.r_[np.arange(20), np.repeat(np.argsort(-c)[:6], 3)]
    K, c = K[np.ix_(index, index)], c[index]
    path = regularisation_path(K, c, None, ridge, nonnegative)
    middle = (path.lambdas[1:] + path.lambdas[:-1]) / 2, (path.weights[1:] + path.weights[:-1]) / 2
    for lambdas, weights in ((path.lambdas, path.weights), middle):
        for lam, w in zip(lambdas, weights, strict=True):
            found = certify(K, c, tau, w, lam, None, ridge, nonnegative)
            assert found.kkt_violation < 1e-9
    later = path.weights[:, 20:]
    if ridge:
        np.testing.assert_array_equal(later, path.weights[:, index[20:]])
        assert later.any()
    else:
        assert not later.any(), "the first of them has the weight of all"


def test_more_datasets_than_dimensions_end_with_the_last_knot_and_not_with_rounding() -> None:
    K, c, tau = program(80, 20, seed=2)
    path = regularisation_path(K, c)
    assert path.complete
    assert path.lambdas[-1] > 1e-9 * path.lambdas[0]
    bottom = solve(K, c, tau, lam=path.lambdas[-1] / 10).weights
    top = solve(K, c, tau, lam=path.lambdas[-1] * 0.99).weights
    np.testing.assert_array_equal(bottom > 0, top > 0)


def test_lambda_says_which_part_of_which_lambda_max_it_is() -> None:
    K, c, _ = program(12, 300, seed=5)
    path, top, tau = regularisation_path(K, c), lambda_max(c), 4.0
    relative = LambdaRule("relative", relative=0.3).chosen(path, tau)
    assert relative == Lambda(0.3 * top, top, tau, 0.3, "relative")
    number = LambdaRule("number", number=3).chosen(path, tau)
    lam = lambda_by_number(path, 3)
    assert number == Lambda(lam, top, tau, lam / top, "number")
    absolute = LambdaRule(absolute=0.02).chosen(path, tau)
    assert absolute == Lambda(0.08, top, tau, 0.08 / top, "absolute")
    assert LambdaRule().chosen(path, tau).value == 0.05 * tau
    nothing = regularisation_path(K, -np.abs(c))
    assert LambdaRule("number", number=3).chosen(nothing, tau) == Lambda(
        0.0, 0.0, tau, 1.0, "number"
    )
    assert LambdaRule().chosen(nothing, tau) == Lambda(0.05 * tau, 0.0, tau, 1.0, "absolute")


def test_another_program_has_the_same_part_of_its_own_target_or_lambda_max() -> None:
    absolute = LambdaRule(absolute=0.03).at(0.0, 0.6, 2.0)
    assert absolute.of(5.0, 0.1) == pytest.approx(0.15)
    relative = LambdaRule("relative", relative=0.3).at(0.0, 0.6, 2.0)
    assert relative.of(5.0, 0.1) == pytest.approx(0.03)
    number = LambdaRule("number", number=2).at(0.15, 0.6, 2.0)
    assert number.of(5.0, 0.1) == pytest.approx(0.025)


def test_what_is_asked_of_a_dataset_does_not_follow_the_best_of_the_others() -> None:
    K, c = np.eye(3), np.array([0.3, 0.1, 0.04])
    lam = LambdaRule().chosen(regularisation_path(K, c), 1.0).value
    better = LambdaRule().chosen(regularisation_path(np.eye(4), np.append(c, 0.9)), 1.0).value
    assert lam == better == 0.05
    relative = LambdaRule("relative")
    assert relative.chosen(regularisation_path(np.eye(4), np.append(c, 0.9)), 1.0).value > 0.1
