"""The convex program for pools too large for a kernel matrix: working sets and gap-safe screening.

    minimise over w   ½‖g_t − Σ_i w_i g_i‖² + λ Σ_i p_i |w_i|        (Eq. 31 with its constant τ/2)

At the optimum few datasets carry weight. So the program is solved on a working set, with the
residual r = g_t − Σ w_i g_i the margins m_i = ⟨g_i, r⟩ of *all* n datasets are computed in one pass
over G, and those that violate the conditions of optimality most come into the working set, until
the duality gap over all n is within the tolerance. K is only ever formed on the working set.

Screening (Ndiaye et al. 2017, "Gap safe screening rules for sparsity enforcing penalties"): the
scaled residual θ is dual feasible and the dual is 1-strongly concave, so the optimal θ* lies within
√(2 gap) of it. A dataset with ⟨g_i, θ⟩ + ‖g_i‖ √(2 gap) < λ p_i has weight 0 at the optimum and is
never looked at again. The certificate does not rest on it: it is taken over all n.

Costs O(n d) a pass, about ten passes from nothing, one or two from a good start; memory O(d) a
block beside G, which may be memory-mapped float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.optimum import optimum, sharpened
from appraise.numerics.program import Optimality, Program, dual_scale, measured

Gradients = NDArray[np.float32] | NDArray[np.float64]
_BLOCK_BYTES = 64 << 20  # of float64, for one block of rows of G
_FIRST = 128  # size of the first working set
_SMALL_BYTES = 1 << 29  # of float64: a pool below it is converted once and kept
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
        margins: m (n,) float64.
        lam: λ.
        lambda_max: the smallest λ at which all weights are 0.
        optimality: gap and violation over all n.
        passes: what each pass found.
    """

    support: NDArray[np.int64]
    weights: Floats
    margins: Floats
    lam: float
    lambda_max: float
    optimality: Optimality
    passes: tuple[Pass, ...]


