"""Seeded order and disjoint splits, whatever the order of the rows.

Rows that share a question or a group (a passage, say) are one cluster, and a cluster is in one
split. Each has a place between 0 and 1, by the hash of the seed and of what its rows share: of
nothing else. `value` takes the clusters nearest to 0, `test` those nearest to 1, `train` those
nearest to the middle. So no split moves when another becomes larger or smaller, as long as they do
not meet; and a row more in the source that shares nothing moves at most one row of `value`.

A split has the third around its end of the line for itself. There it takes a row of every cluster
before a second one of any, so that a few long passages do not stand for all. What it needs beyond
that it takes cluster by cluster. `value` chooses first, then `test`, then `train`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from appraise.examples.conversations import text_of
from appraise.examples.example import Example
from appraise.examples.identity import digest, prompt_id
from appraise.examples.overlap import Marks, normalise

Splits = dict[str, list[Example]]
# where a split begins, and how far its own third reaches from there; in the order of choosing
_THIRDS = {"value": (0.0, 1 / 3), "test": (1.0, 1 / 3), "train": (0.5, 1 / 6)}
_DIGITS = 13  # hexadecimal, of a hash: as many as a float64 holds exactly


def seeded_order(examples: Iterable[Example], seed: int) -> list[Example]:
    """Examples in the order of SHA-256(seed, id): random, and independent of the given order."""
    return sorted(examples, key=lambda example: seeded_rank(example.id, seed))


def seeded_rank(identity: str, seed: int) -> str:
    """SHA-256(seed, id), by which examples are ordered."""
    return hashlib.sha256(f"{seed}\x1f{identity}".encode()).hexdigest()


def without_duplicates(examples: Iterable[Example], by_prompt: bool = False) -> list[Example]:
    """One of each id (or of each prompt and choices), the smallest as text, in the order of ids."""
    kept: dict[str, Example] = {}
    for example in examples:
        mark = prompt_id(example.prompt, example.choices) if by_prompt else example.id
        other = kept.get(mark)
        if other is None or _text(example) < _text(other):
            kept[mark] = example
    return sorted(kept.values(), key=lambda example: example.id)


def _text(example: Example) -> tuple[str, ...]:
    return (text_of(example.prompt), example.completion, example.rejected or "")


@dataclass(frozen=True)
class Cluster:
    """Rows of which no two may be in different splits.

    Attributes:
        place: from 0 to below 1, by the hash of seed and what they share.
        rows: in seeded order.
        marks: what they are recognised by.
    """

    place: float
    rows: tuple[Example, ...]
    marks: frozenset[str]


def clusters(examples: Iterable[Example], marks: Marks, seed: int) -> list[Cluster]:
    """The rows of a source in clusters, by place.

    Args:
        marks: what the rows of the source are recognised by.
    """
    of_row = {example: _marks(example, marks) for example in seeded_order(examples, seed)}
    joined = _joined(of_row.values())
    rows = defaultdict[str, list[Example]](list)
    for example, own in of_row.items():
        rows[joined[own[0]]].append(example)
    made = []
    for together in rows.values():
        # by their group if they have one: so a row more leaves the place as it is
        name = min(of_row[example][0] for example in together)
        place = int(seeded_rank(name, seed)[:_DIGITS], 16) / 16**_DIGITS
        shared = frozenset(chain.from_iterable(of_row[example] for example in together))
        made.append(Cluster(place, tuple(together), shared))
    return sorted(made, key=lambda cluster: cluster.place)


def _marks(example: Example, marks: Marks) -> tuple[str, ...]:
    """What no two splits may share: first a row's group, if it has one, then what it asks."""
    group = example.source.group
    own = marks.of(example)
    return (digest("group", normalise(group)), *own) if group else own


def _joined(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Mark → one mark for all that are joined by groups; by union-find."""
    parent: dict[str, str] = {}

    def root(mark: str) -> str:
        while parent.setdefault(mark, mark) != mark:
            parent[mark] = parent[parent[mark]]
            mark = parent[mark]
        return mark

    for first, *others in groups:
        for other in (first, *others):
            parent[root(other)] = root(first)
    return {mark: root(mark) for mark in list(parent)}


def split_examples(
    examples: Iterable[Example],
    marks: Marks,
    sizes: Mapping[str, int],
    seed: int,
    taken: dict[str, str],
) -> Splits:
    """Disjoint splits of the given sizes, each from its own end of the clusters.

    With clusters of one row each the sizes are met whenever there are as many rows; with larger
    ones, of at most g rows, whenever there are 2 (g - 1) more. Only where a row of every cluster
    would leave too few for the others do all splits take whole clusters instead.

    Args:
        marks: what the rows of their source are recognised by.
        sizes: examples wanted of value, train and test.
        taken: mark → split, of what other components of the target already put there. A cluster
            that shares a mark with another split is passed over. Updated in place.

    Returns:
        Splits, each in the order of taking; one may be shorter than wanted when the examples do not
        suffice.
    """
    placed = clusters(examples, marks, seed)
    for spread in (True, False):
        splits, used = _filled(placed, sizes, taken, spread)
        if all(len(splits[name]) == size for name, size in sizes.items()):
            break
    taken.update(used)
    return splits


def _filled(
    placed: Sequence[Cluster], sizes: Mapping[str, int], taken: Mapping[str, str], spread: bool
) -> tuple[Splits, dict[str, str]]:
    """Splits, and mark → split of the clusters that they use."""
    used: dict[str, str] = {}
    splits: Splits = {name: [] for name in sizes}
    for name in (name for name in _THIRDS if name in sizes):
        whose = {**taken, **used}
        free = [
            cluster
            for cluster in placed
            if all(whose.get(mark, name) == name for mark in cluster.marks)
        ]
        for cluster, example in islice(_in_order(free, name, spread), sizes[name]):
            splits[name].append(example)
            used.update(dict.fromkeys(cluster.marks, name))
    return splits, used


def _in_order(
    free: Iterable[Cluster], name: str, spread: bool
) -> Iterator[tuple[Cluster, Example]]:
    """The rows in the order in which a split takes them, each with its cluster."""
    begin, reach = _THIRDS[name]
    nearest = sorted(free, key=lambda cluster: abs(cluster.place - begin))
    own = [cluster for cluster in nearest if spread and abs(cluster.place - begin) < reach]
    by_cluster = ([(cluster, row) for row in cluster.rows] for cluster in nearest)
    rounds = zip_longest(*islice(by_cluster, len(own)))
    yield from (pair for pair in chain.from_iterable(rounds) if pair is not None)
    yield from chain.from_iterable(by_cluster)
