"""Several targets over one kernel: a weighted combination, the worst case, and who serves whom.

All targets share K; a target t brings its alignments c_t and τ_t. With weights α on the targets,
α ≥ 0 and Σα = 1, the combined target is g_α = Σ α_t g_t, with c_α = Σ α_t c_t. The worst case

    minimise over w ≥ 0   max_t  ½‖g_t − Σ w_i g_i‖² + λ Σ p_i w_i                               (1)

is the largest, over α, of the combined program's optimum plus ½ (Σ α_t τ_t − τ_α): the two forms
bound each other, which is its certificate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import osqp
from scipy import sparse

from appraise.errors import ParamsError, SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.kmm import Solution, solve_program
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, checked_program
from appraise.numerics.question import Question
from appraise.numerics.scaling import OSQP_SETTINGS


@dataclass(frozen=True)
class Targets:
    """Targets that share a kernel.

    Attributes:
        K: (n, n).
        C: (T, n) alignments, a row for each target.
        gram: (T, T) inner products of the targets' gradients; its diagonal is τ.
    """

    K: Floats
    C: Floats
    gram: Floats

    def combined(self, shares: Floats, question: Question) -> Program:
        """The program of the combined target Σ α_t g_t.

        Args:
            shares: α (T,) ≥ 0; scaled to add up to 1.
            question: about the n datasets.

        Raises:
            ParamsError: shares are negative, or add up to 0.
            SolverError: the program is ill-posed.
        """
        alpha = np.asarray(shares, dtype=np.float64)
        good = alpha.shape == (len(self.C),) and np.isfinite(alpha).all()
        if not good or (alpha < 0).any() or alpha.sum() <= 0:
            raise ParamsError(
                f"targets: expected {len(self.C)} shares of at least 0, not all 0, found "
                f"{alpha.tolist()}; give one for each target"
            )
        alpha = alpha / alpha.sum()
        tau = float(alpha @ self.gram @ alpha)
        return question.program(self.K, alpha @ self.C, tau)


@dataclass(frozen=True)
class WorstCase:
    """Weights for the worst served of several targets.

    Attributes:
        weights: w (n,).
        shares: α (T,), the combined target whose optimum w is; 0 where a target is served better.
        objectives: (T,) of (1), for each target.
        gap: largest objective minus the bound that α proves; at most this above the optimum.
        lam: λ.
        solution: of the combined program.
    """

    weights: Floats
    shares: Floats
    objectives: Floats
    gap: float
    lam: float
    solution: Solution


def worst_case(targets: Targets, question: Question) -> WorstCase:
    """Serve the worst served target as well as can be, within the limits.

    λ is that of the equally weighted combination.

    Args:
        targets: T of them.
        question: about the n datasets. The tolerance is held against the gap as a part of the
            largest τ.

    Raises:
        ParamsError: λ is to be chosen on a path, which the worst case has not.
        SolverError: the program is ill-posed, or the gap misses the tolerance.
    """
    rule, tolerance = question.rule, question.tolerance
    if rule.needs_path:
        raise ParamsError(
            f"worst case: expected an absolute or a relative λ, found the rule {rule.name}; no "
            "path leads to the worst case on which datasets could be counted"
        )
    rule.check()
    even = targets.combined(np.ones(len(targets.C)), question)
    lam = rule.at(0.0, even.lambda_max(), even.tau).value
    shares = _worst_shares(targets, even, lam)
    program = targets.combined(shares, question)
    solution = solve_program(program, lam, tolerance)
    w, tau = solution.weights, np.diag(targets.gram)
    common = 0.5 * w @ (program.H @ w) + lam * float(program.penalties @ w)
    objectives = 0.5 * tau - targets.C @ w + common
    bound = solution.certificate.dual + 0.5 * float(shares @ tau - program.tau)
    gap = float(objectives.max() - bound)
    if not gap <= tolerance * float(tau.max()):
        raise SolverError(
            f"worst case: expected a gap within {tolerance:g} of tau, found {gap:.3g}; "
            "raise lambda or add a small ridge"
        )
    return WorstCase(w, shares, objectives, gap, lam, solution)


def _worst_shares(targets: Targets, even: Program, lam: float) -> Floats:
    """α of the optimum of (1): the multipliers of s ≥ ½τ_t − c_tᵀw in its epigraph form."""
    n, count = len(even.c), len(targets.C)
    half = 0.5 * np.diag(targets.gram)
    P = sparse.csc_matrix(np.triu(np.pad(even.H, (0, 1))))
    q = np.append(lam * even.penalties, 1.0)
    A = np.block([[np.eye(n), np.zeros((n, 1))], [targets.C, np.ones((count, 1))]])
    low = np.concatenate([np.zeros(n), half])
    high = np.full(n + count, np.inf)
    if even.limits is not None:
        sums, least, most = even.limits.rows()
        if even.limits.cap is not None:
            high[:n] = even.limits.cap
        A = np.vstack([A, np.pad(sums, ((0, 0), (0, 1)))])
        low, high = np.append(low, least), np.append(high, most)
    solver = osqp.OSQP()
    solver.setup(P, q, sparse.csc_matrix(A), low, high, **OSQP_SETTINGS)
    result = solver.solve(raise_error=False)
    alpha = np.maximum(-np.asarray(result.y, dtype=np.float64)[n : n + count], 0.0)
    if not np.isfinite(alpha).all() or alpha.sum() <= 0:
        raise SolverError(
            f"worst case: expected an optimum, found none (OSQP: {result.info.status}); "
            "raise lambda"
        )
    alpha[alpha < 1e-9 * alpha.max()] = 0.0
    return np.asarray(alpha / alpha.sum())


def transfer_matrix(K: Floats, relative_lambda: float, ridge: float = 0.0) -> Floats:
    """Every dataset as the target of all others: M_ij = w_i of the signed program for g_j.

    (arXiv 2605.16704, Figure 7.) Positive where i helps j, negative where it pulls the other way, 0
    where others do. Uniform penalties; λ is the same part of each target's own λ_max.

    Args:
        K: (n, n).
        relative_lambda: in (0, 1].
        ridge: γ.

    Returns:
        (n, n) with NaN on the diagonal.

    Raises:
        SolverError: the kernel is ill-posed.
    """
    n = len(K)
    whole = checked_program(K, K[0], float(K[0, 0]) or 1.0, None, ridge, nonnegative=False)
    helped = np.full((n, n), np.nan)
    for j in range(n):
        others = np.flatnonzero(np.arange(n) != j)
        program = Program(whole.K, K[:, j], float(K[j, j]), whole.penalties, ridge, False)
        if len(others):
            part = program.among(others)
            helped[others, j] = optimum(part, relative_lambda * part.lambda_max())[0]
    return helped
