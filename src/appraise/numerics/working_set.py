"""The convex program for pools too large for a kernel matrix: working sets and gap-safe screening.

    minimise over w   ½‖g_t − Σ_i w_i g_i‖² + λ Σ_i p_i |w_i| + (γ/2)‖w‖²     within the limits

At the optimum few datasets carry weight. So the program is solved on a working set, with the
residual r = g_t − Σ w_i g_i the margins m_i = ⟨g_i, r⟩ − γw_i of *all* n datasets are computed in
one pass over G, and those that violate the conditions of optimality most come into the working set,
until the duality gap over all n is within the tolerance. K is only ever formed on the working set.

Screening (Ndiaye et al. 2017, "Gap safe screening rules for sparsity enforcing penalties"): the
scaled residual θ is dual feasible and the dual is 1-strongly concave, so the optimal θ* lies within
√(2 gap) of it. A dataset with ⟨g_i, θ⟩ + √(‖g_i‖² + γ) √(2 gap) < λ p_i has weight 0 at the optimum
and is never looked at again. The certificate does not rest on it: it is taken over all n. With
limits the thresholds are not known before the end, and nobody is screened.

Costs O(n d) a pass, about ten passes from nothing, one or two from a good start; memory O(d) a
block beside G, which may be memory-mapped float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from appraise.errors import SolverError
from appraise.numerics.copies import settled_within
from appraise.numerics.kernel import Floats
from appraise.numerics.limits import Limits, cheapest
from appraise.numerics.optimum import optimum, sharpened
from appraise.numerics.pool import NONE, Indices, Pool, PoolProgram, pool_program
from appraise.numerics.pool_path import BATCH, HAIR, proven_lambda
from appraise.numerics.program import Optimality, dual_scale
from appraise.numerics.question import Question
from appraise.numerics.rule import Lambda

_ROUNDING = 1e-11  # of ‖g_i‖‖g_t‖: a margin above its threshold by less is not above it
_MOST_PASSES = 200


@dataclass(frozen=True)
class Pass:
    """One look at all datasets that are left.

    Attributes:
        working: size of the working set.
        positive: how many datasets had a weight.
        screened: how many were known by then to have none at the optimum.
        gap: duality gap.
    """

    working: int
    positive: int
    screened: int
    gap: float


@dataclass(frozen=True)
class LargeSolution:
    """Optimal weights of a large pool, with the proof taken over all of it.

    Attributes:
        support: (s,) int64, the datasets with a weight, ascending.
        weights: (s,) float64, theirs; all others are 0.
        alignment: c (n,) float64.
        margins: m (n,) float64.
        thresholds: (n,) λp, and what the limits that bind add to it.
        lam: λ.
        optimality: gap and violation over all n.
        passes: what each pass found.
        rounds: how often a path was computed to choose λ.
        needed: ascending, the datasets without which the answer over the others could be another:
            those with a weight, those within a hair of their threshold, those of the path to λ.
    """

    support: Indices
    weights: Floats
    alignment: Floats
    margins: Floats
    thresholds: Floats
    lam: Lambda
    optimality: Optimality
    passes: tuple[Pass, ...]
    rounds: int
    needed: Indices


def solve_pool(
    pool: Pool,
    target: Floats,
    question: Question,
    *,
    lam: float | None = None,
    nonnegative: bool = True,
    start: Sequence[int] = (),
    batch: int = BATCH,
    progress: Callable[[Pass], object] = lambda _: None,
) -> LargeSolution:
    """Solve the convex program over a large pool.

    Args:
        pool: gradients g_i.
        target: g_t (d,).
        question: about the n datasets.
        lam: λ > 0; None for the rule's, which is proven on the path over all n.
        nonnegative: w ≥ 0; else weights of any sign, without limits, λ without a path or given.
        start: datasets believed to have a weight: the support at another λ, or before an arrival.
        batch: how many datasets the first working set holds, and come into it at once.
        progress: called after each pass.

    Raises:
        ParamsError: the number that the rule needs is missing or out of range.
        SolverError: a number is not finite or out of range, λ cannot be proven, or the tolerance is
            not reached.
    """
    program = pool_program(pool, target, question, nonnegative)
    top = program.terms.lambda_max()
    first, path_needs, rounds = np.asarray(start, dtype=np.int64), NONE, 0
    if lam is not None:
        relative = lam / top if top > 0 else 1.0
        chosen = Lambda(lam, top, program.terms.tau, relative, question.rule.name)
    elif not question.rule.needs_path:
        question.rule.check()
        chosen = question.rule.at(0.0, top, program.terms.tau)
    elif nonnegative:
        proven = proven_lambda(program, question, batch)
        chosen, path_needs, rounds = proven.lam, proven.needed, proven.rounds
        first = np.union1d(first, proven.support)
    else:
        raise SolverError(
            f"signed weights: expected a lambda for the rule {question.rule.name}, found none; "
            "give the same part of lambda_max as for w ≥ 0"
        )
    free = program.terms.limits is None or program.terms.limits.total is None
    if not (math.isfinite(chosen.value) and chosen.value >= 0) or (
        chosen.value == 0 and top > 0 and free
    ):
        raise SolverError(
            f"lambda: expected a number above 0, found {chosen.value}; give a part of lambda_max = "
            f"{top:.6g}"
        )
    state = _State(program, chosen, question.tolerance, batch)
    solution = state.run(first, progress)
    needed = np.union1d(solution.needed, path_needs)
    return replace(solution, rounds=rounds, needed=needed)


@dataclass(frozen=True)
class _State:
    """What stays the same from pass to pass."""

    program: PoolProgram
    lam: Lambda
    tolerance: float
    batch: int

    def run(self, start: Indices, progress: Callable[[Pass], object]) -> LargeSolution:
        """Grow the working set until the gap over all datasets is small enough."""
        terms, pool = self.program.terms, self.program.pool
        n, unlimited = len(terms.c), terms.limits is None
        left = np.arange(n)
        working = self._first(start)
        rows, w = pool.rows(working), np.zeros(len(working))
        K = rows @ rows.T
        passes: list[Pass] = []
        before = math.inf
        while len(passes) < _MOST_PASSES:
            w = self._solved(K, working, w)
            residual = self.program.target - w @ rows
            m, weights = np.full(n, -np.inf), np.zeros(n)
            weights[working] = w
            m[left] = pool.products(residual, left)
            m[working] -= terms.ridge * w
            now = terms.among(left).optimality(m[left], weights[left], self.lam.value)
            thresholds = self._thresholds(m, working)
            if unlimited:
                left = self._screened(m, left, working, now)
            passes.append(Pass(len(working), int(np.count_nonzero(w)), n - len(left), now.gap))
            progress(passes[-1])
            new = self._violators(m, thresholds, left, working)
            falls = now.primal < before - 1e-15 * terms.tau
            if not len(new) or (now.relative_error <= 0.5 * self.tolerance and not falls):
                m = pool.products(residual)  # those screened too: the proof is over all
                m[working] -= terms.ridge * w
                return self._solution(weights, m, thresholds, tuple(passes))
            before = now.primal
            kept = np.flatnonzero(w) if unlimited else np.arange(len(w))
            working, rows, K, w = self._grown(kept, new, working, rows, K, w)
        raise SolverError(
            f"expected an error within {self.tolerance:g}, found {now.relative_error:.3g} after "
            f"{_MOST_PASSES} passes; raise lambda"
        )

    def _first(self, start: Indices) -> Indices:
        """Who pulls hardest and whoever is believed to have a weight; nobody where nobody can."""
        terms, limits = self.program.terms, self.program.terms.limits
        order = np.argsort(-terms.pull(terms.c) / terms.penalties, kind="stable")
        if limits is not None and limits.total is not None:
            return np.union1d(order[: _with_room(limits, order, self.batch)], start)
        if self.lam.value >= self.lam.top:
            return NONE
        first = np.union1d(order[: self.batch], start)
        return np.unique(self.program.firsts(first)) if limits is None else first

    def _solved(self, K: Floats, working: Indices, w: Floats) -> Floats:
        if not len(working):
            return w
        part = self.program.part(working, K)
        if part.limits is None:
            return sharpened(part, optimum(part, self.lam.value, w)[0], self.lam.value)
        _, same, which = np.unique(
            self.program.firsts(working), return_index=True, return_inverse=True
        )
        same = same[which]  # the products of copies are equal, and not but for rounding
        return optimum(replace(part, K=K[np.ix_(same, same)], c=part.c[same]), self.lam.value)[0]

    def _thresholds(self, m: Floats, working: Indices) -> Floats:
        """What each margin must exceed to enter (n,): λp, and what the limits add to it.

        At the prices of the optimum over the working set; an owner outside of it asks nothing.
        """
        terms, limits = self.program.terms, self.program.terms.limits
        own = self.lam.value * terms.penalties
        if limits is None or not len(working):
            return own
        part = limits.among(working)
        e = (m - own)[working]
        prices = cheapest(part, np.where(part.loose(), np.minimum(e, 0.0), e))
        of_owner = np.zeros(int(limits.owners.max()) + 1)
        of_owner[part.owners] = prices.owner
        return np.asarray(own + prices.total + of_owner[limits.owners])

    def _screened(self, m: Floats, left: Indices, working: Indices, now: Optimality) -> Indices:
        """The datasets that may have a weight at the optimum; those at work stay."""
        keep = self._within_reach(m[left], left, now, 0.0)
        return left[keep | np.isin(left, working)]

    def _within_reach(
        self, m: Floats, among: Indices, now: Optimality, least: float
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether the sphere around the residual in which the optimal one lies, of a radius of at
        least so much, holds one at which the dataset is at its threshold."""
        terms = self.program.terms
        threshold = self.lam.value * terms.penalties[among]
        radius = max(math.sqrt(2 * max(now.gap, 0.0)), least)
        s = dual_scale(terms.pull(m), threshold)
        nearest = s * (m if terms.nonnegative else np.abs(m))
        return np.asarray(nearest + self.program.lengths[among] * radius >= threshold)

    def _violators(self, m: Floats, thresholds: Floats, left: Indices, working: Indices) -> Indices:
        """Those outside whose margins exceed their thresholds most; of copies the first."""
        terms = self.program.terms
        outside = np.setdiff1d(left, working, assume_unique=True)
        over = terms.pull(m[outside]) - thresholds[outside]
        rounding = _ROUNDING * self.program.lengths * math.sqrt(terms.tau)
        most = over / terms.penalties[outside]
        worst = outside[np.argsort(-most, kind="stable")[: max(self.batch, len(working))]]
        worst = worst[terms.pull(m[worst]) - thresholds[worst] > rounding[worst]]
        if terms.limits is None:
            worst = self.program.firsts(worst)
        return np.setdiff1d(worst, working)

    def _grown(
        self, kept: Indices, new: Indices, working: Indices, rows: Floats, K: Floats, w: Floats
    ) -> tuple[Indices, Floats, Floats, Floats]:
        """The working set with who enters and without who is not kept; K by its new rows."""
        fresh = self.program.pool.rows(new)
        cross = rows[kept] @ fresh.T
        K = np.block([[K[np.ix_(kept, kept)], cross], [cross.T, fresh @ fresh.T]])
        rows = np.concatenate([rows[kept], fresh])
        return np.concatenate([working[kept], new]), rows, K, np.append(w[kept], np.zeros(len(new)))

    def _solution(
        self, weights: Floats, m: Floats, thresholds: Floats, passes: tuple[Pass, ...]
    ) -> LargeSolution:
        """The result, its optimality measured over all datasets."""
        terms = self.program.terms
        weights, needed = self._settled(weights, m, thresholds)
        now = terms.optimality(m, weights, self.lam.value)
        if not now.relative_error <= self.tolerance:
            raise SolverError(
                f"expected an error within {self.tolerance:g}, found {now.relative_error:.3g} "
                "over all datasets; raise lambda"
            )
        support = np.flatnonzero(weights)
        return LargeSolution(
            support, weights[support], terms.c, m, thresholds, self.lam, now, passes, 0,
            np.union1d(support, needed),
        )  # fmt: skip

    def _settled(self, weights: Floats, m: Floats, thresholds: Floats) -> tuple[Floats, Indices]:
        """Weights moved to the first of copies, and who is within a hair of its threshold."""
        terms, limits = self.program.terms, self.program.terms.limits
        now = terms.optimality(m, weights, self.lam.value)
        rho = math.sqrt(max(now.residual_norm, 0.0))
        if limits is None:
            near = np.flatnonzero(self._within_reach(m, np.arange(len(m)), now, HAIR * rho))
            return weights, np.unique(self.program.firsts(near))
        radius = max(math.sqrt(2 * max(now.gap, 0.0)), HAIR * rho)
        near = np.flatnonzero((m + self.program.lengths * radius >= thresholds) | (weights != 0))
        firsts = self.program.firsts(near)
        if not terms.ridge:
            weights = weights.copy()
            weights[near] = settled_within(limits.among(near), weights[near], firsts)
        return weights, np.unique(firsts)


def _with_room(limits: Limits, order: Indices, least: int) -> int:
    """How many of the datasets, in this order, are needed for weights that add up to the total."""
    total, low, high = limits.total or 0.0, min(least, len(order)), len(order)
    while low < high:
        middle = (low + high) // 2
        fits = limits.room(order[:middle]) >= total * (1 - 1e-12)
        low, high = (low, middle) if fits else (middle + 1, high)
    return low
