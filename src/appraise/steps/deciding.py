"""From what the steps before say of a target to the decision on it.

What a method cannot say is left out: a decision by alignment alone has no certificate, no families
and no price to walk away from, and its reasons are ranks.
"""

from __future__ import annotations

import math

from appraise.presentation.reasons import (
    Ranking,
    Reason,
    Refusal,
    praise,
    rank_praise,
    rank_reason,
    reason,
    remedy,
)
from appraise.records.decision import UNNAMED, Decision, Family, Owner, Purchase, Reach, Screened
from appraise.records.valued import Bought, Cover, Explained, Refused, Valued
from appraise.records.values import Weight
from appraise.steps.grounds import Grounds


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
        uncertainty=weight.resampled,
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
