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
from appraise.numerics.copies import settled
from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.limited import limited_optimum
from appraise.numerics.program import Program, optimality
from appraise.numerics.scaling import GOOD, HAIR, OSQP_SETTINGS, Scaled, scaled_program

SHARP = 1e-12  # relative error at which no better candidate is looked for
ALL_ZERO = "all weights are 0 because lambda is at least lambda_max"
NOTHING_SERVES = "all weights are 0 because no dataset points towards the target"


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
        weights, status, iterations = limited_optimum(program, program.limits, lam)
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
    scaled = scaled_program(program, lam)
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
    """The conditions of optimality solved on the support alone, where that is more exact.

    Who has a hair of a weight then, either way, stands at its threshold and is left out.
    """
    on, better = np.flatnonzero(weights), weights
    while len(on):
        sign = np.sign(weights[on])
        right = program.c[on] - lam * program.penalties[on] * sign
        try:
            solved = np.linalg.solve(program.H[np.ix_(on, on)], right) * sign
        except np.linalg.LinAlgError:
            return weights  # copies: the active set's jitter decided between them
        hair = HAIR * float(solved.max())
        if (solved < -hair).any():
            return weights
        if (solved > hair).all():
            better = np.zeros_like(weights)
            better[on] = solved * sign
            break
        on = on[solved > hair]
    errors = [optimality(program, one, lam).relative_error for one in (better, weights)]
    return better if errors[0] <= max(errors[1], SHARP) else weights


def _refined(scaled: Scaled, nonnegative: bool, guess: Floats) -> Iterator[Floats]:
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


def _least_norm(scaled: Scaled, tight: NDArray[np.bool_], signs: Floats) -> Floats | None:
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


def _active_set(scaled: Scaled, nonnegative: bool, start: Floats) -> Floats:
    if nonnegative:
        return nonnegative_minimum(scaled.H, scaled.c - scaled.threshold, start > 0)
    H = np.block([[scaled.H, -scaled.H], [-scaled.H, scaled.H]])  # u = plus − minus
    b = np.concatenate([scaled.c - scaled.threshold, -scaled.c - scaled.threshold])
    support: Support = np.concatenate([start > 0, start < 0])
    plus, minus = np.split(nonnegative_minimum(H, b, support), 2)
    return np.asarray(plus - minus)


def _osqp(scaled: Scaled, nonnegative: bool) -> tuple[Floats, SolverRun]:
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
