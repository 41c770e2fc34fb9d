"""What each dataset is to a purchase: what it adds, and what the others in it cover of it.

For a set S with weights w of its own, c_i = Σ_{j in S} K_ij w_j + m_i. What a dataset outside of S
would add follows from m_i; nothing follows from datasets that are not bought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots
from appraise.numerics.program import Program
from appraise.numerics.subsets import refit


@dataclass(frozen=True)
class Beside:
    """A dataset beside what is bought.

    Attributes:
        weight: in the mix of what is bought, 0 where it is not.
        gain: by how much less of the target is matched without it, or more with it, as a part of
            f of nothing: between 0 and 1. Of a bundle, that of the whole.
        margin: m_i, what the others that are bought leave of its alignment.
        covered_by: (j, K_ij w_j) for the others that are bought, largest first.
    """

    weight: float
    gain: float
    margin: float
    covered_by: tuple[tuple[int, float], ...]


def beside(program: Program, lam: float, lots: Lots, bought: Sequence[int]) -> tuple[Beside, ...]:
    """Each dataset beside a purchase.

    Args:
        program: of all datasets, w ≥ 0.
        lam: λ.
        lots: what is sold together.
        bought: indices.
    """
    now, weights = refit(program, lam, sorted(bought))
    gains = np.zeros(len(program.c))
    for members in lots.members:
        other = sorted(set(bought) ^ set(members))  # without them, or with them
        gains[list(members)] = abs(refit(program, lam, other)[0] - now)
    gains /= 0.5 * program.tau
    return tuple(_one(program, weights, i, float(gains[i])) for i in range(len(gains)))


def _one(program: Program, weights: Floats, i: int, gain: float) -> Beside:
    others = [int(j) for j in np.flatnonzero(weights) if j != i]
    covered = [(j, float(program.K[i, j] * weights[j])) for j in others]
    covered.sort(key=lambda pair: (-pair[1], pair[0]))
    margin = float(program.c[i]) - sum(amount for _, amount in covered)
    return Beside(float(weights[i]), gain, margin, tuple(covered))
