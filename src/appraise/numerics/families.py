"""Families: datasets whose gradients cannot be told apart, whoever offers them.

A seller who cuts one dataset into several, under one name or many, offers parts whose mean
gradients differ by sampling noise only. Sampling makes means longer than they are, so their cosine
is put right by the noise shares ν of both (see `kernel.noise_share`):

    cos°_ij = ⟨ḡ_i, ḡ_j⟩ / √(‖ḡ_i‖² (1 − ν_i) · ‖ḡ_j‖² (1 − ν_j))

The two datasets with the largest cos° are taken together, their mean and its noise are those of all
their rows, and so on as long as the largest is at or above the threshold. Pooling the rows makes
the noise smaller, so that parts find back to the whole before chance links them to something else.

A family is then valued as one dataset, on a preview of the usual size drawn from all its rows, in
the order of a hash of their content: parts of one dataset give back the very preview that the whole
would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError
from appraise.numerics.explanation import Cluster, cluster_values
from appraise.numerics.kernel import Floats, Normalize, inner_products, mean_gradient
from appraise.numerics.kmm import solve_program
from appraise.numerics.question import Question
from appraise.numerics.rule import Lambda

Rows = NDArray[np.floating[Any]]  # of a sketch, as they were written
_MOST_NOISE = 0.6  # a larger share is taken for this one: the ratio would blow up


@dataclass
class _Pooled:
    """Groups of datasets as they grow; group a is where its first member was.

    Attributes:
        gram: (n, n) inner products of the means.
        rows: (n,) how many rows each mean is of.
        squares: (n,) sum of the squared lengths of those rows.
    """

    gram: Floats
    rows: Floats
    squares: Floats

    def cosines(self, a: int | None = None) -> Floats:
        """cos° of all pairs, or of group a with all."""
        mean = np.diag(self.gram)
        spread = np.maximum(self.rows - 1, 1)
        noise = np.where(self.rows > 1, (self.squares / self.rows - mean) / spread, 0.0)
        length = np.sqrt(np.maximum(mean - noise, (1 - _MOST_NOISE) * mean))
        if a is None:
            return np.asarray(self.gram / np.outer(length, length))
        return np.asarray(self.gram[a] / (length[a] * length))

    def join(self, a: int, b: int) -> None:
        """Put the rows of group b to those of group a."""
        together = self.rows[a] + self.rows[b]
        part = self.rows[[a, b]] / together
        self.gram[a] = part @ self.gram[[a, b]]
        self.gram[:, a] = self.gram[:, [a, b]] @ part
        self.rows[a], self.squares[a] = together, self.squares[a] + self.squares[b]


def families(
    K: Floats, norms: Floats, noise: Floats, rows: Floats, threshold: float
) -> NDArray[np.int64]:
    """For each dataset the first member of its family: itself where it is alone.

    Args:
        K: (n, n) inner products of unit gradients.
        norms: (n,) lengths of the means before they were normalised.
        noise: ν (n,), NaN where it is not known (a single row), which is taken for 0.
        rows: (n,) how many rows each mean is of.
        threshold: of cos°, in (0, 1].

    Raises:
        ParamsError: the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise ParamsError(
            f"family_cosine: expected a cosine above 0 and at most 1, found {threshold}; "
            "0.8 is a good start"
        )
    squared = norms**2
    squares = rows * ((rows - 1) * np.nan_to_num(noise, nan=0.0) * squared + squared)
    pooled = _Pooled(K * np.outer(norms, norms), rows.astype(np.float64), squares)
    cosine, first = pooled.cosines(), np.arange(len(K))
    np.fill_diagonal(cosine, -np.inf)
    while len(K) > 1:
        a, b = sorted(map(int, np.unravel_index(int(cosine.argmax()), cosine.shape)))
        if cosine[a, b] < threshold:
            break
        pooled.join(a, b)
        first[first == b] = a
        gone = first != np.arange(len(K))
        joined = pooled.cosines(a)
        joined[gone] = -np.inf
        joined[a] = -np.inf
        cosine[a], cosine[:, a] = joined, joined
        cosine[b], cosine[:, b] = -np.inf, -np.inf
    return first


def merged_preview(
    rows: Sequence[Rows], keys: Sequence[Sequence[str]], size: int
) -> tuple[Rows, tuple[str, ...]]:
    """The preview of several datasets taken as one: rows in the order of their keys, each once.

    Args:
        rows: of each member (m, d).
        keys: of each member, one for each row: what rows are ordered by.
        size: of the preview.

    Returns:
        The rows (at most size, d), and their keys.
    """
    by_key: dict[str, Rows] = {}
    for table, names in zip(rows, keys, strict=True):
        for row, name in zip(table, names, strict=True):
            by_key.setdefault(name, row)
    names = sorted(by_key)[:size]
    return np.stack([by_key[name] for name in names]), tuple(names)


@dataclass(frozen=True)
class Families:
    """Datasets that cannot be told apart, valued as one.

    Attributes:
        first: for each dataset (by index) the first of its family; itself where it is alone.
        by_first: the first of each family → its weight and value.
        owners: the owners' values, in the program of the families.
    """

    first: list[int]
    by_first: dict[int, tuple[float, float]]
    owners: tuple[Cluster, ...]


def value_families(
    first: NDArray[np.int64],
    G: Floats,
    target: Floats,
    rows: Sequence[Rows],
    keys: Sequence[Sequence[str]],
    owners: Sequence[str],
    question: Question,
    lam: Lambda,
    normalize: Normalize = "unit",
) -> Families:
    """Value each family as one dataset, and each owner by the families that are all its own.

    Args:
        first: (n,) as `families` gives it.
        G: (n, d) mean gradients of the datasets.
        target: g_t (d,).
        rows: for each dataset its sketch rows (m_i, d).
        keys: for each dataset what its rows are ordered by.
        owners: (n,) who offers each.
        question: about the n datasets; families are valued without its limits.
        lam: of the datasets' own solution: families take theirs by the same rule.
        normalize: as in G.

    Raises:
        SolverError: rows add up to 0, or the answer misses the tolerance.
    """
    heads = np.unique(first)
    members = [np.flatnonzero(first == head) for head in heads]
    means = G[heads].copy()
    for place, several in enumerate(members):
        if len(several) > 1:
            theirs = several.tolist()
            size = max(len(rows[i]) for i in theirs)
            preview, _ = merged_preview([rows[i] for i in theirs], [keys[i] for i in theirs], size)
            means[place] = mean_gradient(preview, normalize)
    K, c = inner_products(means, means), inner_products(means, target[None])[:, 0]
    asked = question.of_groups(len(members))
    program = asked.program(K, c, float(target @ target))
    solution = solve_program(program, lam.of(program.tau, program.lambda_max()), asked.tolerance)
    each = cluster_values(program, solution, [str(head) for head in heads])
    sole = [_sole_owner(several, owners) for several in members]
    by_owner = tuple(one for one in cluster_values(program, solution, sole) if one.name)
    by_first = {int(one.name): (one.weight, one.value) for one in each}
    return Families(first.tolist(), by_first, by_owner)


def _sole_owner(members: NDArray[np.int64], owners: Sequence[str]) -> str:
    """Who offers all of a family; nobody ("") where others offer the same."""
    who = {owners[i] for i in members}
    return who.pop() if len(who) == 1 else ""
