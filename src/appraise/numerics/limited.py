"""The optimal weights within limits: OSQP tells which are reached, linear algebra makes them exact.

What comes out is not proof: `program.optimality` measures it, and whoever uses it certifies it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import osqp
from numpy.typing import NDArray
from scipy import sparse

from appraise.numerics.copies import settled_within
from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.limits import Limits, check_room
from appraise.numerics.program import Program, optimality
from appraise.numerics.scaling import GOOD, HAIR, OSQP_SETTINGS, Scaled, scaled_program

_ACTIVE = 1e-6  # a limit nearer than this, in its own unit, is taken to be reached
_MOST_CORRECTIONS = 20


def limited_optimum(program: Program, limits: Limits, lam: float) -> tuple[Floats, str, int]:
    """Weights (n,) within the limits, OSQP's status and iterations.

    OSQP tells which limits are reached; the conditions of optimality are then solved on them, and
    where a weight comes out beyond a limit, on the limits that are reached then.

    Raises:
        SolverError: no weights keep the limits.
    """
    check_room(limits)
    scaled = scaled_program(program, lam)
    unit = scaled.size / scaled.d  # w = unit · u
    A, low, high = limits.rows()
    bounds = _Bounds(math.inf if limits.cap is None else limits.cap / unit, A * unit, low, high)
    guess, status, iterations = _limited_osqp(scaled, bounds)
    first = np.arange(len(unit))
    if not program.ridge:
        first = first_copies(program.K, priced=program.penalties)
    if (first != np.arange(len(unit))).any():  # which limits are reached must not be left open
        hair = np.where(guess > _ACTIVE * guess.max(initial=0.0), guess, 0.0)
        guess = settled_within(limits, unit * hair, first) / unit
    best, error = np.zeros(len(unit)), math.inf
    for u in _near_limits(scaled, bounds, guess):
        weights = unit * u
        now = optimality(program, weights, lam).relative_error
        if now < error:
            best, error = weights, now
        if error <= GOOD:
            break
    if best.any() and (first != np.arange(len(unit))).any():
        best = settled_within(limits, best, first)
    return best, status, iterations


@dataclass(frozen=True)
class _Bounds:
    """Limits on u: 0 ≤ u ≤ cap, low ≤ A u ≤ high."""

    cap: Floats | float
    A: Floats
    low: Floats
    high: Floats


def _limited_osqp(scaled: Scaled, bounds: _Bounds) -> tuple[Floats, str, int]:
    n = len(scaled.c)
    A = np.vstack([np.eye(n), bounds.A])
    # One more variable that rests on its bound: polishing prints a line when no bound is active.
    P, q, A = (
        np.pad(scaled.H, (0, 1)),
        np.append(scaled.threshold - scaled.c, 1.0),
        np.pad(A, (0, 1)),
    )
    A[-1, -1] = 1.0
    low = np.concatenate([np.zeros(n), bounds.low, [0.0]])
    high = np.concatenate([np.broadcast_to(bounds.cap, n), bounds.high, [math.inf]])
    solver = osqp.OSQP()
    solver.setup(sparse.csc_matrix(np.triu(P)), q, sparse.csc_matrix(A), low, high, **OSQP_SETTINGS)
    result = solver.solve(raise_error=False)
    solved = np.maximum(np.nan_to_num(np.asarray(result.x, dtype=np.float64)[:n]), 0.0)
    return solved, str(result.info.status), int(result.info.iter)


def _near_limits(scaled: Scaled, bounds: _Bounds, guess: Floats) -> Iterator[Floats]:
    """Candidates for the exact optimum near OSQP's answer, the preferred ones first.

    The conditions of optimality are solved on the limits that are reached. What breaks a limit then
    is put on it, and what would rather leave its limit is let go, until nothing changes.
    """
    b, equal = scaled.c - scaled.threshold, bounds.low == bounds.high
    zero = guess <= _ACTIVE * float(guess.max(initial=0.0))
    capped = ~zero & (guess >= np.asarray(bounds.cap) * (1 - _ACTIVE))
    tight = bounds.A @ guess >= bounds.high * (1 - _ACTIVE)
    for _ in range(_MOST_CORRECTIONS):
        solved, prices = _polished(scaled, bounds, zero, capped, tight)
        yield solved
        gain = b - scaled.H @ solved - prices @ bounds.A
        below, above = ~zero & (solved < 0), ~zero & ~capped & (solved > bounds.cap)
        over = ~tight & (bounds.A @ solved > bounds.high)
        if not (below.any() or above.any() or over.any()):
            zero, capped = zero & (gain <= HAIR), capped & (gain >= -HAIR)
            tight = tight & (equal | (prices >= -HAIR))
        else:
            zero, capped, tight = zero | below, (capped | above) & ~below, tight | over
    yield np.where(guess > HAIR * guess.max(initial=0.0), guess, 0.0)
    yield guess


def _polished(
    scaled: Scaled,
    bounds: _Bounds,
    zero: NDArray[np.bool_],
    capped: NDArray[np.bool_],
    tight: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """The conditions of optimality solved on the limits that are reached: u (n,), and the price of
    each sum (r,)."""
    free, rows = ~zero & ~capped, bounds.A[tight]
    solved = np.where(capped, bounds.cap, 0.0)
    left = np.block([[scaled.H[np.ix_(free, free)], rows[:, free].T],
                     [rows[:, free], np.zeros((len(rows), len(rows)))]])  # fmt: skip
    pull = (scaled.c - scaled.threshold - scaled.H @ solved)[free]
    right = np.concatenate([pull, bounds.high[tight] - rows @ solved])
    freed, *_ = np.linalg.lstsq(left, right, rcond=1e-13)
    solved[free] = freed[: int(free.sum())]
    prices = np.zeros(len(tight))
    prices[tight] = freed[int(free.sum()) :]
    return solved, prices
