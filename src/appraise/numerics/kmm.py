"""Kernel mean matching: w = argmin ½wᵀKw − cᵀw + λ Σ p_i|w_i| + (γ/2)‖w‖², with its certificate.

(arXiv 2605.16704, Eq. 31, with a ridge.) The letters are those of
`appraise.numerics.program`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats, condition, extreme_eigenvalues
from appraise.numerics.optimum import SolverRun, optimum
from appraise.numerics.program import Optimality, Program, optimality

Stated = dict[str, float | int | bool | str | None]


@dataclass(frozen=True)
class Certificate(Optimality):
    """Proof that weights solve the program, recomputed from K, c and τ alone.

    Attributes (besides those of `Optimality`):
        lam: λ.
        lambda_max: the smallest λ at which all weights are 0.
        ridge: γ.
        nonnegative: whether the program asks for w ≥ 0.
        tau: τ.
        condition_number: of K + γI; infinite when singular to working precision.
        min_eigenvalue: of K + γI.
    """

    lam: float
    lambda_max: float
    ridge: float
    nonnegative: bool
    tau: float
    condition_number: float
    min_eigenvalue: float

    def as_json(self) -> Stated:
        """Fields by name, λ as "lambda", an infinite condition number as None."""
        finite = math.isfinite(self.condition_number)
        return {
            "lambda": self.lam,
            "lambda_max": self.lambda_max,
            "relative_lambda": self.lam / self.lambda_max if self.lambda_max > 0 else None,
            "ridge": self.ridge,
            "nonnegative": self.nonnegative,
            "primal": self.primal,
            "dual": self.dual,
            "gap": self.gap,
            "kkt_violation": self.kkt_violation,
            "relative_error": self.relative_error,
            "tau": self.tau,
            "residual_norm": self.residual_norm,
            "condition_number": self.condition_number if finite else None,
            "min_eigenvalue": self.min_eigenvalue,
        }


@dataclass(frozen=True)
class Solution:
    """Optimal weights and their certificate.

    Attributes:
        weights: w (n,), exactly 0 where a dataset is left out.
        margins: m = c − Kw − γw (n,).
        lam: λ.
        certificate: its error is within the tolerance.
        run: what the solver says of itself.
        tolerance: what the certificate was held to.
    """

    weights: Floats
    margins: Floats
    lam: float
    certificate: Certificate
    run: SolverRun
    tolerance: float

    def as_json(self) -> Stated:
        """The certificate with the solver's status, iterations and residuals."""
        return self.certificate.as_json() | {
            "status": self.run.status,
            "iterations": self.run.iterations,
            "primal_residual": self.run.primal_residual,
            "dual_residual": self.run.dual_residual,
            "tolerance": self.tolerance,
        }


def solve_program(
    program: Program, lam: float, tolerance: float = 1e-7, warm_start: Floats | None = None
) -> Solution:
    """Solve the convex program and certify the answer.

    OSQP at 1e-9 with polishing finds the support; the optimality conditions are then solved on it
    as a linear system, which takes the duality gap to rounding. Weights outside the support are
    exactly 0. Of exact copies at one penalty the first has the weight of all.

    Args:
        program: a checked one. With a ridge γ > 0 copies of a dataset gain from being there twice.
        lam: λ > 0; 0 only where λ_max is 0, or where the sum of the weights is fixed.
        tolerance: largest relative error (see `Optimality`) of an answer.
        warm_start: (n,) weights of a similar program.

    Raises:
        SolverError: limits do not fit the program or λ is out of range, or the answer misses the
            tolerance.
    """
    bound = program.limits
    if bound is not None and len(bound.owners) != len(program.c):
        raise SolverError(
            f"limits: expected an owner for each of {len(program.c)} datasets, found "
            f"{len(bound.owners)}; give one for each"
        )
    free = bound is None or bound.total is None  # a fixed sum is a mixture at λ = 0 too
    if not (math.isfinite(lam) and lam >= 0) or (lam == 0 and free and program.lambda_max() > 0):
        raise SolverError(
            f"lambda: expected a number above 0, found {lam}; give a part of lambda_max = "
            f"{program.lambda_max():.6g}, 0.2 of it for example"
        )
    weights, run = optimum(program, lam, warm_start)
    certificate = certify_program(program, weights, lam)
    if certificate.residual_norm < -tolerance * program.tau:
        raise SolverError(
            f"expected a squared distance to the target, found {certificate.residual_norm:.3g}; "
            "K, c and tau must be inner products of the same vectors"
        )
    if not certificate.relative_error <= tolerance:
        remedy = "raise lambda or add a small ridge"
        if "infeasible" in run.status:
            remedy = "K, c and tau must be inner products of the same vectors"
        raise SolverError(
            f"expected an error within {tolerance:g}, found a duality gap of {certificate.gap:.3g} "
            f"and a KKT violation of {certificate.kkt_violation:.3g} (OSQP: {run.status}, "
            f"{run.iterations} iterations; condition number {certificate.condition_number:.3g}); "
            f"{remedy}"
        )
    return Solution(weights, program.margins(weights), lam, certificate, run, tolerance)


def certify_program(program: Program, weights: Floats, lam: float) -> Certificate:
    """Measure how far any weights (n,) are from the optimum. Nothing is solved.

    Bad weights are no error: the certificate says so.
    """
    if program.evidence is None:
        low, high = extreme_eigenvalues(program.H)
    else:
        low = program.evidence.min_eigenvalue + program.ridge
        high = program.evidence.max_eigenvalue + program.ridge
    return Certificate(
        **vars(optimality(program, weights, lam)),
        lam=lam,
        lambda_max=program.lambda_max(),
        ridge=program.ridge,
        nonnegative=program.nonnegative,
        tau=program.tau,
        condition_number=condition(low, high, len(program.c)),
        min_eigenvalue=low,
    )
