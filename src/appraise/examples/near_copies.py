"""Which rows of an offer are copies, or nearly, of rows that were offered before it.

Two rows are near copies when the sets of their shingles (overlapping pieces of five letters of the
normalised text) have a Jaccard similarity at or above a threshold: in the whole row, and also in
the end of its prompt with the completion, so that two questions on one long passage are two rows.
MinHash with locality-sensitive hashing (`datasketch`; Broder 1997) finds the candidates, and each
is then compared exactly.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from appraise.examples.conversations import text_of
from appraise.examples.example import Example
from appraise.examples.overlap import normalise

Shingles = NDArray[np.uint32]
LETTERS = 5
SIMILARITY = 0.4
_PERMUTATIONS = 128
_SLACK = 0.1  # MinHash estimates: candidates are looked for this much below the threshold
_SEED = 1
_ASKED = 14  # words at the end of a prompt


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
    datasets: Iterable[tuple[str, Sequence[Example]]], threshold: float = SIMILARITY
) -> Iterator[tuple[str, list[NearCopy]]]:
    """For each dataset its rows that an earlier one has; the most similar row is named.

    Rows are never compared within a dataset. A dataset that is added at the end changes nothing of
    the others.

    Args:
        datasets: name and rows of each, in the order in which they were registered.
        threshold: smallest similarity of a near copy.
    """
    index = MinHashLSH(threshold=max(0.05, threshold - _SLACK), num_perm=_PERMUTATIONS)
    known: list[_Known] = []
    for name, examples in datasets:
        rows = [
            _Known(name, example.id, shingles(_whole(example)), shingles(_asked(example)))
            for example in examples
        ]
        hashes = [_minhash(row.whole) for row in rows]
        copies = []
        for row, minhash in zip(rows, hashes, strict=True):
            candidates = sorted(int(key) for key in index.query(minhash))
            copy = _closest(row, [known[place] for place in candidates], threshold)
            if copy is not None:
                copies.append(copy)
        for row, minhash in zip(rows, hashes, strict=True):
            index.insert(str(len(known)), minhash)
            known.append(row)
        yield name, copies


def _whole(example: Example) -> str:
    return f"{text_of(example.prompt)}\n{example.completion}"


def _asked(example: Example) -> str:
    """The end of the prompt, which is where the question stands, and the completion.

    Words are counted and not lines, which are the first thing that a copy would change.
    """
    words = normalise(text_of(example.prompt)).split()
    return f"{' '.join(words[-_ASKED:])}\n{example.completion}"


def _closest(row: _Known, candidates: Sequence[_Known], threshold: float) -> NearCopy | None:
    best = None
    for other in candidates:
        whole = similarity(row.whole, other.whole)
        better = best is None or whole > best.similarity
        if whole >= threshold and better and similarity(row.asked, other.asked) >= threshold:
            best = NearCopy(row.row, other.of, other.row, whole)
    return best


def _minhash(marks: Shingles) -> MinHash:
    minhash = MinHash(num_perm=_PERMUTATIONS, seed=_SEED, hashfunc=int)  # hashed already
    minhash.update_batch(marks.tolist())
    return minhash


def whose(copies: Sequence[NearCopy]) -> dict[str, int]:
    """Who had the rows first → how many of them; the most first, then by name."""
    counts = Counter(copy.of for copy in copies)
    return {name: counts[name] for name in sorted(counts, key=lambda name: (-counts[name], name))}
