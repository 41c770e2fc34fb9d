"""Held-out loss with an interval, and the paired difference of two policies.

The loss is Σ nats / Σ completion tokens over the items of a test split: the mean of the corpus,
not of the items. Intervals are percentile bootstrap intervals over items; a difference is
resampled in pairs, because both policies answered the same items (Efron and Tibshirani 1993,
ch. 8 and 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.randomness import resampled_indices

_BLOCK = 2**22  # drawn items held at once


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its percentile interval, in nats per completion token."""

    estimate: float
    low: float
    high: float


def mean_interval(
    nats: ArrayLike,
    tokens: ArrayLike,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Σ nats / Σ tokens.

    Args:
        nats: (n,) negative log-likelihood of each item's completion, summed over its tokens.
        tokens: (n,) its completion tokens, above 0.
        resamples: how often items are drawn anew, at least 1.
        confidence: of the interval.
        seed: of the draws.

    Raises:
        ParamsError: no items, different lengths, a loss that is not finite, an item without tokens.
    """
    losses, lengths = _checked(nats, tokens, resamples, confidence)
    return _interval(losses, lengths, resamples, confidence, seed)


def paired_difference(
    nats_a: ArrayLike,
    nats_b: ArrayLike,
    tokens: ArrayLike,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Loss of a minus loss of b on the same items: negative where a is better.

    Args and errors as for `mean_interval`; item i of a and of b is the same.
    """
    a, lengths = _checked(nats_a, tokens, resamples, confidence)
    b, _ = _checked(nats_b, tokens, resamples, confidence)
    return _interval(a - b, lengths, resamples, confidence, seed)


def _interval(
    losses: Floats, tokens: Floats, resamples: int, confidence: float, seed: int
) -> Interval:
    drawn = _draws(losses, tokens, resampled_indices(seed, "items", resamples, len(losses)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(losses.sum() / tokens.sum()), float(low), float(high))


def _draws(losses: Floats, tokens: Floats, indices: NDArray[np.int64]) -> Floats:
    block = max(1, _BLOCK // len(losses))
    parts = [indices[start : start + block] for start in range(0, len(indices), block)]
    return np.concatenate([losses[part].sum(axis=1) / tokens[part].sum(axis=1) for part in parts])


def _checked(
    nats: ArrayLike, tokens: ArrayLike, resamples: int, confidence: float
) -> tuple[Floats, Floats]:
    losses = np.asarray(nats, dtype=np.float64)
    lengths = np.asarray(tokens, dtype=np.float64)
    if losses.ndim != 1 or losses.shape != lengths.shape or not len(losses):
        raise ParamsError(
            f"comparison: expected a loss and a token count for each of the same items, found "
            f"shapes {losses.shape} and {lengths.shape}; evaluate both policies on one test split"
        )
    if not np.isfinite(losses).all() or not (lengths > 0).all():
        raise ParamsError(
            f"comparison: expected finite losses of items with tokens, found "
            f"{int((~np.isfinite(losses)).sum())} losses that are not finite and "
            f"{int((~(lengths > 0)).sum())} items without tokens; run the evaluation again"
        )
    if resamples < 1 or not 0 < confidence < 1:
        raise ParamsError(
            f"comparison: expected resamples ≥ 1 and a confidence between 0 and 1, found "
            f"{resamples} and {confidence}; correct them"
        )
    return losses, lengths
