from __future__ import annotations

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics import comparison
from appraise.numerics.comparison import mean_interval, paired_difference


def items(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 8, n)
    a = tokens * rng.gamma(9, 0.4, n)
    return a, 0.96 * a + 0.05 * tokens * rng.normal(size=n), tokens


def test_estimate_is_over_tokens_and_not_over_items() -> None:
    found = mean_interval([2.0, 12.0], [1, 4], resamples=50)
    assert found.estimate == pytest.approx(14 / 5)
    assert (found.low, found.high) == (2.0, 3.0)  # one item twice, or the other


def test_interval_is_that_of_the_ratio_estimator() -> None:
    a, _, tokens = items()
    found = mean_interval(a, tokens, resamples=4000, confidence=0.95)
    residual = a - found.estimate * tokens
    error = np.sqrt(np.sum(residual**2)) / tokens.sum()  # delta method
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert found.low < found.estimate < found.high


def test_pairing_makes_a_difference_visible() -> None:
    a, b, tokens = items()
    found = paired_difference(b, a, tokens)
    assert found.high < 0, "b is better on nearly every item"
    assert found.estimate == pytest.approx((b.sum() - a.sum()) / tokens.sum())
    apart = mean_interval(b, tokens), mean_interval(a, tokens)
    assert apart[0].high > apart[1].low, "without pairing the intervals overlap"


def test_difference_is_antisymmetric_and_zero_with_itself() -> None:
    a, b, tokens = items()
    there, back = paired_difference(a, b, tokens), paired_difference(b, a, tokens)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    same = paired_difference(a, a, tokens)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


def test_coverage_of_the_interval() -> None:
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = mean_interval(rng.normal(3, 1, 80), np.ones(80), 300, 0.9, seed)
        inside += found.low <= 3 <= found.high
    assert 165 <= inside <= 195


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    a, _, tokens = items()
    whole = mean_interval(a, tokens, 100)
    monkeypatch.setattr(comparison, "_BLOCK", 1000)
    assert mean_interval(a, tokens, 100) == whole


@pytest.mark.parametrize(
    ("nats", "tokens", "message"),
    [
        ([], [], r"found shapes \(0,\)"),
        ([1.0, 2.0], [1], r"found shapes \(2,\) and \(1,\)"),
        ([np.nan, 2.0], [1, 1], "found 1 losses that are not finite"),
        ([1.0, 2.0], [1, 0], "1 items without tokens"),
    ],
)
def test_bad_items(nats: list, tokens: list, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        mean_interval(nats, tokens)


@pytest.mark.parametrize("change", [{"resamples": 0}, {"confidence": 1.0}])
def test_bad_settings(change: dict) -> None:
    with pytest.raises(ParamsError, match="resamples ≥ 1 and a confidence between 0 and 1"):
        mean_interval([1.0], [1], **change)
