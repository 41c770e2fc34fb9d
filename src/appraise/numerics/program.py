"""The convex program and its optimality conditions: how far any weights are from the optimum.

    minimise over w   ½ wᵀKw − cᵀw + λ Σ_i p_i |w_i| + (γ/2) ‖w‖²        (arXiv 2605.16704, Eq. 31,
                                                                          with all p_i = 1, γ = 0)

with w ≥ 0 (buying) or signed w. H = K + γI and m = c − Hw throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats, KernelEvidence, kernel_evidence
from appraise.numerics.limits import Limits, cheapest, violation


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
        evidence: of K, where it was checked.
    """

    K: Floats
    c: Floats
    tau: float
    penalties: Floats
    ridge: float = 0.0
    nonnegative: bool = True
    limits: Limits | None = None
    evidence: KernelEvidence | None = None

    @property
    def H(self) -> Floats:  # noqa: N802
        """K + γI."""
        return self.K + self.ridge * np.eye(len(self.c)) if self.ridge else self.K

    def margins(self, weights: Floats) -> Floats:
        """m = c − Kw − γw: what is left of each alignment."""
        return np.asarray(self.c - self.K @ weights - self.ridge * weights)

    @property
    def terms(self) -> Terms:
        """The program without K."""
        return Terms(
            self.c,
            self.tau,
            np.diag(self.K),
            self.penalties,
            self.ridge,
            self.nonnegative,
            self.limits,
        )

    def lambda_max(self) -> float:
        """Smallest λ at which all weights are 0: max c_i/p_i (w ≥ 0, at least 0), max |c_i|/p_i.

        0 where no dataset points towards the target: then all weights are 0 at every λ.
        """
        return self.terms.lambda_max()

    def priced(self, penalties: Floats) -> Program:
        """The same program with other penalties p (n,)."""
        return replace(self, penalties=penalties)

    def among(self, keep: NDArray[np.int64]) -> Program:
        """The same program over some of the datasets."""
        K, c, p = self.K[np.ix_(keep, keep)], self.c[keep], self.penalties[keep]
        limits = None if self.limits is None else self.limits.among(keep)
        return replace(self, K=K, c=c, penalties=p, limits=limits, evidence=None)

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


def checked_program(
    K: Floats,
    c: Floats,
    tau: float,
    penalties: Floats | None = None,
    ridge: float = 0.0,
    nonnegative: bool = True,
    evidence: KernelEvidence | None = None,
) -> Program:
    """Check shapes, finiteness, symmetry, definiteness and signs.

    Args:
        K, c, tau, penalties, ridge, nonnegative: see `Program`.
        evidence: of K, where several targets share it: checked once.

    Raises:
        SolverError: something is ill-posed.
    """
    K, c = np.asarray(K, dtype=np.float64), np.asarray(c, dtype=np.float64)
    evidence = evidence or kernel_evidence(K)
    n = len(K)
    p = np.ones(n) if penalties is None else np.asarray(penalties, dtype=np.float64)
    for name, vector in (("alignment c", c), ("penalties", p)):
        if vector.shape != (n,) or not np.isfinite(vector).all():
            wrong = f"shape {vector.shape}" if vector.shape != (n,) else "NaN or infinity"
            raise SolverError(f"{name}: expected {n} finite numbers, found {wrong}; fix the input")
    if (p <= 0).any():
        i = int(p.argmin())
        raise SolverError(
            f"penalties: expected numbers above 0, found {p[i]:g} for dataset {i}; "
            "1 for each is the paper's"
        )
    if not (math.isfinite(tau) and tau > 0):
        raise SolverError(
            f"tau: expected the target's squared norm, above 0, found {tau}; "
            "compute its sketch again"
        )
    if not (math.isfinite(ridge) and ridge >= 0):
        raise SolverError(f"ridge: expected a number ≥ 0, found {ridge}; 0 is the paper's")
    return Program(K, c, float(tau), p, float(ridge), nonnegative, None, evidence)


def optimality(program: Program, weights: Floats, lam: float) -> Optimality:
    """Recompute everything that proves an optimum; nothing of the solver is used."""
    return program.terms.optimality(program.margins(weights), weights, lam)


