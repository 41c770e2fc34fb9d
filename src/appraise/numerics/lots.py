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
        members = self.members[lot]
        return float(prices[members[0]] if len(members) == 1 else prices[list(members)].sum())

    def excluded(self, lot: int, taken: Collection[int]) -> bool:
        """Whether something that was taken excludes it."""
        if not self.excludes:
            return False
        return any((min(lot, other), max(lot, other)) in self.excludes for other in taken)

    def fits(self, lot: int, taken: Collection[int]) -> bool:
        """Whether it may be bought, and nothing that was taken excludes it."""
        return lot not in self.barred and not self.excluded(lot, taken)

    def datasets(self, taken: Iterable[int]) -> tuple[int, ...]:
        """The datasets of some lots, in the order of the lots."""
        return tuple(i for lot in taken for i in self.members[lot])


def lots_of(
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
    bundle_of: dict[int, tuple[int, ...]] = {}
    for bundle in bundles:
        members = tuple(sorted(set(bundle)))
        for i in members:
            if i in bundle_of:
                raise ParamsError(
                    f"bundles: expected each dataset in one bundle, found dataset {i} in two; "
                    "leave it in one of them"
                )
            bundle_of[i] = members
    sold = tuple(dict.fromkeys(bundle_of.get(i, (i,)) for i in range(n)))
    lot_of = {i: lot for lot, members in enumerate(sold) for i in members}
    pairs = set()
    for i, j in exclusions:
        a, b = sorted((lot_of[i], lot_of[j]))
        if a == b:
            raise ParamsError(
                f"exclusions: expected datasets that can be bought apart, found {i} and {j}, "
                "which are sold together; change the bundle or the exclusion"
            )
        pairs.add((a, b))
    return Lots(sold, frozenset(pairs), frozenset(lot_of[i] for i in barred))
