"""The whole path of solutions in λ: when each dataset enters and leaves.

The optimum of Eq. 31 (arXiv 2605.16704) is piecewise linear in λ. At λ_max all weights are 0; on
the way down datasets enter, one by one, and some leave again when others cover them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, optimality

_PATH_ERROR = 1e-9  # a knot of the path less exact than this, in parts of λ_max, is solved anew
_PATH_END = 0.01  # the path reaches at least down to this part of λ_max
_LARS_END = float(np.finfo(np.float32).eps)  # where scikit-learn takes λ for 0
_LARS_UNIT = 64.0  # λ_max is brought near 1 for LARS where it is beyond this, either way

_Point = tuple[float, Floats]  # λ and the weights there


@dataclass(frozen=True)
class Path:
    """The whole solution path in λ: exact at its knots, linear between them.

    Attributes:
        lambdas: (L,) descending, the first is λ_max.
        weights: (L, n).
        complete: whether the datasets with a weight stay the same from the last knot down to λ = 0;
            otherwise nothing is known below it.
    """

    lambdas: Floats
    weights: Floats
    complete: bool = True


@dataclass(frozen=True)
class Stay:
    """A stretch of the path on which a dataset has a weight.

    Attributes:
        index: the dataset.
        enters: the λ below which its weight is not 0.
        leaves: the λ at which it is 0 again; None where it stays to the end of the path.
    """

    index: int
    enters: float
    leaves: float | None


def path_of(program: Program) -> Path:
    """All solutions, for every λ from λ_max down: exact at its knots, linear between them.

    By scikit-learn's LARS (`lars_path_gram`), with u_i = p_i w_i so that its penalty is uniform.
    LARS degenerates with copies and collinear datasets: copies are taken as one; every knot is
    checked against the conditions of optimality and solved anew where it fails; where LARS stopped
    above λ_max / 100 the path continues on a geometric grid; and where a point between two knots is
    not optimal the knots that are missing are added (`_refined`). Of copies the first has the
    weight, or with a ridge all have the same. Limits on the weights are left aside.

    Args:
        program: a checked one.
    """
    program = replace(program, limits=None)
    first = first_copies(program.K, priced=program.penalties)
    alone = np.flatnonzero(first == np.arange(len(first)))
    if len(alone) == len(first):
        return _path(program)
    merged = _path(_merged(program, first, alone))
    weights = np.zeros((len(merged.lambdas), len(first)))
    if program.ridge:  # copies share
        _, of, count = np.unique(first, return_inverse=True, return_counts=True)
        weights = merged.weights[:, of] / count[of]
    else:
        weights[:, alone] = merged.weights
    return Path(merged.lambdas, weights, merged.complete)


def _merged(program: Program, first: NDArray[np.int64], alone: NDArray[np.int64]) -> Program:
    """The program with exact copies at one penalty taken as one, which LARS could not tell apart.

    k copies share their weight v, which costs k γ/2 (v/k)²: a ridge of γ/k.
    """
    K = program.K[np.ix_(alone, alone)]
    K = K + np.diag(program.ridge / np.bincount(first)[alone])
    c, p = program.c[alone], program.penalties[alone]
    return Program(K, c, program.tau, p, 0.0, program.nonnegative)


def _path(program: Program) -> Path:
    """The path of a program without copies and limits."""
    top = program.lambda_max()
    if top == 0:  # nothing points towards the target
        return Path(np.zeros(1), np.zeros((1, len(program.c))))
    lambdas, weights, complete = _lars(program, top)
    keep = (lambdas > _PATH_ERROR * top) & (lambdas < top * (1 - 1e-12))
    lambdas = np.concatenate([[top], lambdas[keep]])
    weights = np.vstack([np.zeros(len(program.c)), weights[keep]])
    for j in np.flatnonzero(_violations(program, lambdas, weights) > _PATH_ERROR * top):
        weights[j] = optimum(program, float(lambdas[j]), weights[j])[0]
    end = float(lambdas[-1])
    grid = np.geomspace(end, _PATH_END * top, 21)[1:] if end > _PATH_END * top else np.empty(0)
    below: list[Floats] = [weights[-1]]
    for lam in grid:
        below.append(_knot(program, float(lam), below[-1]))
    lambdas, weights = np.concatenate([lambdas, grid]), np.vstack([weights, *below[1:]])
    scale = np.abs(weights).max(initial=0.0)
    weights[np.abs(weights) <= 1e-12 * scale] = 0.0  # left by a dataset that left
    lambdas, weights = _refined(program, lambdas, weights)
    return Path(lambdas, weights, complete)


def _violations(program: Program, lambdas: Floats, weights: Floats) -> Floats:
    """Largest violation of the conditions of optimality at each of several λ (L,)."""
    m = program.c - weights @ program.H
    threshold = lambdas[:, None] * program.penalties
    excess = np.maximum(m, 0.0) if program.nonnegative else np.abs(m)
    off = np.where(weights == 0, np.maximum(excess - threshold, 0.0),
                   np.abs(m - threshold * np.sign(weights)))  # fmt: skip
    if program.nonnegative:
        off = np.maximum(off, -weights * np.diag(program.H))
    return np.asarray(off.max(axis=1, initial=0.0))


def path_error(program: Program, path: Path, last: int) -> float:
    """Largest violation of the conditions of optimality on a path, down to a knot, in units of c.

    At the knots and half way between them; in between it is never larger.
    """
    lambdas, weights = path.lambdas[: last + 1], path.weights[: last + 1]
    between = _between(program, lambdas, weights).max(initial=0.0)
    return float(max(_violations(program, lambdas, weights).max(), between))


def _knot(program: Program, lam: float, guess: Floats) -> Floats:
    if optimality(program, guess, lam).kkt_violation <= _PATH_ERROR * program.lambda_max():
        return guess
    return optimum(program, lam, guess)[0]


def _lars(program: Program, top: float) -> tuple[Floats, Floats, bool]:
    """Descending λ (L,), weights (L, n), and whether LARS came down to λ = 0."""
    from sklearn.linear_model import lars_path_gram

    p = program.penalties
    unit = 1.0  # LARS has absolute tolerances; a power of 4 changes no digit of a weight
    if not 1 / _LARS_UNIT <= top <= _LARS_UNIT:
        unit = 4.0 ** -math.floor(math.log(top, 4) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate steps, which are checked and solved anew
        lambdas, _, coefficients = lars_path_gram(
            unit * program.c / p,
            unit * program.H / np.outer(p, p),
            n_samples=1,
            method="lasso",
            positive=program.nonnegative,
            max_iter=8 * len(p) + 100,
        )
    complete = bool(lambdas[-1] <= _LARS_END)
    descending = np.concatenate([[True], np.diff(lambdas) < 0])
    return lambdas[descending] / unit, np.asarray(coefficients.T / p)[descending], complete


def _refined(program: Program, lambdas: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The path with the knots that LARS missed.

    Solutions that are optimal at both ends and in the middle of a stretch are optimal all along
    it: margins and thresholds are linear. Elsewhere the stretch is covered by linear pieces, each
    from the datasets with a weight at one λ of it, or halved where they cannot be told apart.
    """
    least = _PATH_ERROR * float(lambdas[0])
    points: list[_Point] = list(zip(lambdas.tolist(), weights, strict=True))
    off = _between(program, lambdas, weights)
    open_ = [(points[j], points[j + 1]) for j in np.flatnonzero(off > least)]
    if not open_:
        return lambdas, weights
    knots: list[_Point] = []
    for _ in range(8 * len(program.c) + 100):
        if not open_:
            break
        high, low = open_.pop()
        lam, guess = (high[0] + low[0]) / 2, (high[1] + low[1]) / 2
        if high[0] - low[0] <= least or (
            _violations(program, np.array([lam]), guess[None])[0] <= least
        ):
            continue
        there, _ = optimum(program, lam, guess)
        ends = _piece(program, lam, there, low[0], high[0]) or [(lam, there)]
        knots += ends
        open_ += [(high, ends[0])] if ends[0][0] < high[0] else []
        open_ += [(ends[-1], low)] if ends[-1][0] > low[0] else []
    # A piece that ends at a knot leaves no residue there of who left; but where the optimum is not
    # unique the stretch beyond may go on from other weights.
    ways = [_joined(knots + points), _joined(points + knots)]
    return min(ways, key=lambda way: float(_between(program, *way).max(initial=0.0)))


