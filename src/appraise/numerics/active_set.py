"""Exact small solves: the active-set method of Lawson and Hanson (1974, ch. 23) in Gram form.

    minimise over u   ½ uᵀHu − bᵀu   subject to u ≥ 0

H (n, n) is positive semi-definite with unit diagonal. Each step solves one linear system on the
passive set (the entries that are free to be positive), so the result is exact up to rounding, not
up to a tolerance of iteration. Costs a few solves of the size of the support when the start is
good: it refines what OSQP found, and resolves bootstrap resamples from the main solution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appraise.numerics.kernel import Floats

Support = NDArray[np.bool_]
_JITTER = 1e-11  # makes singular H definite; a step along its null space then ends at a bound
_SLACK = 1e-12  # a gradient below this, in units of the largest |b|, is zero


def nonnegative_minimum(H: Floats, b: Floats, start: Support | None = None) -> Floats:
    """The minimiser u (n,) ≥ 0, with exact zeros outside its support.

    Args:
        H: (n, n), positive semi-definite, unit diagonal.
        b: (n,).
        start: where the solution is believed to be positive.

    Returns:
        The minimiser; after 20 n + 100 steps without an end, the last iterate: the caller
        certifies what it uses.
    """
    n = len(b)
    regular = H + _JITTER * np.eye(n)
    slack = _SLACK * max(float(np.abs(b).max(initial=0.0)), np.finfo(np.float64).tiny)
    passive, u = _feasible(regular, b, np.zeros(n, dtype=bool) if start is None else start.copy())
    refused: Support = np.zeros(n, dtype=bool)
    for _ in range(20 * n + 100):
        gradient = b - regular @ u
        gradient[passive | refused] = -np.inf
        entering = int(gradient.argmax()) if n else 0
        if n == 0 or gradient[entering] <= slack:
            break
        passive[entering] = True
        before = u
        passive, u = _descend(regular, b, passive, u)
        if np.array_equal(before, u):  # rounding threw out at once what just came in:
            refused[entering] = True  # do not try it again before a real step
        else:
            refused[:] = False
    return u


def _solved(H: Floats, b: Floats, passive: Support) -> Floats:
    u = np.zeros(len(b))
    if passive.any():
        u[passive] = np.linalg.solve(H[np.ix_(passive, passive)], b[passive])
    return u


def _feasible(H: Floats, b: Floats, passive: Support) -> tuple[Support, Floats]:
    """Drop entries from a guessed support until the solution on it is positive."""
    u = _solved(H, b, passive)
    while (u[passive] <= 0).any():
        passive = passive & (u > 0)
        u = _solved(H, b, passive)
    return passive, u


def _descend(H: Floats, b: Floats, passive: Support, u: Floats) -> tuple[Support, Floats]:
    """Go to the minimum on the passive set, dropping entries that reach 0 on the way."""
    while True:
        goal = _solved(H, b, passive)
        blocked = passive & (goal <= 0)
        if not blocked.any():
            return passive, goal
        ratio = np.full(len(u), np.inf)
        ratio[blocked] = u[blocked] / (u[blocked] - goal[blocked])
        u = u + ratio.min() * (goal - u)
        passive = passive & ~(blocked & (ratio <= ratio.min()))
        u[~passive] = 0.0
