"""The same valuation on arrays of one's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import appraise
from appraise.errors import ParamsError, SolverError

PRICES = {"a": 100.0, "b": 50.0, "c": 150.0, "d": 100.0}


def pool() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Four datasets: a and b serve the target, c is a copy of a's direction, d points away."""
    rng = np.random.default_rng(0)
    one, two, noise = np.eye(3, 400)[:3] * 8
    means = {"b": two, "a": one + noise, "d": -one - two, "c": one + noise}
    gradients = {name: mean + rng.normal(size=(24, 400)) for name, mean in means.items()}
    return gradients, one + two + rng.normal(size=(48, 400))


def test_ten_lines_in_a_notebook() -> None:
    gradients, target = pool()
    found = appraise.value(gradients, target, k=2)
    assert found.ids == ("a", "b", "c", "d")
    assert found.selected[0] == "b"
    assert found.selected[1] in ("a", "c")
    assert found.weights["d"] == 0
    assert found.harmful == ("d",)
    assert abs(found.certificate.gap) < 1e-12
    assert found.walk_away_price("d") is None
    assert found.walk_away_price("b") == np.inf, "nothing makes a price matter"
    covered = found.covered_by("a")
    assert list(covered.values()) == sorted(covered.values(), reverse=True)
    assert found.low == {}


def test_prices_decide_what_is_bought_and_change_no_weight() -> None:
    gradients, target = pool()
    gradients["c"] = gradients["a"]
    alike = appraise.value(gradients, target)
    assert alike.weights["a"] > 0 == alike.weights["c"], "of two alike the first"
    assert alike.selected == ("b", "a")
    priced = appraise.value(gradients, target, prices=PRICES | {"a": 200.0}, budget=210)
    assert (priced.weights, priced.lam) == (alike.weights, alike.lam)
    assert priced.selected == ("b", "c"), "of two alike the cheaper"
    assert priced.walk_away_price("c") == pytest.approx(160)  # what b leaves of the budget
    assert priced.walk_away_price("a") == pytest.approx(150)  # what its copy costs
    poor = appraise.value(gradients, target, prices=PRICES, budget=60)
    assert (poor.weights, poor.selected) == (alike.weights, ("b",))
    assert poor.walk_away_price("b") == 60
    assert poor.walk_away_price("d") is None


def test_with_an_exchange_rate_a_dataset_is_bought_up_to_what_it_adds() -> None:
    one, two = np.eye(2, 8)
    gradients, target = {"x": one, "y": two}, 0.8 * one + 0.6 * two
    asked = {"prices": {"x": 10.0, "y": 20.0}, "absolute_lambda": 0.1}
    # a unit vector adds (c − λ)² of ½‖target‖² = ½: 0.49 and 0.25 of the whole
    for rate, bought in ((81, ("x", "y")), (79, ("x",)), (21, ("x",)), (20, ())):
        assert appraise.value(gradients, target, exchange_rate=rate, **asked).selected == bought
    found = appraise.value(gradients, target, exchange_rate=100, **asked)
    assert found.walk_away_price("x") == pytest.approx(49)
    assert found.walk_away_price("y") == pytest.approx(25)


def test_means_rows_order_and_units_of_gradients() -> None:
    gradients, target = pool()
    found = appraise.value(gradients, target)
    assert found.lam == pytest.approx(0.05)
    reverse = {name: gradients[name][::-1] for name in reversed(gradients)}
    assert appraise.value(reverse, target).weights == found.weights, "same to the bit"
    scaled = {name: 1000 * rows for name, rows in gradients.items()}
    assert appraise.value(scaled, 1e-5 * target).weights == pytest.approx(found.weights)
    means = {name: rows.mean(axis=0) for name, rows in gradients.items()}
    assert appraise.value(means, target.mean(axis=0)).weights == pytest.approx(found.weights)
    longer = dict(means, a=10 * means["a"])
    plain = appraise.value(longer, target.mean(axis=0), normalize="none", relative_lambda=0.2)
    assert plain.weights["a"] > 0 == plain.weights["c"], "without unit norms length wins"


def test_shares_of_a_mixture_with_caps() -> None:
    gradients, target = pool()
    found = appraise.value(gradients, target, total=1, cap=0.4)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert max(found.weights.values()) == pytest.approx(0.4)
    owners = {"a": "x", "b": "y", "c": "x", "d": "z"}
    held = appraise.value(gradients, target, owners=owners, owner_cap=0.2)
    assert held.weights["a"] + held.weights["c"] <= 0.2 + 1e-9
    by_number = appraise.value(gradients, target, number=1)
    assert sum(weight > 0 for weight in by_number.weights.values()) == 1


