"""What is sold together, and what excludes what.

A lot is bought whole or not at all: a bundle of datasets, or, as most are, a single one. Of two
lots that exclude each other at most one may be bought.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats


@dataclass(frozen=True)
class Lots:
    """How n datasets are sold.

    Attributes:
        members: for each lot its datasets, ascending; each dataset is in one lot. Lots are in the
            order of their first members.
        excludes: pairs of lots, the smaller first, of which at most one may be bought.
        barred: lots that may not be bought at all.
    """

    members: tuple[tuple[int, ...], ...]
    excludes: frozenset[tuple[int, int]] = frozenset()
    barred: frozenset[int] = frozenset()

    def size(self, lot: int) -> int:
        """How many datasets it holds."""
        return len(self.members[lot])

    def price(self, lot: int, prices: Floats) -> float:
        """Money for all of it."""
        return float(prices[list(self.members[lot])].sum())

    def fits(self, lot: int, taken: Collection[int]) -> bool:
        """Whether it may be bought, and nothing that was taken excludes it."""
        if lot in self.barred:
            return False
        return not any((min(lot, one), max(lot, one)) in self.excludes for one in taken)

    def datasets(self, taken: Iterable[int]) -> tuple[int, ...]:
        """The datasets of some lots, in the order of the lots."""
        return tuple(i for lot in taken for i in self.members[lot])


def lots(
    n: int,
    bundles: Sequence[Sequence[int]] = (),
    exclusions: Iterable[tuple[int, int]] = (),
    barred: Collection[int] = (),
) -> Lots:
    """Lots of n datasets: the bundles, and every other dataset by itself.

    Args:
        n: number of datasets.
        bundles: datasets that are sold only together.
        exclusions: pairs of datasets that are not sold to the same buyer; their lots then are not.
        barred: datasets that may not be bought, with all that is sold only with them.

    Raises:
        ParamsError: a dataset is in two bundles, or excludes one of its own bundle or itself.
    """
    of: dict[int, tuple[int, ...]] = {}
    for bundle in bundles:
        members = tuple(sorted(set(bundle)))
        for i in members:
            if i in of:
                raise ParamsError(
                    f"bundles: expected each dataset in one bundle, found dataset {i} in two; "
                    "leave it in one of them"
                )
            of[i] = members
    found = tuple(dict.fromkeys(of.get(i, (i,)) for i in range(n)))
    place = {i: lot for lot, members in enumerate(found) for i in members}
    pairs = set()
    for one, other in exclusions:
        a, b = sorted((place[one], place[other]))
        if a == b:
            raise ParamsError(
                f"exclusions: expected datasets that can be bought apart, found {one} and {other}, "
                "which are sold together; mend the bundle or the exclusion"
            )
        pairs.add((a, b))
    return Lots(found, frozenset(pairs), frozenset(place[i] for i in barred))
