"""CountSketch: a seeded random projection of long gradients to d dimensions, and what it loses.

Coordinate j of a gradient is added, with sign s_j, to bucket h_j of the sketch. Inner products
are kept in expectation (Charikar, Chen and Farach-Colton 2002), with covariance

    Cov(⟨Sx, Sy⟩, ⟨Su, Sv⟩) = (⟨x, u⟩⟨y, v⟩ + ⟨x, v⟩⟨y, u⟩ − 2 Σ_j x_j y_j u_j v_j) / d

(the variance is Weinberger et al. 2009, "Feature hashing", Lemma 2). All bounds here follow from
it: in a variance the last term only lowers them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraise.errors import ModelError, ParamsError
from appraise.numerics.kernel import Floats, Normalize

ALLOWED = 4  # standard errors of a squared norm, of the rms over a dataset's rows
_MULTIPLE = 64  # of which d is one: whole cache lines of float32


def count_sketch_tables(
    size: int, dimension: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Buckets h and signs s of a CountSketch.

    The raw stream of numpy's Philox, whose values numpy keeps the same in all versions, keyed by
    the seed: the tables depend on nothing else, and those of a smaller size are a prefix.

    Args:
        size: how many coordinates the gradient has.
        dimension: d, how many buckets there are.
        seed: key of the stream, ≥ 0.

    Returns:
        buckets (size,) int64 in [0, dimension) and signs (size,) float32 in {-1, +1}.

    Raises:
        ParamsError: size or dimension is not positive, or the seed is negative.
    """
    if size < 1 or dimension < 1 or seed < 0:
        raise ParamsError(
            f"projection: expected size ≥ 1, dimension ≥ 1 and seed ≥ 0, found {size}, {dimension} "
            f"and {seed}; correct them"
        )
    raw = np.asarray(np.random.Philox(key=seed).random_raw(size), dtype=np.uint64)
    buckets = ((raw >> np.uint64(1)) % np.uint64(dimension)).astype(np.int64)
    signs = 1 - 2 * (raw & np.uint64(1)).astype(np.float32)
    return buckets, signs


class CountSketch:
    """The projection of gradients (size,) to (dimension,), fed piece by piece.

    Attributes:
        dimension: d.
    """

    def __init__(self, size: int, dimension: int, seed: int) -> None:
        self.dimension = dimension
        self._buckets, self._signs = count_sketch_tables(size, dimension, seed)

    def add(self, total: NDArray[np.float64], start: int, values: NDArray[np.float32]) -> None:
        """Add the coordinates from `start` on to a sketch (d,), in float64 and in fixed order."""
        part = slice(start, start + len(values))
        weights = self._signs[part] * values
        total += np.bincount(self._buckets[part], weights=weights, minlength=self.dimension)


class Identity:
    """No projection: the gradient itself (size,), in the same manner."""

    def __init__(self, size: int) -> None:
        self.dimension = size

    def add(self, total: NDArray[np.float64], start: int, values: NDArray[np.float32]) -> None:
        """Put the coordinates from `start` on in their place."""
        total[start : start + len(values)] = values


@dataclass(frozen=True)
class Distortion:
    """How far a projection moved the squared norms of gradients.

    Attributes:
        rows: how many gradients were measured: those that were not 0.
        rms: root mean square of their relative errors ‖Sx‖²/‖x‖² − 1.
        largest: largest of them in absolute value.
        zeroed: how many gradients, themselves not 0, were projected to 0.
    """

    rows: int
    rms: float
    largest: float
    zeroed: int


def distortion_of(dimension: int) -> float:
    """Relative standard error of a squared norm in d dimensions: at most √(2/d).

    E‖Sx‖² = ‖x‖², and Var(‖Sx‖²) = 2 (‖x‖₂⁴ − ‖x‖₄⁴)/d ≤ (2/d) ‖x‖₂⁴: the covariance above with
    x = y = u = v. It is reached by gradients that are spread over many coordinates.

    Raises:
        ParamsError: d is not positive.
    """
    if dimension < 1:
        raise ParamsError(
            f"dimension: expected a number of at least 1, found {dimension}; correct them"
        )
    return math.sqrt(2 / dimension)


def dimension_for(distortion: float) -> int:
    """The d at which the relative standard error of a squared norm is at most `distortion`.

    2/distortion² rounded up to a multiple of 64: 832 for 0.05, 5,056 for 0.02, 20,032 for 0.01.

    Raises:
        ParamsError: the distortion is not between 0 and 1.
    """
    if not 0 < distortion < 1:
        raise ParamsError(
            f"distortion: expected a relative error between 0 and 1, found {distortion}; "
            "0.02 is a good start"
        )
    wanted = 2 / distortion**2 * (1 - 1e-12)  # so that rounding alone adds no 64 more
    return _MULTIPLE * math.ceil(wanted / _MULTIPLE)


