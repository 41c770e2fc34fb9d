"""The optimal weights of a program: OSQP finds the support, linear algebra makes them exact.

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

from appraise.numerics.active_set import Support, nonnegative_minimum
from appraise.numerics.copies import settled, settled_within
from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.limits import Limits, check_room
from appraise.numerics.program import Program, optimality

SHARP = 1e-12  # relative error at which no better candidate is looked for
GOOD = 1e-9  # relative error at which OSQP need not be asked
HAIR = 1e-9  # a weight below this part of the largest is 0: the dataset stands at its threshold
ALL_ZERO = "all weights are 0 because lambda is at least lambda_max"
NOTHING_SERVES = "all weights are 0 because no dataset points towards the target"
OSQP_SETTINGS = {
    "eps_abs": 1e-9,
    "eps_rel": 1e-9,
    "max_iter": 100_000,
    "polishing": True,
    "eps_prim_inf": 1e-9,
    "eps_dual_inf": 1e-9,
    "verbose": False,
}
_ACTIVE = 1e-6  # a limit nearer than this, in its own unit, is taken to be reached


@dataclass(frozen=True)
class SolverRun:
    """What the solver says of itself.

    Attributes:
        status: OSQP's status; "active set" where a warm start made OSQP unnecessary; a
            sentence where λ ≥ λ_max makes all weights 0.
        iterations: OSQP's.
        primal_residual: OSQP's, of the program scaled to unit diagonal.
        dual_residual: the same.
    """

    status: str
    iterations: int = 0
    primal_residual: float = 0.0
    dual_residual: float = 0.0


@dataclass(frozen=True)
class _Scaled:
    """The program with unit diagonal and alignments of at most 1: w = size · u / d."""

    H: Floats
    c: Floats
    threshold: Floats
    d: Floats
    size: float


def _scaled(program: Program, lam: float) -> _Scaled:
    d = np.sqrt(np.maximum(np.diag(program.H), 0.0))
    d[d == 0] = 1.0
    size = float(np.abs(program.c / d).max(initial=0.0)) or 1.0
    threshold = lam * program.penalties / (d * size)
    return _Scaled(program.H / np.outer(d, d), program.c / (d * size), threshold, d, size)


def optimum(
    program: Program, lam: float, warm_start: Floats | None = None
) -> tuple[Floats, SolverRun]:
    """The optimal weights (n,), exactly 0 outside their support, for the caller to certify.

    With a warm start the active-set method goes first, and OSQP is asked only when its result is
    not optimal to 1e-9. Otherwise OSQP finds the support and the linear system on it is solved.
    Where the optimum is not unique the one of least norm is preferred; of exact copies at one
    penalty the first has the weight of all (see `copies`).
    """
    if program.limits is not None:
        weights, status, iterations = _limited_optimum(program, program.limits, lam)
        return weights, SolverRun(status, iterations)
    weights, run = _some_optimum(program, lam, warm_start)
    return _settled(program, weights), run


def _settled(program: Program, weights: Floats) -> Floats:
    """What rounding or a tie left open, by rule, so that no order of datasets changes the answer.

    A weight of a hair is none: at its threshold a dataset stays out. Copies add nothing: the first
    of them takes their weight, and no objective changes by it. With a ridge the optimum is unique.
    """
    weights = np.where(np.abs(weights) > HAIR * np.abs(weights).max(initial=0.0), weights, 0.0)
    on = np.flatnonzero(weights)
    if program.ridge or len(on) == 0:
        return weights
    return settled(weights, first_copies(program.K, on, program.penalties), on)


def _some_optimum(
    program: Program, lam: float, warm_start: Floats | None
) -> tuple[Floats, SolverRun]:
    n = len(program.c)
    top = program.lambda_max()
    if lam >= top:
        return np.zeros(n), SolverRun(ALL_ZERO if top > 0 else NOTHING_SERVES)
    scaled = _scaled(program, lam)
    if warm_start is not None:
        u = _active_set(scaled, program.nonnegative, warm_start)
        weights = scaled.size * u / scaled.d
        if optimality(program, weights, lam).relative_error <= GOOD:
            return weights, SolverRun("active set")
    guess, run = _osqp(scaled, program.nonnegative)
    best, error = np.zeros(n), math.inf
    for u in _refined(scaled, program.nonnegative, guess):
        weights = scaled.size * u / scaled.d
        found = optimality(program, weights, lam).relative_error
        if found < error:
            best, error = weights, found
        if error <= SHARP:
            break
    return best, run


def sharpened(program: Program, weights: Floats, lam: float) -> Floats:
    """The conditions of optimality solved on the support alone, where that is more exact."""
    on = np.flatnonzero(weights)
    right = program.c[on] - lam * program.penalties[on] * np.sign(weights[on])
    try:
        solved = np.linalg.solve(program.H[np.ix_(on, on)], right)
    except np.linalg.LinAlgError:
        return weights  # copies: the active set's jitter decided between them
    if (solved * weights[on] <= 0).any():
        return weights
    better = np.zeros_like(weights)
    better[on] = solved
    errors = [optimality(program, one, lam).relative_error for one in (better, weights)]
    return better if errors[0] < errors[1] else weights


def _refined(scaled: _Scaled, nonnegative: bool, guess: Floats) -> Iterator[Floats]:
    """Candidates for the exact optimum near OSQP's answer, the preferred ones first."""
    margins = scaled.c - scaled.H @ guess
    pull = margins if nonnegative else np.abs(margins)
    tight = pull >= scaled.threshold - 1e-7
    least = _least_norm(scaled, tight, np.ones(len(guess)) if nonnegative else np.sign(margins))
    if least is not None:
        yield least
    support = np.where(np.abs(guess) > 1e-7, guess, 0.0)
    yield _active_set(scaled, nonnegative, support)
    yield _active_set(scaled, nonnegative, np.zeros_like(guess))
    yield np.maximum(support, 0.0) if nonnegative else support