@dataclass(frozen=True)
class Terms:
    """All that optimality needs of a program when margins are known: K itself is not needed.

    Attributes:
        c: (n,) inner products with the target's gradient.
        tau: τ > 0, the target's squared norm.
        squares: (n,) ‖g_i‖², the diagonal of K.
        penalties: p (n,) > 0.
        ridge: γ ≥ 0.
        nonnegative: w ≥ 0; otherwise weights may have any sign.
        limits: on weights w ≥ 0; None for none.
    """

    c: Floats
    tau: float
    squares: Floats
    penalties: Floats
    ridge: float = 0.0
    nonnegative: bool = True
    limits: Limits | None = None

    def among(self, keep: NDArray[np.int64]) -> Terms:
        """The same of some of the datasets."""
        return replace(
            self,
            c=self.c[keep],
            squares=self.squares[keep],
            penalties=self.penalties[keep],
            limits=None if self.limits is None else self.limits.among(keep),
        )

    def pull(self, margins: Floats) -> Floats:
        """How much of a margin can earn a weight: m₊, or |m| where weights have any sign."""
        return np.maximum(margins, 0.0) if self.nonnegative else np.abs(margins)

    def lambda_max(self) -> float:
        """Smallest λ at which all weights are 0: max c_i/p_i (w ≥ 0, at least 0), max |c_i|/p_i."""
        pull = self.c if self.nonnegative else np.abs(self.c)
        return max(0.0, float((pull / self.penalties).max(initial=0.0)))

    def optimality(self, margins: Floats, weights: Floats, lam: float) -> Optimality:
        """How far weights (n,) with these margins m = c − Hw (n,) are from the optimum."""
        if self.limits is not None:
            return self._limited(self.limits, margins, weights, lam)
        m, threshold = margins, lam * self.penalties
        excess = self.pull(m)
        violated = np.where(
            weights == 0,
            np.maximum(excess - threshold, 0.0),
            np.abs(m - threshold * np.sign(weights)),
        )
        if self.nonnegative:
            violated = np.maximum(violated, -weights * (self.squares + self.ridge))
        s = dual_scale(excess, threshold)
        fitted, left = math.fsum(self.c * weights), math.fsum(m * weights)
        regular = self.tau - fitted - left  # ρ² + γ‖w‖², because wᵀHw = cᵀw − mᵀw
        primal = 0.5 * regular + math.fsum(threshold * np.abs(weights))
        dual = s * (self.tau - fitted) - 0.5 * s * s * regular
        gap, kkt = primal - dual, float(violated.max(initial=0.0))
        rho2 = regular - self.ridge * math.fsum(weights**2)
        error = max(abs(gap) / self.tau, kkt / self.unit)
        return Optimality(primal, dual, gap, kkt, rho2, error)

    @property
    def unit(self) -> float:
        """√(τ max ‖g_i‖²), the largest that an alignment can be; 1 where that is 0."""
        return math.sqrt(self.tau * float(self.squares.max(initial=0.0))) or 1.0

    def _limited(self, limits: Limits, m: Floats, weights: Floats, lam: float) -> Optimality:
        """The same where weights are limited (docs/mathematics.md, 14)."""
        threshold = lam * self.penalties
        s, loose = 1.0, limits.loose()  # nothing but scaling the residual makes those feasible
        if loose.any():
            s = dual_scale(np.maximum(m[loose], 0.0), threshold[loose])
        prices = cheapest(
            limits, np.where(loose, np.minimum(s * m - threshold, 0.0), s * m - threshold)
        )
        fitted, left = math.fsum(self.c * weights), math.fsum(m * weights)
        regular = self.tau - fitted - left
        primal = 0.5 * regular + math.fsum(threshold * weights)
        gap = primal - (s * (self.tau - fitted) - 0.5 * s * s * regular - prices.cost)
        lack = np.where(weights > 0, np.maximum(threshold + prices.surcharge - m, 0.0), 0.0)
        kkt = max(float(lack.max(initial=0.0)), self.unit * violation(limits, weights))
        rho2 = regular - self.ridge * math.fsum(weights**2)
        error = max(abs(gap) / self.tau, kkt / self.unit)
        return Optimality(primal, primal - gap, gap, kkt, rho2, error)


def dual_scale(excess: Floats, threshold: Floats) -> float:
    """The largest s ≤ 1 at which s times the residual is dual feasible."""
    above = excess > threshold
    return float((threshold[above] / excess[above]).min(initial=1.0))