def kernel_standard_error(K: Floats, dimension: int, normalize: Normalize = "none") -> Floats:
    """Standard error of each entry of K that comes from the projection to d dimensions, at most.

    As they are: √((K_ii K_jj + K_ij²)/d), the covariance above with u = x, v = y. Of gradients
    scaled to unit length after the projection, to first order (1 − K_ij²)/√d: 0 on the diagonal,
    and little between near copies. (The term that is left out is −2/d Σ_j (x_j y_j −
    K_ij (x_j² + y_j²)/2)² and lowers the variance.)

    Args:
        K: (n, n) inner products; with `unit` of unit vectors.
        dimension: d.
        normalize: how the gradients were scaled, as in `kernel.mean_gradient`.

    Returns:
        (n, n) float64.

    Raises:
        ParamsError: d is not positive.
    """
    error = distortion_of(dimension) / math.sqrt(2)
    if normalize == "unit":
        return np.asarray(error * np.maximum(1 - K**2, 0.0))
    diagonal = np.maximum(np.diag(K), 0.0)
    return np.asarray(error * np.sqrt(np.outer(diagonal, diagonal) + K**2))


def measured_distortion(projected: ArrayLike, full: ArrayLike) -> Distortion:
    """Relative errors of squared norms; gradients of length 0 stay 0 and do not count.

    Args:
        projected: (m,) ‖Sx‖² of each gradient.
        full: (m,) ‖x‖².

    Raises:
        ModelError: a squared norm is negative or not finite, or the two are not as many.
    """
    after, before = (np.asarray(one, dtype=np.float64) for one in (projected, full))
    if after.ndim != 1 or after.shape != before.shape:
        raise ModelError(
            f"distortion: expected a squared norm before and after of each gradient, found shapes "
            f"{before.shape} and {after.shape}; compute the sketch again"
        )
    for norms in (after, before):
        wrong = ~(np.isfinite(norms) & (norms >= 0))
        if wrong.any():
            row = int(wrong.argmax())
            raise ModelError(
                f"distortion: expected finite squared norms, found {norms[row]} in row {row}; "
                "leave the example out"
            )
    some = before > 0
    errors = after[some] / before[some] - 1
    if not errors.size:
        return Distortion(0, 0.0, 0.0, 0)
    zeroed = int((after[some] == 0).sum())
    rms = math.sqrt(float(np.mean(errors**2)))
    return Distortion(len(errors), rms, float(np.abs(errors).max()), zeroed)


def check_distortion(found: Distortion, dimension: int, name: str) -> None:
    """Refuse a dataset's sketch that lost a gradient, or more than sampling allows.

    The mean of m squared errors is at most 2/d, whatever the rows: its root is the stated √(2/d).
    All rows share one table, and gradients of a dataset are alike. In the worst case they are one
    gradient m times, so that the rms has the spread of a single error, however large m: above four
    standard errors once in 15,000 datasets. Where rows differ it is far rarer: over three rows of
    each of the demo's datasets the rms was at most 2.3 times what is stated, in 30 projections
    (benchmarks/projections.py). A gradient in a few coordinates that collide, or a table that is
    not random, is far above.

    Args:
        found: of the rows of one dataset.
        dimension: d.
        name: of the dataset, for the message.

    Raises:
        ModelError: a gradient became 0, or the rms is above `ALLOWED` · √(2/d).
    """
    remedy = "set a larger gradient_sketches.dimension, another seed, or projection: none"
    if found.zeroed:
        raise ModelError(
            f"{name}: expected no gradient projected to 0, found {found.zeroed} of {found.rows}; "
            f"{remedy}"
        )
    stated = distortion_of(dimension)
    if found.rms > ALLOWED * stated:
        raise ModelError(
            f"{name}: expected squared norms kept within {ALLOWED * stated:.2g} of themselves "
            f"({ALLOWED} standard errors in {dimension} dimensions), found {found.rms:.2g} over "
            f"{found.rows} gradients; {remedy}"
        )


def bytes_of_sketch(rows: int, dimension: int) -> int:
    """Size of the arrays of a sketch, in bytes, exactly.

    For each row itself (d,), its loss and norm, all float32, and how many tokens it stands for and
    how many were cut away, both int64. The file adds its header, which holds the names of the
    examples.

    Args:
        rows: how many are stored: one for each example, of a large dataset `max_rows` at most.
        dimension: d; the gradient's own length with projection `none`.
    """
    return rows * (4 * dimension + 4 + 4 + 8 + 8)