def _least_norm(scaled: _Scaled, tight: NDArray[np.bool_], signs: Floats) -> Floats | None:
    """Least-norm solution of the optimality conditions on the tight set, if its signs are right."""
    right = (scaled.c - scaled.threshold * signs)[tight]
    if not tight.any():
        return None
    solved, *_ = np.linalg.lstsq(scaled.H[np.ix_(tight, tight)], right, rcond=1e-12)
    if (solved * signs[tight] < 0).any():
        return None
    u = np.zeros(len(tight))
    u[tight] = solved
    return u


def _active_set(scaled: _Scaled, nonnegative: bool, start: Floats) -> Floats:
    if nonnegative:
        return nonnegative_minimum(scaled.H, scaled.c - scaled.threshold, start > 0)
    H = np.block([[scaled.H, -scaled.H], [-scaled.H, scaled.H]])  # u = plus − minus
    b = np.concatenate([scaled.c - scaled.threshold, -scaled.c - scaled.threshold])
    support: Support = np.concatenate([start > 0, start < 0])
    plus, minus = np.split(nonnegative_minimum(H, b, support), 2)
    return np.asarray(plus - minus)


def _osqp(scaled: _Scaled, nonnegative: bool) -> tuple[Floats, SolverRun]:
    """OSQP at 1e-9 with polishing; signed weights in epigraph form, −t ≤ u ≤ t."""
    n = len(scaled.c)
    P, q, A = scaled.H, scaled.threshold - scaled.c, np.eye(n)
    if not nonnegative:
        P, A = np.pad(P, (0, n)), np.block([[A, A], [-A, A]])
        q = np.concatenate([-scaled.c, scaled.threshold])
    # One more variable that rests on its bound: polishing prints a line when no bound is active.
    P, q = np.pad(P, (0, 1)), np.append(q, 1.0)
    A = np.pad(A, (0, 1))
    A[-1, -1] = 1.0
    rows = len(q)  # one bound for each variable, one pair of bounds for each weight
    upper, bounds = sparse.csc_matrix(np.triu(P)), sparse.csc_matrix(A)
    solver = osqp.OSQP()
    solver.setup(upper, q, bounds, np.zeros(rows), np.full(rows, np.inf), **OSQP_SETTINGS)
    result = solver.solve(raise_error=False)
    found = np.asarray(result.x, dtype=np.float64)[:n]
    info = result.info
    if not np.isfinite(found).all():  # no optimum found: the active set starts from nothing
        found = np.zeros(n)
    run = SolverRun(str(info.status), int(info.iter), float(info.prim_res), float(info.dual_res))
    return found, run


def _limited_optimum(program: Program, limits: Limits, lam: float) -> tuple[Floats, str, int]:
    """Weights (n,) within the limits, OSQP's status and iterations.

    OSQP tells which limits are reached; the conditions of optimality are then solved on them.

    Raises:
        SolverError: no weights keep the limits.
    """
    check_room(limits)
    scaled = _scaled(program, lam)
    unit = scaled.size / scaled.d  # w = unit · u
    A, low, high = limits.rows()
    bounds = _Bounds(math.inf if limits.cap is None else limits.cap / unit, A * unit, low, high)
    guess, status, iterations = _limited_osqp(scaled, bounds)
    candidates = [unit * one for one in (_polished(scaled, bounds, guess), guess)]
    errors = [optimality(program, one, lam).relative_error for one in candidates]
    best = candidates[int(np.argmin(errors))]
    if not program.ridge and best.any():
        best = settled_within(limits, best, first_copies(program.K, priced=program.penalties))
    return best, status, iterations


@dataclass(frozen=True)
class _Bounds:
    """Limits on u: 0 ≤ u ≤ cap, low ≤ A u ≤ high."""

    cap: Floats | float
    A: Floats
    low: Floats
    high: Floats


def _limited_osqp(scaled: _Scaled, bounds: _Bounds) -> tuple[Floats, str, int]:
    n = len(scaled.c)
    solver = osqp.OSQP()
    solver.setup(
        sparse.csc_matrix(np.triu(scaled.H)),
        scaled.threshold - scaled.c,
        sparse.csc_matrix(np.vstack([np.eye(n), bounds.A])),
        np.concatenate([np.zeros(n), bounds.low]),
        np.concatenate([np.broadcast_to(bounds.cap, n), bounds.high]),
        **OSQP_SETTINGS,
    )
    result = solver.solve(raise_error=False)
    found = np.maximum(np.nan_to_num(np.asarray(result.x, dtype=np.float64)), 0.0)
    return found, str(result.info.status), int(result.info.iter)


def _polished(scaled: _Scaled, bounds: _Bounds, guess: Floats) -> Floats:
    """The conditions of optimality solved on the limits that are reached."""
    zero = guess <= _ACTIVE * float(guess.max(initial=0.0))
    capped = ~zero & (guess >= np.asarray(bounds.cap) * (1 - _ACTIVE))
    tight = bounds.A @ guess >= bounds.high * (1 - _ACTIVE)
    free, rows = ~zero & ~capped, bounds.A[tight]
    found = np.where(capped, bounds.cap, 0.0)
    left = np.block([[scaled.H[np.ix_(free, free)], rows[:, free].T],
                     [rows[:, free], np.zeros((len(rows), len(rows)))]])  # fmt: skip
    pull = (scaled.c - scaled.threshold - scaled.H @ found)[free]
    right = np.concatenate([pull, bounds.high[tight] - rows @ found])
    solved, *_ = np.linalg.lstsq(left, right, rcond=1e-13)
    found[free] = solved[: int(free.sum())]
    return found
