"""Of a large pool the datasets among which the question has the same answer as among all.

For each target the question is solved over all n datasets without a kernel matrix: λ as its rule
says, with the ridge and within the limits (`working_set`, `pool_path`). The proof is that of the
very program that decides. Candidates are

- those with a weight: an optimum over all whose datasets are all among the candidates is an optimum
  over the candidates;
- those that have a weight anywhere on the path down to λ, where the rule chooses λ on the path;
- those whose margins are within a hair of their thresholds, so that rounding gradients to float32
  decides nothing; of exact copies only as many as can have a weight, the first ones;
- those that pull hardest, either way: λ_max of both programs, w ≥ 0 and signed, is theirs.

The rest of the room goes to those that lack least. Where more are needed than there is room for,
there are more candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.pool import Indices, Pool
from appraise.numerics.pool_path import BATCH
from appraise.numerics.question import Question
from appraise.numerics.working_set import LargeSolution, Pass, solve_pool

_HARDEST = 20  # of those that pull hardest, either way


@dataclass(frozen=True)
class Screening:
    """Which datasets are candidates, and for each target what proves it.

    Attributes:
        candidates: (s,) int64, ascending.
        solutions: target → its solution over all n datasets, with the proof.
    """

    candidates: Indices
    solutions: dict[str, LargeSolution]


def screening(
    pool: Pool,
    targets: Mapping[str, Floats],
    question: Question,
    largest: int,
    batch: int = BATCH,
    progress: Callable[[Pass], object] = lambda _: None,
) -> Screening:
    """The candidates of a pool, for all targets together.

    Over the candidates the weights w ≥ 0 and λ are those over all n datasets. Signed weights,
    resamples and paths below λ are the candidates' own.

    Args:
        pool: gradients (n, d), float32 or float64.
        targets: target → its gradient (d,).
        question: about the n datasets.
        largest: how many candidates there are, unless more are needed.
        batch: how many datasets come into a working set at once.
        progress: called after each pass over the pool.

    Raises:
        ParamsError: the number that the rule needs is missing or out of range.
        SolverError: the question is ill-posed, or its answer cannot be proven; the message begins
            with the target.
    """
    solutions = {}
    for name, target in targets.items():
        try:
            solutions[name] = solve_pool(pool, target, question, batch=batch, progress=progress)
        except SolverError as error:
            raise SolverError(f"{name}: {error}") from None
    p = question.penalties
    needed = [
        np.union1d(one.needed, np.argsort(-np.abs(one.alignment) / p, kind="stable")[:_HARDEST])
        for one in solutions.values()
    ]
    first = np.unique(np.concatenate(needed))
    lacks = np.max([_lack(one, p) for one in solutions.values()], axis=0)
    order = np.argsort(-lacks, kind="stable")
    more = order[~np.isin(order, first)][: max(0, largest - len(first))]
    return Screening(np.sort(np.concatenate([first, more])), solutions)


def _lack(solution: LargeSolution, p: Floats) -> Floats:
    """The margin as a part of λp, less what limits ask beyond it (n,)."""
    own = solution.lam.value * p
    left = solution.margins - (solution.thresholds - own)
    least = 1e-12 * float(np.abs(solution.alignment / p).max()) or 1.0  # where λ is 0
    return np.asarray(left / p / max(solution.lam.value, least))
