"""What the steps before say of a target: all that a decision on it is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from appraise.numerics.kernel import first_copies
from appraise.presentation.reasons import Coverer
from appraise.presentation.wording import short_names
from appraise.records.candidates import Candidates
from appraise.records.certificate import ProgramCertificate
from appraise.records.copies import CopiesSummary
from appraise.records.decision import Asked, SetAside
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.subset import Beside, Subset
from appraise.records.values import OwnerValue, Weight


@dataclass(frozen=True)
class Grounds:
    """What the steps before say of one target.

    Attributes:
        target: its name.
        title: what it is called.
        asked: what was asked for.
        offers: the pool.
        method: by which the datasets were valued; None where the policy looks at no value.
        weights: dataset → what it is worth.
        certificate: of the program; None, like `owners`, where the method solves none.
        owners: what nobody else offers, most valuable first.
        entered: dataset → the part of λ_max below which it is in the mix, for those that ever are.
        subset: what is bought by the policy that decides.
        purchases: policy → what it buys.
        kernel: of all that were valued.
        copies: how many rows of each dataset others had first.
        candidates: who is in the kernel.
        set_aside: what did not come as far as a valuation.
        contents: dataset → SHA-256 of what was taken of it.
        evidence: what all of this rests on → SHA-256.
    """

    target: str
    title: str
    asked: Asked
    offers: Offers
    method: str | None
    weights: Mapping[str, Weight]
    certificate: ProgramCertificate | None
    owners: tuple[OwnerValue, ...] | None
    entered: Mapping[str, float]
    subset: Subset
    purchases: Mapping[str, Subset]
    kernel: Kernel
    copies: CopiesSummary
    candidates: Candidates
    set_aside: tuple[SetAside, ...]
    contents: Mapping[str, str]
    evidence: Mapping[str, str]

    @cached_property
    def names(self) -> dict[str, str]:
        """Dataset → what it is called in a sentence."""
        return short_names({name: offer.title for name, offer in self.offers.by_id.items()})

    def quoted(self, dataset: str) -> str:
        """The same in quotation marks."""
        return f"“{self.names[dataset]}”"

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Dataset → its place, from 1; where there is a program, among those with a weight."""
        order = [item.id for item in self.subset.ranking]
        if self.certificate is not None:
            order = [name for name in order if self.weights[name].weight > 0]
        places = {name: place for place, name in enumerate(order, start=1)}
        return {name: places.get(name, 0) for name in self.weights}

    @cached_property
    def beside(self) -> dict[str, Beside]:
        """Dataset → how it stands to what is bought; empty where no program says it."""
        return {one.id: one.beside for one in self.subset.ranking if one.beside is not None}

    @cached_property
    def copy_of(self) -> dict[str, str]:
        """Refused datasets whose gradient another one has too → the name of the one that is bought,
        or of the first that has it."""
        ids, first, copies = self.kernel.ids, first_copies(self.kernel.K), dict[str, str]()
        bought = {first[ids.index(name)]: name for name in self.subset.datasets}
        for place, name in enumerate(ids):
            other = bought.get(first[place], ids[first[place]])
            if other != name and name not in self.subset.datasets:
                copies[name] = self.quoted(other)
        return copies

    def coverers(self, dataset: str) -> list[Coverer]:
        """The bought ones that teach part of the same, as sentences name them, largest first."""
        found = self.beside.get(dataset)
        covers = found.covered_by if found else ()
        return [Coverer(self.quoted(cover.id), cover.amount) for cover in covers]

    def worth(self, gain: float) -> float | None:
        """Money for a part of the target; None where nobody said what it is worth."""
        rate = self.subset.exchange_rate
        return None if rate is None else rate * gain