def test_intervals() -> None:
    gradients, target = pool()
    found = appraise.value(gradients, target, resamples=50)
    for name in found.ids:
        assert found.low[name] <= found.high[name]
    assert found.bought_probability["b"] == 1
    assert found.bought_probability["d"] == 0
    assert found.harmful == ("d",)
    one = appraise.value(gradients, target, resamples=50, k=1).bought_probability
    assert sum(one.values()) == pytest.approx(1), "one is bought in each"
    assert appraise.value(gradients, target).bought_probability == {}


def test_one_dataset_orthogonal_target_and_equal_gradients() -> None:
    one = np.eye(1, 8)
    assert appraise.value({"x": one}, one).weights == pytest.approx({"x": 0.95})
    away = appraise.value({"x": one}, np.eye(2, 8)[1])
    assert (away.weights, away.selected, away.certificate.lambda_max) == ({"x": 0.0}, (), 0.0)
    same = appraise.value(dict.fromkeys("xyz", one), one)
    assert list(same.weights.values()) == pytest.approx([0.95, 0, 0])
    assert same.selected == ("x",)


def test_lambda_is_a_part_of_the_target_of_lambda_max_or_follows_a_number() -> None:
    gradients, target = pool()
    by_default = appraise.value(gradients, target)
    top = by_default.certificate.lambda_max
    assert appraise.value(gradients, target, absolute_lambda=0.05).weights == by_default.weights
    assert appraise.value(gradients, target, absolute_lambda=0.2).lam == pytest.approx(0.2)
    assert appraise.value(gradients, target, relative_lambda=0.2).lam == pytest.approx(0.2 * top)
    two = appraise.value(gradients, target, number=2)
    assert sum(weight > 0 for weight in two.weights.values()) == 2


def test_import_is_cheap() -> None:
    code = "import sys, appraise; assert not {'numpy', 'scipy', 'osqp'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"value", "Valuation"} <= set(dir(appraise))
    with pytest.raises(AttributeError, match="no attribute 'valeu'"):
        appraise.valeu  # noqa: B018


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"gradients": {}}, ParamsError, "expected at least one dataset, found none"),
        ({"relative_lambda": 0}, ParamsError, "relative_lambda: .* found 0;"),
        ({"relative_lambda": 1.1}, ParamsError, r"relative_lambda: .* found 1\.1"),
        ({"owner_cap": 0.5}, ParamsError, "owners: expected who offers each dataset"),
        ({"total": 1.0, "cap": 0.1}, SolverError, "caps that allow 0.[0-9]+ for"),
        ({"absolute_lambda": 0}, ParamsError, "absolute_lambda: .* found 0;"),
        ({"number": 0}, ParamsError, "number: expected at least 1 dataset, found 0"),
        (
            {"relative_lambda": 0.2, "number": 1}, ParamsError,
            "expected one of absolute_lambda, relative_lambda and number, found 2",
        ),
        ({"budget": 10}, ParamsError, "prices: expected a price for every dataset"),
        ({"exchange_rate": 10}, ParamsError, "prices: expected a price for every dataset"),
        ({"prices": {"a": 1}}, ParamsError, "prices: .* found none for b"),
        ({"prices": {"a": 1, "b": -1}}, ParamsError, "price of b: expected ≥ 0, found -1"),
        (
            {"prices": {"a": 1, "b": 2}, "exchange_rate": 0}, ParamsError,
            "an exchange rate above 0 .* exchange rate = 0",
        ),
        ({"prices": {"a": 1, "b": 2}, "budget": -1}, ParamsError, "a budget of at least 0"),
        ({"target": np.ones(5)}, ParamsError, "a: expected 5 dimensions as the target has"),
        ({"target": np.zeros(4)}, SolverError, "the target: .* add up to 0"),
        ({"gradients": {"a": [np.nan] * 4}}, SolverError, "a: expected finite gradients"),
        ({"gradients": {"a": np.ones((2, 2, 4))}}, ParamsError, r"a: .* shape \(2, 2, 4\)"),
        ({"resamples": 5}, ParamsError, "found one row for a, b, the target"),
        ({"k": 0}, ParamsError, "expected k ≥ 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict, error: type, message: str) -> None:
    arguments = {"gradients": {"a": np.ones(4), "b": np.eye(1, 4)[0]}, "target": np.ones(4)}
    with pytest.raises(error, match=message):
        appraise.value(**(arguments | change))
