"""What the resamples say of ranks: averages, ties, and how many more rows would tell.

The average weight over resamples (bagging: Breiman 1996) is steadier than the weight itself: which
of two similar datasets gets all the weight is decided anew in every resample. The part of resamples
with a weight is the selection probability of stability selection (Meinshausen and Bühlmann 2010).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.stats import rankdata

from appraise.numerics.kernel import Floats

_HOPELESS = 100_000  # rows: more than anybody shows


def mean_weights(draws: Floats) -> Floats:
    """Average weight (n,) over the resamples (B, n); NaN without any."""
    return draws.mean(axis=0) if len(draws) else np.full(draws.shape[1], np.nan)


def rank_intervals(draws: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Percentile interval of each dataset's rank by weight, 1 the largest, equal ones sharing.

    Args:
        draws: weights (B, n) of the resamples.
        confidence: of the intervals.

    Returns:
        Best and worst rank (n,); NaN without resamples.
    """
    if not len(draws):
        nothing = np.full(draws.shape[1], np.nan)
        return nothing, nothing
    ranks = rankdata(-draws, method="average", axis=1)
    tail = (1 - confidence) / 2
    best, worst = np.quantile(ranks, [tail, 1 - tail], axis=0)
    return best, worst


@dataclass(frozen=True)
class Separation:
    """How a dataset stands to the one at the other side of the cut.

    Attributes:
        index: the dataset.
        rival: of a bought one the best that was refused; of a refused one the last that was bought.
        difference: average over resamples of its weight minus its rival's.
        low: lower end of the interval of the difference.
        high: upper end.
        tied: the interval holds 0: other rows might have turned the choice round.
        more_rows: how many more preview rows of each dataset would separate them, if the difference
            stays what it is: its standard error falls with the root of the rows. 0 where they
            are separated, None where no number of rows would do.
    """

    index: int
    rival: int
    difference: float
    low: float
    high: float
    tied: bool
    more_rows: int | None


def separations(
    draws: Floats, chosen: Sequence[int], rows: int, confidence: float
) -> tuple[Separation, ...]:
    """Is the choice settled? One entry for each dataset, where somebody was bought and refused.

    Args:
        draws: weights (B, n) of the resamples.
        chosen: the datasets bought.
        rows: of a preview now.
        confidence: of the intervals.
    """
    n, bought = draws.shape[1], list(chosen)
    refused = [i for i in range(n) if i not in set(bought)]
    if len(draws) < 2 or not bought or not refused:
        return ()
    mean = draws.mean(axis=0)
    last, best = min(bought, key=lambda i: (mean[i], -i)), max(refused, key=lambda i: (mean[i], -i))
    return tuple(
        _separation(draws, i, best if i in bought else last, rows, confidence) for i in range(n)
    )


def _separation(draws: Floats, i: int, rival: int, rows: int, confidence: float) -> Separation:
    difference = draws[:, i] - draws[:, rival]
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(difference, [tail, 1 - tail]))
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    tied = low <= 0 <= high
    more: int | None = 0
    if tied:
        wanted = NormalDist().inv_cdf(1 - tail) * spread
        needed = rows * (wanted / mean) ** 2 if mean else math.inf
        more = None if needed > _HOPELESS else max(1, math.ceil(needed) - rows)
    return Separation(i, rival, mean, low, high, tied, more)
