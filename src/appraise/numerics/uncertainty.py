"""How far weights depend on which examples the preview happened to hold: the bootstrap.

Each resample draws every dataset's sketch rows, and the target's, with replacement, recomputes the
mean gradients, K, c and τ, and solves at λ by the same rule. (Efron and Tibshirani 1993, ch. 13:
percentile intervals.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats, Normalize, as_rows, exact_sum, on_grid
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, optimality
from appraise.numerics.question import Question
from appraise.numerics.randomness import resampled_indices
from appraise.numerics.rule import Lambda

_BLOCK_BYTES = 2**26  # of mean gradients held at once


@dataclass(frozen=True)
class Bootstrap:
    """Weights of B resamples of n datasets, and what they say.

    Attributes:
        weights: (B, n), w ≥ 0.
        signed_weights: (B, n), of the signed program.
        low: (n,) lower ends of the percentile intervals of `weights`; NaN where B = 0.
        high: (n,) upper ends.
        signed_low: (n,) the same for `signed_weights`.
        signed_high: (n,).
        weight_probability: (n,) part of the resamples in which the weight is positive.
    """

    weights: Floats
    signed_weights: Floats
    low: Floats
    high: Floats
    signed_low: Floats
    signed_high: Floats
    weight_probability: Floats


def bootstrap(
    rows: Sequence[ArrayLike],
    target_rows: ArrayLike,
    question: Question,
    *,
    lam: Lambda,
    normalize: Normalize = "unit",
    resamples: int = 100,
    confidence: float = 0.9,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Bootstrap:
    """Resample, recompute, resolve.

    Args:
        rows: for each dataset its sketch rows (m_i, d).
        target_rows: the target's (m, d).
        question: about these n datasets; each solution is held to its tolerance.
        lam: of the main solve; a resample's is by the same rule.
        normalize: as in the main solve.
        resamples: B; 0 for none, with NaN for intervals.
        confidence: of the intervals, e.g. 0.9 for the 5 % and 95 % quantiles.
        seed: of the draws.
        names: one for each dataset, so that its draws follow its name and not its place.

    Raises:
        SolverError: rows are not finite or of different length, or a resample misses the tolerance.
    """
    n = len(rows)
    weights, signed = np.zeros((resamples, n)), np.zeros((resamples, n))
    starts: dict[bool, Floats | None] = {True: None, False: None}
    labels = [str(i) for i in range(n)] if names is None else list(names)
    gradients = _resampled_gradients(rows, target_rows, labels, normalize, resamples, seed)
    for b, (vectors, target) in enumerate(gradients):
        K, c, tau = vectors @ vectors.T, vectors @ target, float(target @ target)
        if tau == 0:
            continue  # a target without direction asks for nothing
        for nonnegative, out in ((True, weights), (False, signed)):
            limits = question.limits if nonnegative else None
            program = Program(K, c, tau, question.penalties, question.ridge, nonnegative, limits)
            own = lam.of(tau, program.lambda_max())
            out[b] = _solved(program, own, starts[nonnegative], question.tolerance)
            starts[nonnegative] = out[0]
    low, high = _interval(weights, confidence)
    signed_low, signed_high = _interval(signed, confidence)
    probability = (weights > 0).mean(axis=0) if resamples else np.full(n, np.nan)
    return Bootstrap(weights, signed, low, high, signed_low, signed_high, probability)


def resampled_programs(
    rows: Sequence[ArrayLike],
    target_rows: ArrayLike,
    question: Question,
    *,
    lam: Lambda,
    names: Sequence[str],
    normalize: Normalize = "unit",
    resamples: int = 100,
    seed: int = 0,
) -> Iterator[tuple[Program, float]]:
    """The programs of `bootstrap` with w ≥ 0 and without limits, each with its λ.

    Args and errors as of `bootstrap`; a target without direction asks for nothing, and is left out.
    """
    asked = question.without_limits()
    gradients = _resampled_gradients(rows, target_rows, names, normalize, resamples, seed)
    for vectors, target in gradients:
        tau = float(target @ target)
        if tau > 0:
            K, c = vectors @ vectors.T, vectors @ target
            program = Program(K, c, tau, asked.penalties, asked.ridge)
            yield program, lam.of(tau, program.lambda_max())


def resampled_cosines(
    rows: Sequence[ArrayLike],
    target_rows: ArrayLike,
    *,
    names: Sequence[str],
    normalize: Normalize = "unit",
    resamples: int = 100,
    seed: int = 0,
) -> Floats:
    """Cosines (B, n) of the datasets' mean gradients with the target's, in the same resamples.

    Args and errors as of `bootstrap`; a mean of length 0 has cosine 0.
    """
    cosines = np.zeros((resamples, len(rows)))
    gradients = _resampled_gradients(rows, target_rows, names, normalize, resamples, seed)
    for b, (vectors, target) in enumerate(gradients):
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(target)
        np.divide(vectors @ target, lengths, out=cosines[b], where=lengths > 0)
    return cosines


def _solved(program: Program, lam: float, start: Floats | None, tolerance: float) -> Floats:
    """Optimal weights; every resample starts from the first, so that none depends on its place."""
    weights, run = optimum(program, lam, np.zeros(len(program.c)) if start is None else start)
    error = optimality(program, weights, lam).relative_error
    if not error <= tolerance:
        raise SolverError(
            f"bootstrap: expected an error within {tolerance:g}, found {error:.3g} in a resample "
            f"(solver: {run.status}); raise lambda or add a small ridge"
        )
    return weights


def _interval(weights: Floats, confidence: float) -> tuple[Floats, Floats]:
    if not len(weights):
        return np.full(weights.shape[1], np.nan), np.full(weights.shape[1], np.nan)
    tail = (1 - confidence) / 2
    low, high = np.quantile(weights, [tail, 1 - tail], axis=0)
    return low, high


def _resampled_gradients(
    rows: Sequence[ArrayLike],
    target_rows: ArrayLike,
    names: Sequence[str],
    normalize: Normalize,
    resamples: int,
    seed: int,
) -> Iterator[tuple[Floats, Floats]]:
    """Mean gradients (n, d) and the target's (d,) of each resample, exact as those of `kernel`."""
    streams = [*(f"dataset/{name}" for name in names), "target"]
    tables = [as_rows(table) for table in (*rows, target_rows)]
    if len({table.shape[1] for table in tables}) > 1:
        sizes = sorted({table.shape[1] for table in tables})
        raise SolverError(
            f"bootstrap: expected rows of one dimension, found {', '.join(map(str, sizes))}; "
            "sketch all datasets with the same projection"
        )
    counts = [
        _counts(resampled_indices(seed, stream, resamples, len(table)))
        for stream, table in zip(streams, tables, strict=True)
    ]
    block = max(1, _BLOCK_BYTES // (8 * len(tables) * tables[0].shape[1]))
    for start in range(0, resamples, block):
        means = [
            _mean_gradients(table, count[start : start + block], normalize)
            for table, count in zip(tables, counts, strict=True)
        ]
        for vectors in np.stack(means, axis=1):
            yield vectors[:-1], vectors[-1]


def _counts(indices: NDArray[np.int64]) -> Floats:
    """How often each resample takes each row: (B, m)."""
    resamples, size = indices.shape
    places = indices + size * np.arange(resamples)[:, None]
    counted = np.bincount(places.ravel(), minlength=resamples * size)
    return counted.reshape(resamples, size).astype(np.float64)


def _mean_gradients(rows: Floats, counts: Floats, normalize: Normalize) -> Floats:
    """Mean gradients (B, d) of resamples; a mean of length 0 stays 0, and earns no weight."""
    total, exponent = exact_sum(rows, counts)
    peak = int(np.frexp(np.abs(total).max())[1])
    total = np.ldexp(total, -peak)
    norms = np.sqrt(np.sum(total * total, axis=1, keepdims=True))
    norms[norms == 0] = 1.0
    return on_grid(total, norms, len(rows), exponent + peak, normalize)