def _joined(points: list[_Point]) -> tuple[Floats, Floats]:
    """λ, descending, and weights; of those at one λ the first."""
    points = sorted(points, key=lambda point: -point[0])
    lambdas, weights = np.array([lam for lam, _ in points]), np.array([w for _, w in points])
    apart = np.concatenate([[True], -np.diff(lambdas) > 1e-12 * lambdas[0]])
    return lambdas[apart], weights[apart]


def _between(program: Program, lambdas: Floats, weights: Floats) -> Floats:
    """Largest violation half way between each knot and the next (L − 1,)."""
    return _violations(program, (lambdas[1:] + lambdas[:-1]) / 2, (weights[1:] + weights[:-1]) / 2)


def _piece(
    program: Program, lam: float, weights: Floats, low: float, high: float
) -> list[_Point] | None:
    """The linear piece of the path at λ within (low, high): its upper and lower end, with weights.

    w = a − λb on the datasets A with a weight, H_AA a = c_A and H_AA b = ±p_A; it ends where one of
    these weights is 0 or another dataset's margin reaches its threshold. None where the piece
    cannot be told: datasets of A that cannot be told apart.
    """
    on = np.flatnonzero(weights)
    sign, across = np.sign(weights[on]), program.H[:, on]
    right = np.stack([program.c[on], program.penalties[on] * sign], axis=1)
    try:
        a, b = np.linalg.solve(across[on], right).T
    except np.linalg.LinAlgError:
        return None
    base, slope = program.c - across @ a, across @ b  # m = base + λ slope
    out = weights == 0
    value = np.concatenate([sign * a, -base[out], *([] if program.nonnegative else [base[out]])])
    rise = np.concatenate([
        -sign * b, (program.penalties - slope)[out],
        *([] if program.nonnegative else [(program.penalties + slope)[out]]),
    ])  # fmt: skip
    tight = 1e-11 * max(1.0, float(np.abs(value).max(initial=0.0)))
    if (value + lam * rise < -1e3 * tight).any():
        return None  # the datasets with a weight are not those of an optimum
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = -value / rise
    falls, grows = value + high * rise < -tight, value + low * rise < -tight
    above = min(high, float(crossing[falls].min(initial=high)))
    below = max(low, float(crossing[grows].max(initial=low)))
    if not below < above:
        return None

    def at(where: float) -> Floats:
        there = np.zeros_like(weights)
        there[on] = a - where * b
        return np.maximum(there, 0.0) if program.nonnegative else there

    return [(above, at(above)), (below, at(below))]


def stays(path: Path) -> tuple[Stay, ...]:
    """Every entry into the mix and every exit from it, by the λ of the entry, largest first."""
    found = []
    inside = path.weights != 0
    for i in np.flatnonzero(inside.any(axis=0)):
        column = inside[:, i]
        entries = np.flatnonzero(column[1:] & ~column[:-1])  # it is 0 at this knot, not at the next
        for j in entries:
            out = np.flatnonzero(~column[j + 1 :])
            leaves = float(path.lambdas[j + 1 + out[0]]) if len(out) else None
            found.append(Stay(int(i), float(path.lambdas[j]), leaves))
    return tuple(sorted(found, key=lambda stay: (-stay.enters, stay.index)))
