"""The convex program, its optimality conditions, and an optimum with a proof.

    minimise over w   ½ wᵀKw − cᵀw + λ Σ_i p_i |w_i| + (γ/2) ‖w‖²        (arXiv 2605.16704, Eq. 31,
                                                                          with all p_i = 1, γ = 0)

with w ≥ 0 (buying) or signed w. H = K + γI and m = c − Hw throughout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.active_set import Support, nonnegative_minimum
from appraise.numerics.kernel import Floats, first_copies, kernel_evidence
from appraise.numerics.limits import Limits, cheapest, limited_optimum, violation

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


@dataclass(frozen=True)
class Program:
    """The data of the convex program without λ.

    Attributes:
        K: (n, n) inner products of the datasets' gradients.
        c: (n,) inner products with the target's gradient.
        tau: τ > 0, the target's squared norm.
        penalties: p (n,) > 0.
        ridge: γ ≥ 0.
        nonnegative: w ≥ 0; otherwise weights may have any sign.
        limits: on weights w ≥ 0; None for none.
    """

    K: Floats
    c: Floats
    tau: float
    penalties: Floats
    ridge: float = 0.0
    nonnegative: bool = True
    limits: Limits | None = None

    @property
    def H(self) -> Floats:  # noqa: N802
        """K + γI."""
        return self.K + self.ridge * np.eye(len(self.c)) if self.ridge else self.K

    def margins(self, weights: Floats) -> Floats:
        """m = c − Kw − γw: what is left of each alignment."""
        return np.asarray(self.c - self.K @ weights - self.ridge * weights)

    def lambda_max(self) -> float:
        """Smallest λ at which all weights are 0: max c_i/p_i (w ≥ 0, at least 0), max |c_i|/p_i."""
        pull = self.c if self.nonnegative else np.abs(self.c)
        return max(0.0, float((pull / self.penalties).max(initial=0.0)))

    def priced(self, penalties: Floats) -> Program:
        """The same program with other penalties p (n,)."""
        return replace(self, penalties=penalties)

    def among(self, keep: NDArray[np.int64]) -> Program:
        """The same program over some of the datasets."""
        K, c, p = self.K[np.ix_(keep, keep)], self.c[keep], self.penalties[keep]
        limits = None if self.limits is None else self.limits.among(keep)
        return replace(self, K=K, c=c, penalties=p, limits=limits)

    def thresholds(self, weights: Floats, lam: float) -> Floats:
        """What each margin must reach (n,): λp, and what the limits that bind add to it."""
        own = lam * self.penalties
        if self.limits is None:
            return own
        return own + cheapest(self.limits, self.margins(weights) - own).surcharge


@dataclass(frozen=True)
class Optimality:
    """How far weights are from the optimum, from Gram quantities alone (docs/mathematics.md, 3).

    Attributes:
        primal: ½ρ² + (γ/2)‖w‖² + λ Σ p_i|w_i|, which is the objective + τ/2.
        dual: s(τ − cᵀw) − ½s²(ρ² + γ‖w‖²), s = min(1, min_i λp_i/|m_i|); never above the optimum.
        gap: primal − dual; the objective is at most this above the optimum.
        kkt_violation: largest violation of the optimality conditions, in units of c.
        residual_norm: ρ² = τ − 2cᵀw + wᵀKw, what the weighted mixture leaves of the target.
        relative_error: max(|gap|/τ, kkt_violation/√(τ max K_ii)), free of units.
    """

    primal: float
    dual: float
    gap: float
    kkt_violation: float
    residual_norm: float
    relative_error: float


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


def checked_program(
    K: Floats,
    c: Floats,
    tau: float,
    penalties: Floats | None = None,
    ridge: float = 0.0,
    nonnegative: bool = True,
) -> Program:
    """Check shapes, finiteness, symmetry, definiteness and signs.

    Raises:
        SolverError: something is ill-posed.
    """
    K, c = np.asarray(K, dtype=np.float64), np.asarray(c, dtype=np.float64)
    kernel_evidence(K)
    n = len(K)
    p = np.ones(n) if penalties is None else np.asarray(penalties, dtype=np.float64)
    for name, vector in (("alignment c", c), ("penalties", p)):
        if vector.shape != (n,) or not np.isfinite(vector).all():
            found = f"shape {vector.shape}" if vector.shape != (n,) else "NaN or infinity"
            raise SolverError(f"{name}: expected {n} finite numbers, found {found}; mend the input")
    if (p <= 0).any():
        i = int(p.argmin())
        raise SolverError(
            f"penalties: expected numbers above 0, found {p[i]:g} for dataset {i}; "
            "a dataset without a price needs the uniform penalty"
        )
    if not (math.isfinite(tau) and tau > 0):
        raise SolverError(
            f"tau: expected the target's squared norm, above 0, found {tau}; "
            "compute its sketch again"
        )
    if not (math.isfinite(ridge) and ridge >= 0):
        raise SolverError(f"ridge: expected a number ≥ 0, found {ridge}; 0 is the paper's")
    return Program(K, c, float(tau), p, float(ridge), nonnegative)


def optimality(program: Program, weights: Floats, lam: float) -> Optimality:
    """Recompute everything that proves an optimum; nothing of the solver is used."""
    if program.limits is not None:
        return _limited_optimality(program, program.limits, weights, lam)
    return measured(
        program.margins(weights),
        program.c,
        program.tau,
        np.diag(program.K),
        program.penalties,
        program.ridge,
        program.nonnegative,
        weights,
        lam,
    )


def _limited_optimality(
    program: Program, limits: Limits, weights: Floats, lam: float
) -> Optimality:
    """The same where weights are limited (docs/mathematics.md, 14)."""
    m, threshold = program.margins(weights), lam * program.penalties
    prices = cheapest(limits, m - threshold)
    fitted, left = math.fsum(program.c * weights), math.fsum(m * weights)
    regular = program.tau - fitted - left
    primal = 0.5 * regular + math.fsum(threshold * weights)
    gap = primal - (program.tau - fitted - 0.5 * regular - prices.cost)
    lack = np.where(weights > 0, np.maximum(threshold + prices.surcharge - m, 0.0), 0.0)
    unit = math.sqrt(program.tau * float(np.diag(program.K).max(initial=0.0))) or 1.0
    kkt = max(float(lack.max(initial=0.0)), unit * violation(limits, weights))
    rho2 = regular - program.ridge * math.fsum(weights**2)
    error = max(abs(gap) / program.tau, kkt / unit)
    return Optimality(primal, primal - gap, gap, kkt, rho2, error)


def measured(
    m: Floats,
    c: Floats,
    tau: float,
    diagonal: Floats,
    penalties: Floats,
    ridge: float,
    nonnegative: bool,
    weights: Floats,
    lam: float,
) -> Optimality:
    """`optimality` from margins m (n,) and diagonal of K (n,): K itself is not needed."""
    threshold = lam * penalties
    excess = np.maximum(m, 0.0) if nonnegative else np.abs(m)
    violation = np.where(
        weights == 0, np.maximum(excess - threshold, 0.0), np.abs(m - threshold * np.sign(weights))
    )
    if nonnegative:
        violation = np.maximum(violation, -weights * (diagonal + ridge))
    s = dual_scale(excess, threshold)
    fitted, left = math.fsum(c * weights), math.fsum(m * weights)
    regular = tau - fitted - left  # ρ² + γ‖w‖², because wᵀHw = cᵀw − mᵀw
    primal = 0.5 * regular + math.fsum(threshold * np.abs(weights))
    dual = s * (tau - fitted) - 0.5 * s * s * regular
    gap, kkt = primal - dual, float(violation.max(initial=0.0))
    unit = math.sqrt(tau * float(diagonal.max(initial=0.0))) or 1.0
    rho2 = regular - ridge * math.fsum(weights**2)
    return Optimality(primal, dual, gap, kkt, rho2, max(abs(gap) / tau, kkt / unit))


def dual_scale(excess: Floats, threshold: Floats) -> float:
    """The largest s ≤ 1 at which s times the residual is dual feasible."""
    above = excess > threshold
    return float((threshold[above] / excess[above]).min(initial=1.0))


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
    penalty the first has the weight of all (see `_settled`).
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
    settled = np.zeros_like(weights)
    np.add.at(settled, first_copies(program.K, on, program.penalties), weights[on])
    return settled


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
    import osqp
    from scipy import sparse

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
