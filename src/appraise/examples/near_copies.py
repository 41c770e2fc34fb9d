"""Which rows of an offer are copies, or nearly, of rows that were offered before it.

Two rows are near copies when the sets of their shingles (overlapping pieces of five letters of the
normalised text) have a Jaccard similarity at or above a threshold: in the whole row, and also in
the end of its prompt with the completion, so that two questions on one long passage are two rows.
MinHash with locality-sensitive hashing (`datasketch`; Broder 1997) finds the candidates, and each
is then compared exactly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from appraise.examples.overlap import normalise

if TYPE_CHECKING:
    from datasketch import MinHash

Shingles = NDArray[np.uint32]
LETTERS = 5
SIMILARITY = 0.4
_PERMUTATIONS = 128
_SLACK = 0.1  # MinHash estimates: candidates are looked for this much below the threshold
_SEED = 1
_ASKED = 14  # words at the end of a prompt


@dataclass(frozen=True)
class Row:
    """A row as it is compared.

    Attributes:
        id: of the example.
        prompt: what is asked.
        completion: what is answered.
    """

    id: str
    prompt: str
    completion: str


@dataclass(frozen=True)
class NearCopy:
    """A row that was there before.

    Attributes:
        row: id of the copy.
        of: name of the dataset that had it first.
        of_row: id of the row there.
        similarity: Jaccard similarity of the whole rows.
    """

    row: str
    of: str
    of_row: str
    similarity: float


@dataclass(frozen=True)
class _Known:
    of: str
    row: str
    whole: Shingles
    asked: Shingles


def shingles(text: str) -> Shingles:
    """Hashes of the pieces of five letters of a normalised text, sorted, each once."""
    data = normalise(text).encode()
    pieces = {data[i : i + LETTERS] for i in range(max(1, len(data) - LETTERS + 1))}
    return np.array(sorted({zlib.crc32(piece) for piece in pieces}), dtype=np.uint32)


def similarity(one: Shingles, other: Shingles) -> float:
    """Jaccard similarity: common shingles over all."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def near_copies(
    datasets: Iterable[tuple[str, Sequence[Row]]], threshold: float = SIMILARITY
) -> Iterator[tuple[str, list[NearCopy]]]:
    """For each dataset its rows that an earlier one has; the most similar row is named.

    Rows are never compared within a dataset. A dataset that is added at the end changes nothing of
    the others.

    Args:
        datasets: name and rows of each, in the order in which they were registered.
        threshold: smallest similarity of a near copy.
    """
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=max(0.05, threshold - _SLACK), num_perm=_PERMUTATIONS)
    known: list[_Known] = []
    for name, rows in datasets:
        marked = [
            (_Known(name, row.id, shingles(_whole(row)), shingles(_asked(row))), row)
            for row in rows
        ]
        hashes = [_minhash(one.whole) for one, _ in marked]
        found = []
        for (one, _), minhash in zip(marked, hashes, strict=True):
            candidates = sorted(int(key) for key in index.query(minhash))
            copy = _closest(one, [known[place] for place in candidates], threshold)
            if copy is not None:
                found.append(copy)
        for (one, _), minhash in zip(marked, hashes, strict=True):
            index.insert(str(len(known)), minhash)
            known.append(one)
        yield name, found


def _whole(row: Row) -> str:
    return f"{row.prompt}\n{row.completion}"


def _asked(row: Row) -> str:
    """The end of the prompt, which is where the question stands, and the completion.

    Words are counted and not lines, which are the first thing that a copy would change.
    """
    return f"{' '.join(normalise(row.prompt).split()[-_ASKED:])}\n{row.completion}"


def _closest(one: _Known, candidates: Sequence[_Known], threshold: float) -> NearCopy | None:
    best = None
    for other in candidates:
        whole = similarity(one.whole, other.whole)
        better = best is None or whole > best.similarity
        if whole >= threshold and better and similarity(one.asked, other.asked) >= threshold:
            best = NearCopy(one.row, other.of, other.row, whole)
    return best


def _minhash(marks: Shingles) -> MinHash:
    from datasketch import MinHash

    minhash = MinHash(num_perm=_PERMUTATIONS, seed=_SEED, hashfunc=int)  # hashed already
    minhash.update_batch(marks.tolist())
    return minhash
