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
from appraise.presentation.wording import money
from appraise.records.decision import UNNAMED, Decision, Family, Owner, Purchase, Reach, Screened
from appraise.records.valued import Adds, Bought, Cover, Explained, Refused, Valued
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
        price=offer.price,
        weight=weight.weight,
        rank=grounds.ranks[dataset],
        alignment=weight.alignment,
        copied=grounds.copies[dataset],
        uncertainty=weight.resampled,
        explained=_explained(grounds, dataset, weight),
        adds=_adds(grounds, dataset, weight),
        walk_away_price=_walk_away_price(grounds, dataset),
        bought_probability=(alternatives.bought_probability.get(dataset) if alternatives else None),
        cut=alternatives.separations.get(dataset) if alternatives else None,
        reason=why,
    )


def _explained(grounds: Grounds, dataset: str, weight: Weight) -> Explained | None:
    standing = weight.standing
    if standing is None:
        return None
    return Explained(
        margin=standing.margin,
        threshold=standing.threshold,
        near_threshold=standing.near_threshold,
        enters=grounds.entered.get(dataset),
        value=standing.value,
        signed_weight=standing.signed_weight,
    )


def _adds(grounds: Grounds, dataset: str, weight: Weight) -> Adds | None:
    beside, certificate = grounds.beside.get(dataset), grounds.certificate
    if beside is None or certificate is None:
        return None
    covered_by = [
        Cover(
            id=cover.id,
            title=grounds.offers[cover.id].title,
            amount=cover.amount,
            share=cover.amount / weight.alignment if weight.alignment > 0 else None,
        )
        for cover in beside.covered_by
    ]
    return Adds(
        gain=beside.gain,
        gain_in_money=grounds.worth(beside.gain),
        margin=beside.margin,
        needed=certificate.lam,
        share=beside.weight,
        covered_by=tuple(covered_by),
    )


def _walk_away_price(grounds: Grounds, dataset: str) -> float | None:
    found = grounds.subset.alternatives
    if found is None:
        return None
    change = found.changes.get(dataset)
    return change.price if change else found.walk_away.get(dataset)


def _bought(grounds: Grounds, dataset: str) -> Bought:
    weights = grounds.weights
    if dataset not in grounds.beside:
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
    """Those not bought: by what they would add, then by how little they lack, else by rank."""
    subset, refused = grounds.subset, []
    for dataset in sorted(set(grounds.weights) - set(subset.datasets)):
        why = _reason(grounds, dataset)
        change = subset.alternatives.changes.get(dataset) if subset.alternatives else None
        refused.append(
            Refused(
                **dict(_valued(grounds, dataset, why.sentence)),
                reason_kind=why.kind,
                change=change,
                remedy=remedy(change, subset.k, subset.currency),
            )
        )
    return sorted(refused, key=lambda item: (-_gain(item), item.rank or math.inf, item.id))


def _gain(item: Refused) -> float:
    """What a dataset would add to what is bought; below 0 what it lacks to add anything."""
    if item.adds is None:
        return 0.0
    return item.adds.gain or min(0.0, item.adds.margin - item.adds.needed)


def _reason(grounds: Grounds, dataset: str) -> Reason:
    weight, subset, beside = grounds.weights[dataset], grounds.subset, grounds.beside.get(dataset)
    if beside is None or grounds.certificate is None:
        return rank_reason(_ranking(grounds, dataset))
    signed_high = weight.resampled.signed_high if weight.resampled else None
    change = subset.alternatives.changes.get(dataset) if subset.alternatives else None
    worth = grounds.worth(beside.gain)
    return reason(
        Refusal(
            alignment=weight.alignment,
            margin=beside.margin,
            threshold=grounds.certificate.lam,
            gain=beside.gain,
            gain_in_money=None if worth is None else money(worth, subset.currency),
            signed_high=math.inf if signed_high is None else signed_high,
            covered_by=grounds.coverers(dataset),
            outcome=_outcome(grounds, dataset),
            cheaper=change is not None and change.price is not None,
            k=subset.k if subset.k is not None else len(grounds.weights),
            ineligible=subset.ineligible.get(dataset),
            copy_of=grounds.copy_of.get(dataset),
            excluded_by=_excluded_by(grounds, dataset),
        )
    )


def _outcome(grounds: Grounds, dataset: str) -> str:
    """What the policy made of a dataset."""
    return next(item.reason for item in grounds.subset.ranking if item.id == dataset)


def _ranking(grounds: Grounds, dataset: str) -> Ranking:
    """Where a dataset stands, where that is all that its method says."""
    subset = grounds.subset
    return Ranking(
        rank=grounds.ranks[dataset],
        of=len(grounds.weights),
        method=grounds.method,
        outcome=_outcome(grounds, dataset),
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
        Owner(owner=name, datasets=tuple(offered[name]), weight=None, value=None)
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
