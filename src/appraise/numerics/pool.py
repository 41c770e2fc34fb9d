"""Gradients of a pool too large for a kernel matrix: read in blocks, products with all of them.

Memory is O(d) a block beside G, which may be memory-mapped float32. K is only ever formed of the
few datasets that are at work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.program import Program, Terms
from appraise.numerics.question import Question

Gradients = NDArray[np.float32] | NDArray[np.float64]
Indices = NDArray[np.int64]
NONE: Indices = np.empty(0, dtype=np.int64)
_BLOCK_BYTES = 64 << 20  # of float64, for one block of rows of G
_SMALL_BYTES = 1 << 29  # of float64: a pool below it is converted once and kept
_ALIKE = 1e-12  # copies may differ by so much in a product, in units of the norms: by rounding
_FEW = 32  # datasets that are compared row by row without another pass over G


class Pool:
    """Gradients of all datasets, read in blocks, with what is computed of them once.

    Attributes:
        G: (n, d) float32 or float64; a memory map is never read whole.
        norms: ‖g_i‖ (n,).
    """

    def __init__(
        self, G: Gradients, known_norms: Floats | None = None, block_bytes: int = _BLOCK_BYTES
    ) -> None:
        if G.ndim != 2 or G.size == 0:
            raise SolverError(
                f"gradients: expected datasets × dimensions, found shape {G.shape}; "
                "give at least one dataset"
            )
        small = 8 * G.size <= _SMALL_BYTES
        self.G = np.asarray(G, dtype=np.float64) if small else G
        self._block = max(1, block_bytes // (8 * G.shape[1]))
        known = np.empty(0) if known_norms is None else known_norms
        fresh = self.by_blocks(lambda rows, _: np.linalg.norm(rows, axis=1), len(known))
        if not np.isfinite(fresh).all():
            raise SolverError(
                f"gradients: expected finite numbers, found NaN or infinity in dataset "
                f"{len(known) + int(np.argmin(np.isfinite(fresh)))}; compute its sketch again"
            )
        self.norms: Floats = np.concatenate([known, fresh])

    def with_more(self, G: Gradients) -> Pool:
        """The pool after arrivals: the first rows of G are those of this pool."""
        return Pool(G, self.norms)

    def products(self, vector: Floats, among: Indices | None = None) -> Floats:
        """⟨g_i, vector⟩ of all datasets (n,), or of some of them."""
        if among is None or 2 * len(among) > len(self.G):
            whole = self.by_blocks(lambda rows, _: rows @ vector)
            return whole if among is None else whole[among]
        size = self._block
        blocks = [among[start : start + size] for start in range(0, len(among), size)]
        return np.concatenate([self.rows(block) @ vector for block in blocks] or [np.empty(0)])

    def rows(self, indices: Indices) -> Floats:
        """Gradients of some datasets, (s, d) float64."""
        return np.asarray(self.G[indices], dtype=np.float64)

    def by_blocks(self, compute: Callable[[Floats, slice], Floats], first: int = 0) -> Floats:
        """What is computed of each block of rows (b, d) and its place in the pool, in one array."""
        blocks = [slice(at, at + self._block) for at in range(first, len(self.G), self._block)]
        each = [compute(np.asarray(self.G[at], dtype=np.float64), at) for at in blocks]
        return np.concatenate(each or [np.empty(0)])

    @cached_property
    def _marks(self) -> Floats:
        """Products with one vector (n,), which tell different gradients apart."""
        return self.products(np.sin(np.arange(1.0, 1.0 + self.G.shape[1])))

    def first_copies(self, indices: Indices, c: Floats, penalties: Floats) -> Indices:
        """For each of some datasets the first of all with the same gradient and penalty.

        Args:
            indices: (s,) which are asked for.
            c: (n,) products with some vector: only those with equal ones are compared.
            penalties: (n,).
        """
        order = np.argsort(c, kind="stable")
        near = _ALIKE * max(1e-300, float(np.abs(c).max(initial=0.0)))
        low = np.searchsorted(c[order], c[indices] - near, "left")
        high = np.searchsorted(c[order], c[indices] + near, "right")
        first = np.array(indices, dtype=np.int64)
        for place in np.flatnonzero(high - low > 1):
            i = int(indices[place])
            alike = order[low[place] : high[place]]
            alike = np.sort(alike[(alike < i) & (penalties[alike] == penalties[i])])
            if len(alike) > _FEW:
                scale = math.sqrt(self.G.shape[1]) * float(self.norms[i])
                alike = alike[np.abs(self._marks[alike] - self._marks[i]) <= _ALIKE * scale]
            first[place] = self._first_equal(alike, i)
        return first

    def _first_equal(self, alike: Indices, i: int) -> int:
        for start in range(0, len(alike), _FEW):
            part = alike[start : start + _FEW]
            same = (self.G[part] == self.G[i]).all(axis=1)
            if same.any():
                return int(part[same.argmax()])
        return i


@dataclass(frozen=True)
class PoolProgram:
    """One target's program over all datasets of a pool.

    Attributes:
        pool: of n gradients.
        target: g_t (d,).
        terms: of the program, over all n.
    """

    pool: Pool
    target: Floats
    terms: Terms

    def part(self, working: Indices, K: Floats) -> Program:
        """The program over some datasets, of which K is known."""
        of = self.terms.among(working)
        return Program(K, of.c, of.tau, of.penalties, of.ridge, of.nonnegative, of.limits)

    @property
    def lengths(self) -> Floats:
        """√(‖g_i‖² + γ) (n,): of the gradients with √γ e_i appended, which make a ridge a plain
        program (docs/mathematics.md, 3)."""
        return np.sqrt(self.terms.squares + self.terms.ridge)

    def firsts(self, indices: Indices) -> Indices:
        """For each of some datasets the first copy of it; with a ridge copies share, and each is
        its own."""
        if self.terms.ridge:
            return indices
        return self.pool.first_copies(indices, self.terms.c, self.terms.penalties)


def pool_program(
    pool: Pool, target: Floats, question: Question, nonnegative: bool = True
) -> PoolProgram:
    """The program of one target, checked; without limits where weights may have any sign.

    Raises:
        SolverError: the target or the penalties do not fit the pool.
    """
    n, d = pool.G.shape
    target, p = np.asarray(target, dtype=np.float64), question.penalties
    tau = float(target @ target) if target.shape == (d,) else math.nan
    if not (math.isfinite(tau) and tau > 0):
        raise SolverError(
            f"target: expected a gradient of {d} finite numbers, not all 0, found shape "
            f"{target.shape}; compute its sketch again, projected like the datasets'"
        )
    if p.shape != (n,) or not np.isfinite(p).all() or (p <= 0).any():
        raise SolverError(
            f"question: expected one about {n} datasets, found one about {len(p)}; ask about all "
            "that are in the pool"
        )
    limits = question.limits if nonnegative else None
    c = pool.products(target)
    terms = Terms(c, tau, pool.norms**2, p, question.ridge, nonnegative, limits)
    return PoolProgram(pool, target, terms)
