"""Mean gradients on an exact grid, and their inner products: K_ij = ⟨g_i, g_j⟩, c_i = ⟨g_i, g_t⟩.

Unit vectors are rounded to multiples of 2⁻²⁶. Every product of two entries is then a multiple of
2⁻⁵², and every partial sum of such products is below 2 in absolute value (Cauchy–Schwarz), so that
float64 holds each of them exactly: K has the same bits for every BLAS, number of threads, blocking
and order of datasets, and a row computed alone equals the row computed with all others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraise.errors import SolverError

Floats = NDArray[np.float64]
Normalize = Literal["unit", "none"]
GRID_BITS = 26
_EXACT_BITS = 52  # integers up to 2⁵² and their sums below 2⁵³ are exact in float64


def mean_gradient(rows: ArrayLike, normalize: Normalize = "unit") -> Floats:
    """A dataset's gradient: the mean of its sketch rows, on the exact grid.

    The sum over rows is exact too, so that the result does not depend on their order.

    Args:
        rows: S_i (m, d), per-example gradients.
        normalize: "unit" scales the mean to norm 1; "none" keeps its length (the grid is then
            relative to the power of two above its norm).

    Returns:
        g_i (d,) float64.

    Raises:
        SolverError: no rows, an entry that is not finite, or a mean of length 0.
    """
    table = as_rows(rows)
    total, exponent = exact_sum(table)
    peak = math.frexp(float(np.abs(total).max()))[1]
    total = np.ldexp(total, -peak)  # squares can neither overflow nor vanish
    norm = math.sqrt(math.fsum(total * total))  # correctly rounded in any order
    if norm == 0:
        raise SolverError(
            f"expected a mean gradient of some length, found {len(table)} rows that add up to 0; "
            "take a larger preview or leave the dataset out"
        )
    return on_grid(total, norm, len(table), exponent + peak, normalize)


def on_grid(
    total: Floats, norm: float | Floats, m: int, exponent: int, normalize: Normalize
) -> Floats:
    """Vectors total / m · 2^exponent (…, d), or their unit vectors, rounded to the exact grid.

    Args:
        total: (…, d).
        norm: ‖total‖ > 0, a number or (…, 1).
        m: how many rows were summed.
        exponent: of the power of two that was taken out of the sum.
        normalize: as in `mean_gradient`.
    """
    if normalize == "unit":
        return np.asarray(np.ldexp(np.rint(np.ldexp(total / norm, GRID_BITS)), -GRID_BITS))
    scale = GRID_BITS - np.frexp(np.asarray(norm) / m)[1]
    return np.asarray(np.ldexp(np.rint(np.ldexp(total / m, scale)), exponent - scale))


def as_rows(rows: ArrayLike) -> Floats:
    """Rows as float64 (m, d) with m, d ≥ 1 and finite entries; SolverError otherwise."""
    table = np.asarray(rows, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise SolverError(
            f"expected gradient rows (examples × dimensions), found shape {table.shape}; "
            "give at least one row"
        )
    finite = np.isfinite(table)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        raise SolverError(
            f"expected finite gradients, found {table[row][~finite[row]][0]} in row {row}; "
            "compute the sketch again or leave the dataset out"
        )
    return table


def exact_sum(rows: Floats, counts: Floats | None = None) -> tuple[Floats, int]:
    """Sum of rows, exact in any order: rows are first rounded to a grid that leaves room for it.

    Args:
        rows: (m, d), finite.
        counts: (B, m) small non-negative integers that add up to m in each row (how often a
            resample takes each row); None for one of each.

    Returns:
        (total, exponent): the sum is total · 2^exponent, total (d,) or (B, d) of integers.
    """
    bits = _EXACT_BITS - math.ceil(math.log2(len(rows)))
    exponent = math.frexp(float(np.abs(rows).max()))[1] - bits
    grid = np.rint(np.ldexp(rows, -exponent))
    return (grid.sum(axis=0) if counts is None else counts @ grid), exponent


def mean_norm(rows: ArrayLike) -> float:
    """Length of the mean of the rows (m, d), before any normalisation."""
    table = as_rows(rows)
    peak = float(np.abs(table).max()) or 1.0
    return peak * math.sqrt(float(np.sum((table / peak).mean(axis=0) ** 2)))


def noise_share(rows: ArrayLike) -> float:
    """By how much sampling inflates ‖ḡ‖²: tr(Cov)/m as a share of ‖ḡ‖².

    E‖ḡ‖² = ‖E g‖² + tr(Cov)/m. The unbiased estimate of a diagonal entry is K_ii (1 − share).

    Args:
        rows: S_i (m, d).

    Returns:
        The share (it exceeds 1 where the mean is drowned in noise); NaN for a single row.
    """
    table = as_rows(rows)
    if len(table) < 2:
        return math.nan
    table = table / (float(np.abs(table).max()) or 1.0)
    mean = table.mean(axis=0)
    noise = float(np.sum((table - mean) ** 2)) / (len(table) - 1) / len(table)
    length = float(np.sum(mean**2))
    return noise / length if length > 0 else math.inf


def inner_products(a: Floats, b: Floats) -> Floats:
    """⟨a_i, b_j⟩ for vectors of `mean_gradient`, exact.

    Args:
        a: (p, d) float64.
        b: (q, d) float64.

    Returns:
        (p, q) float64.
    """
    return np.asarray(a @ b.T, dtype=np.float64)


def off_diagonal(K: Floats) -> Floats:
    """The entries above the diagonal of a matrix (n, n), row after row: (n(n−1)/2,)."""
    return np.asarray(K[np.triu_indices(len(K), 1)])


def first_copies(
    K: Floats, among: NDArray[np.int64] | None = None, priced: Floats | None = None
) -> NDArray[np.int64]:
    """For each dataset the first with the same gradient: itself unless it is a copy.

    ‖g_i − g_j‖² = K_ii + K_jj − 2K_ij is 0 exactly when the three are equal; K is exact, so that
    equal means to the bit.

    Args:
        K: (n, n).
        among: which datasets are asked for; None for all.
        priced: (n,) copies count only where this is the same too; None for no matter what.
    """
    diagonal = np.diag(K)
    asked = np.arange(len(K)) if among is None else among
    own = diagonal[asked][:, None]
    same = (K[asked] == own) & (diagonal == own)
    if priced is not None:
        same &= priced == priced[asked][:, None]
    return np.asarray(same.argmax(axis=1)) if len(K) else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class KernelEvidence:
    """What makes a matrix a kernel.

    Attributes:
        n: number of datasets.
        finite: no NaN, no infinity.
        symmetric: K = Kᵀ, to the bit.
        min_eigenvalue: smallest eigenvalue; negative only by rounding.
        max_eigenvalue: largest eigenvalue.
        condition_number: their ratio; infinite when K is singular to working precision.
    """

    n: int
    finite: bool
    symmetric: bool
    min_eigenvalue: float
    max_eigenvalue: float
    condition_number: float


def kernel_evidence(K: Floats, tolerance: float = 1e-8) -> KernelEvidence:
    """Check that K is finite, symmetric and positive semi-definite.

    Args:
        K: (n, n).
        tolerance: how far below 0 the smallest eigenvalue may lie, as a part of the largest K_ii.

    Raises:
        SolverError: it is not.
    """
    if K.ndim != 2 or K.shape[0] != K.shape[1] or K.size == 0:
        raise SolverError(
            f"kernel: expected a square matrix of at least one dataset, found shape {K.shape}; "
            "give at least one dataset"
        )
    if not np.isfinite(K).all():
        i, j = np.argwhere(~np.isfinite(K))[0]
        raise SolverError(
            f"kernel: expected finite entries, found {K[i, j]} at ({i}, {j}); "
            "compute the sketches again"
        )
    asymmetry = float(np.abs(K - K.T).max())
    if asymmetry > 0:
        i, j = np.unravel_index(int(np.abs(K - K.T).argmax()), K.shape)
        raise SolverError(
            f"kernel: expected a symmetric matrix, found a difference of {asymmetry:.3g} between "
            f"({i}, {j}) and ({j}, {i}); give inner products of the same vectors, or (K + K.T) / 2"
        )
    low, high = extreme_eigenvalues(K)
    if low < -tolerance * float(np.diag(K).max(initial=0.0)):
        raise SolverError(
            f"kernel: expected no eigenvalue below {-tolerance:g} of the largest entry, found "
            f"{low:.6g}; give inner products of the same vectors"
        )
    return KernelEvidence(len(K), True, True, low, high, condition(low, high, len(K)))


def extreme_eigenvalues(K: Floats) -> tuple[float, float]:
    """Smallest and largest eigenvalue of a symmetric matrix."""
    values = np.linalg.eigvalsh(K)
    return float(values[0]), float(values[-1])


def condition(low: float, high: float, n: int) -> float:
    """Condition number from extreme eigenvalues; infinite when singular to working precision."""
    return high / low if low > n * np.finfo(np.float64).eps * high else math.inf
