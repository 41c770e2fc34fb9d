"""From what the steps before say of a target to the decision on it.

What a method cannot say is left out: a decision by alignment alone has no certificate, no families
and no price to walk away from, and its reasons are ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from appraise.numerics.kernel import first_copies
from appraise.presentation.reasons import (
    Coverer,
    Ranking,
    Reason,
    Refusal,
    praise,
    rank_praise,
    rank_reason,
    reason,
    remedy,
)
from appraise.presentation.wording import short_names
from appraise.records.candidates import Candidates
from appraise.records.copies import CopiesSummary
from appraise.records.decision import (
    UNNAMED,
    Asked,
    Bought,
    Cover,
    Decision,
    Explained,
    Family,
    Owner,
    Purchase,
    Reach,
    Refused,
    Screened,
    SetAside,
    Uncertainty,
    Valued,
)
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.subset import Subset
from appraise.records.values import OwnerValue, ProgramCertificate, Weight


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
    def copy_of(self) -> dict[str, str]:
        """Datasets whose gradient another one has too → the name of the first that has it."""
        ids = self.kernel.ids
        pairs = zip(ids, first_copies(self.kernel.K), strict=True)
        return {copy: self.quoted(ids[first]) for copy, first in pairs if copy != ids[first]}

    def covers(self, dataset: str) -> Iterator[tuple[str, float]]:
        """The others that teach part of the same, and how much of it, largest first."""
        standing = self.weights[dataset].standing
        for cover in standing.covered_by if standing else ():
            if cover.id != dataset:
                yield cover.id, cover.amount

    def coverers(self, dataset: str) -> list[Coverer]:
        """The same, as sentences name them."""
        bought = set(self.subset.datasets)
        return [Coverer(self.quoted(o), amount, o in bought) for o, amount in self.covers(dataset)]


def decide(grounds: Grounds) -> Decision:
    """The decision on one target, under the id that its content gives it."""
    subset, pool = grounds.subset, grounds.offers
    return Decision(
        decision_id=UNNAMED,
        target=grounds.target,
        title=grounds.title,
        pool=pool.title,
        currency=pool.currency,
        prices_are_examples=pool.prices_are_examples,
        policy=subset.policy,
        method=grounds.method,
        asked=grounds.asked,
        bought=tuple(_bought(grounds, dataset) for dataset in subset.datasets),
        cost=subset.cost,
        refused=tuple(_refused(grounds)),
        screened=_screened(grounds),
        set_aside=grounds.set_aside,
        owners=_owners(grounds),
        policies={
            name: Purchase(datasets=one.datasets, cost=one.cost)
            for name, one in grounds.purchases.items()
        },
        reached=_reach(grounds),
        families=_families(grounds),
        certificate=grounds.certificate,
        evidence=dict(grounds.evidence),
    ).named()


def _valued(grounds: Grounds, dataset: str, why: str) -> Valued:
    """What a decision says of every dataset, bought or refused."""
    offer, weight = grounds.offers[dataset], grounds.weights[dataset]
    alternatives = grounds.subset.alternatives
    return Valued(
        id=dataset,
        name=grounds.names[dataset],
        title=offer.title,
        provider=offer.provider,
        version=offer.version,
        licence=offer.licence,
        price=weight.price,
        weight=weight.weight,
        rank=grounds.ranks[dataset],
        alignment=weight.alignment,
        copied=grounds.copies[dataset],
        uncertainty=Uncertainty(**vars(weight.resampled)) if weight.resampled else None,
        explained=_explained(grounds, dataset, weight),
        cut=alternatives.separations.get(dataset) if alternatives else None,
        reason=why,
    )


def _explained(grounds: Grounds, dataset: str, weight: Weight) -> Explained | None:
    standing = weight.standing
    if standing is None:
        return None
    covered_by = [
        Cover(
            id=other,
            title=grounds.offers[other].title,
            amount=amount,
            share=amount / weight.alignment if weight.alignment > 0 else None,
            bought=other in grounds.subset.datasets,
        )
        for other, amount in grounds.covers(dataset)
    ]
    return Explained(
        penalty=standing.penalty,
        margin=standing.margin,
        threshold=standing.threshold,
        near_threshold=standing.near_threshold,
        covered_by=tuple(covered_by),
        enters=grounds.entered.get(dataset),
        value=standing.value,
        value_in_money=standing.value_in_money,
        walk_away_price=standing.walk_away_price,
        signed_weight=standing.signed_weight,
    )


def _bought(grounds: Grounds, dataset: str) -> Bought:
    weights = grounds.weights
    if weights[dataset].standing is None:
        why = rank_praise(_ranking(grounds, dataset))
    else:
        alignment = weights[dataset].alignment
        place = 1 + sum(other.alignment > alignment for other in weights.values())
        why = praise(place, len(weights), alignment, grounds.coverers(dataset))
    return Bought(
        **dict(_valued(grounds, dataset, why)),
        sha256=grounds.contents[dataset],
        source_sha256=grounds.offers[dataset].sha256,
    )


def _refused(grounds: Grounds) -> list[Refused]:
    """Those not bought: the useful ones by rank, then the others by how little they lack."""
    subset, refused = grounds.subset, []
    for dataset in sorted(set(grounds.weights) - set(subset.datasets)):
        why = _reason(grounds, dataset)
        change = subset.alternatives.changes[dataset] if subset.alternatives else None
        refused.append(
            Refused(
                **dict(_valued(grounds, dataset, why.sentence)),
                reason_kind=why.kind,
                change=change,
                remedy=remedy(change, subset.k, subset.currency),
            )
        )
    return sorted(refused, key=lambda item: (item.rank or math.inf, _lacks(item), item.id))


def _lacks(item: Refused) -> float:
    """What a dataset lacks to earn a weight."""
    explained = item.explained
    return explained.threshold - explained.margin if explained else 0.0


def _reason(grounds: Grounds, dataset: str) -> Reason:
    weight, subset, rank = grounds.weights[dataset], grounds.subset, grounds.ranks[dataset]
    standing, resampled = weight.standing, weight.resampled
    if standing is None:
        return rank_reason(_ranking(grounds, dataset))
    signed_high = resampled.signed_high if resampled else None
    return reason(
        Refusal(
            alignment=weight.alignment,
            margin=standing.margin,
            threshold=standing.threshold,
            weight=weight.weight,
            signed_high=math.inf if signed_high is None else signed_high,
            covered_by=grounds.coverers(dataset),
            priced=grounds.asked.priced,
            rank=rank,
            positive=sum(place > 0 for place in grounds.ranks.values()),
            k=subset.k if subset.k is not None else len(grounds.weights),
            bought_before=sum(0 < grounds.ranks[one] < rank for one in subset.datasets),
            ineligible=subset.ineligible.get(dataset),
            copy_of=grounds.copy_of.get(dataset),
            excluded_by=_excluded_by(grounds, dataset),
        )
    )


def _ranking(grounds: Grounds, dataset: str) -> Ranking:
    """Where a dataset stands, where that is all that its method says."""
    subset = grounds.subset
    outcomes = {item.id: item.reason for item in subset.ranking}
    return Ranking(
        rank=grounds.ranks[dataset],
        of=len(grounds.weights),
        method=grounds.method,
        outcome=outcomes[dataset],
        bought=len(subset.datasets),
        ineligible=subset.ineligible.get(dataset),
        excluded_by=_excluded_by(grounds, dataset),
    )


def _excluded_by(grounds: Grounds, dataset: str) -> str | None:
    """The bought dataset beside which it, or what it is bundled with, is not sold."""
    if dataset not in grounds.subset.excluded:
        return None
    offers, bundle = grounds.offers.by_id, grounds.offers[dataset].bundle
    with_it = {dataset} | {n for n, offer in offers.items() if bundle and offer.bundle == bundle}
    for other in grounds.subset.datasets:
        if set(offers[other].excludes) & with_it or any(
            other in offers[one].excludes for one in with_it
        ):
            return grounds.quoted(other)
    return None


def _reach(grounds: Grounds) -> Reach | None:
    reached, beyond = grounds.subset.reached, grounds.subset.alternatives
    if grounds.certificate is None or reached is None:
        return None
    return Reach(
        **dict(reached),
        exchange_rate=beyond.exchange_rate if beyond else grounds.certificate.exchange_rate,
        shadow_price=beyond.shadow_price if beyond else None,
        frontier=beyond.frontier if beyond else (),
    )


def _screened(grounds: Grounds) -> Screened | None:
    """Of a large pool: how many datasets are not in the kernel, and what justifies that."""
    candidates = grounds.candidates
    if not candidates.screened:
        return None
    proof = candidates.certificates[grounds.target] if grounds.certificate else None
    return Screened(datasets=candidates.screened, certificate=proof)


def _owners(grounds: Grounds) -> tuple[Owner, ...]:
    """What each owner offers, most valuable first; by name where nothing says what it is worth."""
    if grounds.owners is not None:
        return tuple(Owner(**vars(one)) for one in grounds.owners)
    offered: dict[str, list[str]] = {}
    for dataset, weight in grounds.weights.items():
        offered.setdefault(weight.owner, []).append(dataset)
    return tuple(
        Owner(
            owner=name, datasets=tuple(offered[name]), weight=None, value=None, value_in_money=None
        )
        for name in sorted(offered)
    )


def _families(grounds: Grounds) -> tuple[Family, ...] | None:
    """Datasets that cannot be told apart, with what they are worth as one."""
    if grounds.certificate is None:
        return None
    members: dict[str, list[str]] = {}
    standings = {
        name: row.standing for name, row in sorted(grounds.weights.items()) if row.standing
    }
    for dataset, standing in standings.items():
        members.setdefault(standing.family, []).append(dataset)
    return tuple(
        Family(
            datasets=tuple(found),
            weight=standings[first].family_weight,
            value=standings[first].family_value,
        )
        for first, found in members.items()
        if len(found) > 1
    )
