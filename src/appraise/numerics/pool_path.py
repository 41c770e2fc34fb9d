"""λ by rule over a large pool: the path of a working set, proven to be the path of all datasets.

The optimum is piecewise linear in λ, and so are all margins. Let W be a working set and w(λ) the
path over W. It is the path over all n datasets from λ_max down to λ_j if and only if at every knot
λ_0 > … > λ_j each dataset outside W has a margin of at most λ_l p_i: what holds at both ends of a
stretch holds along it. So the path over W is computed, all residuals at once are multiplied with G,
and who violates comes into W, until nobody does. (Solution paths: Osborne, Presnell and Turlach
2000; Efron et al. 2004.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.optimum import optimum
from appraise.numerics.path import Path, path_error, path_of
from appraise.numerics.pool import NONE, Indices, PoolProgram
from appraise.numerics.program import Program
from appraise.numerics.question import Question
from appraise.numerics.rule import Lambda

HAIR = 1e-6  # of ‖g_i‖‖r‖: a margin nearer to its threshold counts as at it
BATCH = 128  # datasets of the first working set, and of those that enter it at once
_SLACK = 1e-9  # of λ_max p_i: what the path over W is exact to
_BOTTOM = 1e-7  # of λ_max: taken for λ = 0
_COARSE = 8  # knots that are looked at before all are
_MOST_ROUNDS = 200


@dataclass(frozen=True)
class ProvenLambda:
    """λ that a rule chooses over all datasets.

    Attributes:
        lam: λ, the same as on the path of all n datasets.
        needed: ascending, every dataset that has a weight on the path down to λ and just below it,
            or is within a hair of its threshold: without them the path, and so λ, would be another.
        support: those with a weight at λ.
        rounds: how often the path was computed.
    """

    lam: Lambda
    needed: Indices
    support: Indices
    rounds: int


def proven_lambda(program: PoolProgram, question: Question, batch: int = BATCH) -> ProvenLambda:
    """λ by the rule on the path without limits, proven over all n datasets.

    Args:
        program: of the target.
        question: about the n datasets.
        batch: how many datasets the first working set holds, and come into it at once.

    Raises:
        ParamsError: the number that the rule needs is missing or out of range.
        SolverError: the path could not be followed as far as the rule leads, or not be proven.
    """
    terms = program.terms
    top = terms.lambda_max()
    if top == 0:
        return ProvenLambda(question.rule.at(0.0, 0.0, terms.tau), NONE, NONE, 0)
    order = np.argsort(-terms.pull(terms.c) / terms.penalties, kind="stable")[:batch]
    working = np.unique(program.firsts(order))
    rows = program.pool.rows(working)
    K = rows @ rows.T
    for rounds in range(1, _MOST_ROUNDS + 1):
        part = Program(K, terms.c[working], terms.tau, terms.penalties[working], terms.ridge)
        path = path_of(part)
        last, beyond = question.rule.knot(path, terms.tau)
        lambdas, weights = _down_to(part, path, last, beyond)
        nearest, new = _entering(program, part, working, rows, lambdas, weights, batch)
        if not len(new):
            lam = question.rule.at(float(path.lambdas[last]), top, terms.tau)
            ever = (path.weights[: last + 2] != 0).any(axis=0)
            support = working[path.weights[last] != 0]
            return ProvenLambda(lam, np.union1d(nearest, working[ever]), np.sort(support), rounds)
        fresh = program.pool.rows(new)
        cross = rows @ fresh.T
        K = np.block([[K, cross], [cross.T, fresh @ fresh.T]])
        working, rows = np.concatenate([working, new]), np.concatenate([rows, fresh])
    raise SolverError(
        f"expected a path over all datasets after {_MOST_ROUNDS} rounds, found that others still "
        "enter it; choose lambda as a part of the target"
    )


def _down_to(part: Program, path: Path, last: int, beyond: bool) -> tuple[Floats, Floats]:
    """λ and weights of the knots at which nobody else may enter: (L,), (L, s).

    Where the path ends before the rule is broken, down to λ = 0: otherwise a dataset outside could
    make it end lower.

    Raises:
        SolverError: the path is not exact so far down.
    """
    top = float(path.lambdas[0])
    if (not beyond and not path.complete) or path_error(part, path, last + 1) > 10 * _SLACK * top:
        raise SolverError(
            f"lambda cannot be proven: expected a path that is exact down to "
            f"{path.lambdas[last] / top:.3g} of lambda_max, found that rounding decides there; ask "
            "for a smaller number, or choose lambda as a part of the target"
        )
    checked = path.lambdas[: last + 1] >= _BOTTOM * top
    lambdas, weights = path.lambdas[: last + 1][checked], path.weights[: last + 1][checked]
    if beyond:
        return lambdas, weights
    lowest, _ = optimum(part, _BOTTOM * top, path.weights[-1])
    return np.append(lambdas, _BOTTOM * top), np.vstack([weights, lowest])


def _entering(
    program: PoolProgram,
    part: Program,
    working: Indices,
    rows: Floats,
    lambdas: Floats,
    weights: Floats,
    batch: int,
) -> tuple[Indices, Indices]:
    """Who is at some knot at its threshold, or above it; who of them comes into the working set.

    A few knots are looked at first: while somebody enters there, the rest need not be known.

    Args:
        part: the program over the working set.
        rows: (s, d) its gradients.
        lambdas, weights: (L,), (L, s) of the knots.
        batch: how many come in at once, or as many as there are.
    """
    some = np.unique(np.linspace(0, len(lambdas) - 1, _COARSE).round().astype(np.int64))
    for knots in (some, np.arange(len(lambdas))):
        excess = _excess(program, part, working, rows, lambdas[knots], weights[knots])
        near = np.flatnonzero(excess >= -HAIR)
        near = near[np.argsort(-excess[near], kind="stable")]
        firsts = program.firsts(near)
        _, order = np.unique(firsts, return_index=True)
        firsts = firsts[np.sort(order)]  # each once, the worst first
        new = firsts[~np.isin(firsts, working)][: max(batch, len(working))]
        if len(new):
            break
    return np.sort(firsts), np.sort(new)


def _excess(
    program: PoolProgram,
    part: Program,
    working: Indices,
    rows: Floats,
    lambdas: Floats,
    weights: Floats,
) -> Floats:
    """By how much margins exceed thresholds at most at some knot, in units of ‖g_i‖‖r‖ (n,)."""
    terms = program.terms
    residuals = program.target - weights @ rows
    lengths = np.maximum(np.linalg.norm(residuals, axis=1), 1e-300)
    asked = lambdas - _SLACK * terms.lambda_max()

    def largest(margins: Floats, penalties: Floats, norms: Floats) -> Floats:
        over = (margins - np.outer(penalties, asked)) / lengths
        return np.asarray(over.max(axis=1) / np.maximum(norms, 1e-300))

    excess = program.pool.by_blocks(
        lambda of, at: largest(of @ residuals.T, terms.penalties[at], program.pool.norms[at])
    )
    own = (part.c - weights @ part.H).T  # with the ridge's term
    excess[working] = largest(own, part.penalties, program.pool.norms[working])
    return excess