class Pool:
    """Gradients of all datasets, read in blocks, with what is computed of them once.

    Attributes:
        G: (n, d) float32 or float64; a memory map is never read whole.
        norms: ‖g_i‖ (n,).
    """

    def __init__(self, G: Gradients, known_norms: Floats | None = None) -> None:
        if G.ndim != 2 or G.size == 0:
            raise SolverError(
                f"gradients: expected datasets × dimensions, found shape {G.shape}; "
                "offer at least one dataset"
            )
        small = 8 * G.size <= _SMALL_BYTES
        self.G = np.asarray(G, dtype=np.float64) if small else G
        known = np.empty(0) if known_norms is None else known_norms
        fresh = self._by_blocks(lambda rows: np.linalg.norm(rows, axis=1), len(known))
        if not np.isfinite(fresh).all():
            raise SolverError(
                f"gradients: expected finite numbers, found NaN or infinity in dataset "
                f"{len(known) + int(np.argmin(np.isfinite(fresh)))}; compute its sketch again"
            )
        self.norms: Floats = np.concatenate([known, fresh])

    def with_more(self, G: Gradients) -> Pool:
        """The pool after arrivals: the first rows of G are those of this pool."""
        return Pool(G, self.norms)

    def products(self, vector: Floats, among: NDArray[np.int64] | None = None) -> Floats:
        """⟨g_i, vector⟩ of all datasets (n,), or of some of them."""
        if among is None or 2 * len(among) > len(self.G):
            found = self._by_blocks(lambda rows: rows @ vector)
            return found if among is None else found[among]
        size = self._block()
        blocks = [among[start : start + size] for start in range(0, len(among), size)]
        return np.concatenate([self.rows(block) @ vector for block in blocks] or [np.empty(0)])

    def rows(self, indices: NDArray[np.int64]) -> Floats:
        """Gradients of some datasets, (s, d) float64."""
        return np.asarray(self.G[indices], dtype=np.float64)

    def _block(self) -> int:
        return max(1, _BLOCK_BYTES // (8 * self.G.shape[1]))

    def _by_blocks(self, compute: Callable[[Floats], Floats], first: int = 0) -> Floats:
        starts = range(first, len(self.G), self._block())
        blocks = (self.G[start : start + self._block()] for start in starts)
        found = [compute(np.asarray(rows, dtype=np.float64)) for rows in blocks]
        return np.concatenate(found or [np.empty(0)])


def solve_pool(
    pool: Pool,
    target: Floats,
    *,
    lam: float | None = None,
    relative_lambda: float = 0.2,
    penalties: Floats | None = None,
    nonnegative: bool = True,
    tolerance: float = 1e-7,
    start: Sequence[int] = (),
    progress: Callable[[Pass], object] = lambda _: None,
) -> LargeSolution:
    """Solve the convex program over a large pool.

    Args:
        pool: gradients g_i.
        target: g_t (d,).
        lam: λ > 0; None for `relative_lambda` of λ_max.
        relative_lambda: λ as a part of λ_max, in (0, 1].
        penalties: p (n,) > 0; None for all 1.
        nonnegative: w ≥ 0; else weights of any sign.
        tolerance: largest relative error of the answer (see `Optimality`).
        start: datasets believed to have a weight: the support at another λ, or before an arrival.
        progress: called after each pass.

    Raises:
        SolverError: a number is not finite or out of range, or the tolerance is not reached.
    """
    target = np.asarray(target, dtype=np.float64)
    p = np.ones(len(pool.G)) if penalties is None else np.asarray(penalties, dtype=np.float64)
    tau = float(target @ target)
    _check(pool, target, tau, p)
    c = pool.products(target)
    pull = np.maximum(c, 0.0) if nonnegative else np.abs(c)
    top = float((pull / p).max())
    lam = relative_lambda * top if lam is None else lam
    if not (math.isfinite(lam) and lam >= 0) or (lam == 0 and top > 0):
        raise SolverError(
            f"lambda: expected a number above 0, found {lam}; give a part of lambda_max = {top:.6g}"
        )
    state = _State(pool, target, c, p, tau, lam, nonnegative, tolerance)
    if lam >= top:
        return state.solution(np.empty(0, dtype=np.int64), np.empty(0), c, top, ())
    order = np.argsort(-pull / p, kind="stable")[:_FIRST]
    working = np.union1d(order, np.asarray(start, dtype=np.int64))
    return state.run(working, top, progress)


def _check(pool: Pool, target: Floats, tau: float, p: Floats) -> None:
    n, d = pool.G.shape
    if target.shape != (d,) or not (math.isfinite(tau) and tau > 0):
        raise SolverError(
            f"target: expected a gradient of {d} finite numbers, not all 0, found shape "
            f"{target.shape}; compute its sketch again, projected like the datasets'"
        )
    if p.shape != (n,) or not np.isfinite(p).all() or (p <= 0).any():
        raise SolverError(
            f"penalties: expected {n} numbers above 0, found shape {p.shape}; "
            "a dataset without a price needs the uniform penalty"
        )


@dataclass(frozen=True)
class _State:
    """What stays the same from pass to pass."""

    pool: Pool
    target: Floats
    c: Floats
    p: Floats
    tau: float
    lam: float
    nonnegative: bool
    tolerance: float

    def run(
        self, working: NDArray[np.int64], top: float, progress: Callable[[Pass], object]
    ) -> LargeSolution:
        """Grow the working set until the gap over all datasets is small enough."""
        left = np.arange(len(self.c))
        rows, w = self.pool.rows(working), np.zeros(len(working))
        K = rows @ rows.T
        passes: list[Pass] = []
        while len(passes) < _MOST_PASSES:
            w = self._solved(K, working, w)
            residual = self.target - w @ rows
            m = np.full(len(self.c), -np.inf)
            m[left] = self.pool.products(residual, left)
            found = self._optimality(m, left, working, w)
            left = self._screened(m, left, working, found)
            passes.append(
                Pass(len(working), int(np.count_nonzero(w)), len(m) - len(left), found.gap)
            )
            progress(passes[-1])
            if found.relative_error <= 0.5 * self.tolerance:
                m = self.pool.products(residual)  # those screened too: the proof is over all
                return self.solution(working, w, m, top, tuple(passes))
            working, rows, K, w = self._grown(m, left, working, rows, K, w)
        raise SolverError(
            f"expected an error within {self.tolerance:g}, found {found.relative_error:.3g} after "
            f"{_MOST_PASSES} passes; raise lambda"
        )

    def _solved(self, K: Floats, working: NDArray[np.int64], w: Floats) -> Floats:
        program = Program(K, self.c[working], self.tau, self.p[working], 0.0, self.nonnegative)
        return sharpened(program, optimum(program, self.lam, w)[0], self.lam)

    def _pull(self, m: Floats) -> Floats:
        return np.maximum(m, 0.0) if self.nonnegative else np.abs(m)

    def _optimality(
        self, m: Floats, left: NDArray[np.int64], working: NDArray[np.int64], w: Floats
    ) -> Optimality:
        weights = np.zeros(len(m))
        weights[working] = w
        return measured(
            m[left], self.c[left], self.tau, self.pool.norms[left] ** 2, self.p[left],
            0.0, self.nonnegative, weights[left], self.lam,
        )  # fmt: skip

    def _screened(
        self, m: Floats, left: NDArray[np.int64], working: NDArray[np.int64], found: Optimality
    ) -> NDArray[np.int64]:
        """The datasets that may have a weight at the optimum; those at work stay."""
        threshold, pull = self.lam * self.p[left], self._pull(m[left])
        s = dual_scale(pull, threshold)
        radius = math.sqrt(2 * max(found.gap, 0.0))
        keep = s * pull + self.pool.norms[left] * radius >= threshold
        return left[keep | np.isin(left, working)]

    def _grown(
        self,
        m: Floats,
        left: NDArray[np.int64],
        working: NDArray[np.int64],
        rows: Floats,
        K: Floats,
        w: Floats,
    ) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
        """Datasets with a weight, and as many of the worst violators again; K by its new rows."""
        kept = np.flatnonzero(w)
        outside = np.setdiff1d(left, working, assume_unique=True)
        excess = self._pull(m[outside]) / self.p[outside] - self.lam
        worst = outside[np.argsort(-excess, kind="stable")[: max(_FIRST, len(kept))]]
        new = np.sort(worst[self._pull(m[worst]) > self.lam * self.p[worst]])
        fresh = self.pool.rows(new)
        cross = rows[kept] @ fresh.T
        K = np.block([[K[np.ix_(kept, kept)], cross], [cross.T, fresh @ fresh.T]])
        rows = np.concatenate([rows[kept], fresh])
        return np.concatenate([working[kept], new]), rows, K, np.append(w[kept], np.zeros(len(new)))

    def solution(
        self,
        working: NDArray[np.int64],
        w: Floats,
        m: Floats,
        top: float,
        passes: tuple[Pass, ...],
    ) -> LargeSolution:
        """The result, its optimality measured over all datasets."""
        found = self._optimality(m, np.arange(len(m)), working, w)
        if not found.relative_error <= self.tolerance:
            raise SolverError(
                f"expected an error within {self.tolerance:g}, found {found.relative_error:.3g} "
                "over all datasets; raise lambda"
            )
        order = np.argsort(working)
        order = order[w[order] != 0]
        return LargeSolution(working[order], w[order], m, self.lam, top, found, passes)
