"""What every policy of the registry owes, and what each of them buys."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from random_pools import given, with_budget

from appraise.errors import ParamsError
from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import changes, frontier, walk_away_price
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.selection import Given, Purchase
from appraise.policies import POLICIES
from appraise.policies.policy import Policy

SEEDS = range(25)
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
DECIDING = [
    (policy, programmed)
    for policy in POLICIES.values()
    for programmed in (True, False)
    if policy.decides and (programmed or "objective" not in policy.depends_on)
]


def by_id(of: Given, purchase: Purchase) -> dict[str, str]:
    return dict(zip(of.ids, purchase.reasons, strict=True))


def same(one: Purchase, other: Purchase) -> bool:
    scores = np.array_equal(one.scores, other.scores)
    return scores and (one.chosen, one.ranking, one.reasons, one.cost) == (
        other.chosen, other.ranking, other.reasons, other.cost
    )  # fmt: skip


def at_price(of: Given, i: int, price: float) -> Given:
    """The same with another price of one dataset."""
    prices = of.limits.prices.copy()
    prices[i] = price
    return replace(of, limits=of.limits.at(prices))


def check(policy: Policy, of: Given) -> Purchase:
    """Buy, and hold the purchase against everything that is promised of one."""
    purchase, limits, n = policy.choose(of), of.limits, len(of.ids)
    assert sorted(purchase.ranking) == list(range(n))
    assert [i for i in range(n) if purchase.reasons[i] == "chosen"] == sorted(purchase.chosen)
    assert purchase.cost == pytest.approx(limits.prices[list(purchase.chosen)].sum())
    assert purchase.scores.shape == (n,)
    assert np.isfinite(purchase.scores).all()
    bought = set(purchase.chosen)
    lots = [lot for lot, members in enumerate(limits.lots.members) if bought & set(members)]
    assert set(limits.lots.datasets(lots)) == bought, "a bundle is bought whole"
    allowed = limits if policy.within_limits else limits.lifted()
    assert allowed.allows(lots), "k, budget, exclusions and bars are obeyed"
    assert policy.buys or not bought
    return purchase


@every_policy
def test_it_says_what_it_is(policy: Policy) -> None:
    assert POLICIES[policy.name] is policy
    assert policy.title[0].isupper()
    assert 1 <= len(policy.title.split()) <= 4
    assert policy.meaning[0].islower()
    assert policy.meaning[-1] != "."
    assert [other.title for other in POLICIES.values()].count(policy.title) == 1
    assert policy.mixes_target_data or not policy.needs_target_data
    reads_resamples = policy.depends_on & {"resamples", "objective"}
    assert policy.method is not None or not reads_resamples, "of which method?"


@every_policy
def test_limits_are_obeyed_and_nothing_is_left_to_chance(policy: Policy) -> None:
    for seed in SEEDS:
        of = given(seed)
        assert same(check(policy, of), policy.choose(of)), seed


@every_policy
def test_the_order_of_the_datasets_does_not_matter(policy: Policy) -> None:
    for seed in SEEDS:
        of = given(seed)
        turned = given(seed, np.random.default_rng(seed).permutation(len(of.ids)))
        assert by_id(of, policy.choose(of)) == by_id(turned, policy.choose(turned)), seed


@every_policy
def test_it_depends_on_what_it_says_and_on_nothing_else(policy: Policy) -> None:
    moved = set()
    for seed in SEEDS:
        of = given(seed)
        purchase = policy.choose(of)
        assert of.program is not None
        others = {
            "seed": replace(of, seed=of.seed + 1),
            "resamples": replace(of, mean_values=-np.asarray(of.mean_values)),
            "search_limit": replace(of, search_limit=1),
            "objective": replace(of, program=replace(of.program, c=of.program.c[::-1].copy())),
            "method": replace(of, values=-np.asarray(of.values)),
        }
        moved |= {
            name for name, other in others.items() if not same(policy.choose(other), purchase)
        }
        bare = Given(
            of.ids,
            of.limits,
            values=of.values if policy.method else None,
            mean_values=of.mean_values if "resamples" in policy.depends_on else None,
            program=of.program if "objective" in policy.depends_on else None,
            lam=of.lam if "objective" in policy.depends_on else None,
            seed=of.seed if "seed" in policy.depends_on else 77,
        )
        assert same(policy.choose(bare), purchase)
    reads = policy.depends_on | ({"method"} if policy.method else set())
    assert moved <= reads
    other = reads & {"objective", "resamples"}  # of its method, which its values do not matter to
    indirect = {"method"} if other else set()
    assert reads - indirect - {"search_limit"} <= moved, "few datasets are searched in a moment"


@every_policy
def test_an_empty_pool_and_no_limits(policy: Policy) -> None:
    of = given(4)
    assert of.program is not None
    nobody = np.array([], dtype=np.int64)
    empty = Given(
        (), buyer_limits(0), np.zeros(0), np.zeros(0), of.program.among(nobody), of.lam
    )  # fmt: skip
    assert policy.choose(empty).chosen == ()
    free = replace(of, limits=buyer_limits(len(of.ids), of.limits.prices))
    assert bool(check(policy, free).chosen) == policy.buys


@every_policy
def test_what_its_method_does_not_give_is_asked_for(policy: Policy) -> None:
    bare = replace(given(3), values=None, mean_values=None, program=None, lam=None)
    if policy.method is None:
        policy.choose(bare)
        return
    with pytest.raises(ParamsError, match=rf"policy {policy.name}: .* of method {policy.method}"):
        policy.choose(bare)


@pytest.mark.parametrize(
    ("policy", "programmed"),
    DECIDING,
    ids=[f"{policy.name}-{'program' if yes else 'no program'}" for policy, yes in DECIDING],
)
def test_other_budgets_and_changes_of_every_policy_that_decides(
    policy: Policy, programmed: bool
) -> None:
    """The frontier is what every budget buys; each change gets its dataset bought."""
    for seed in range(8):
        of = given(seed)
        of = of if programmed else replace(of, program=None, lam=None)
        points = frontier(policy.choose, of)
        for budget in np.linspace(0.5, of.limits.prices.sum() + 1, 40):
            point = max((p for p in points if p.budget <= budget), key=lambda p: p.budget)
            bought = policy.choose(with_budget(of, budget)).chosen
            assert set(point.chosen) == set(bought)
            assert (point.objective is None) == (not programmed)
        refused = changes(policy.choose, of, points)
        assert {c.index for c in refused} == set(range(len(of.ids))) - set(policy.choose(of).chosen)
        for change in refused:
            i = change.index
            if change.k is not None:
                wider = replace(of, limits=replace(of.limits, k=change.k))
                assert i in policy.choose(wider).chosen
            if change.budget is not None:
                assert i in policy.choose(with_budget(of, change.budget)).chosen


@pytest.mark.parametrize(
    "policy", [one for one in POLICIES.values() if one.decides], ids=lambda one: one.name
)
def test_a_walk_away_price_of_every_policy_that_decides(policy: Policy) -> None:
    """At it the dataset is bought, above it not, whether it is bought at its own price or not."""
    for seed in range(12):
        of = given(seed)
        if of.limits.budget is None and of.limits.exchange_rate is None:
            continue
        for i in range(len(of.ids)):
            price = walk_away_price(policy.choose, of, i)
            if price is None:
                assert i not in policy.choose(at_price(of, i, 0.0)).chosen
                continue
            if math.isinf(price):
                assert i in policy.choose(at_price(of, i, 1e9)).chosen
                continue
            if price < 1e-4:
                continue  # free, up to what rounding makes of it
            for less in (price, price / 2, 1e-5):  # at it another set may be as good
                assert i in policy.choose(at_price(of, i, price - less)).chosen
            for more in (1e-5, 1.0, 10.0):
                assert i not in policy.choose(at_price(of, i, price + more)).chosen


POOL = Given(
    ids=("a", "b", "c", "d", "e"),
    limits=buyer_limits(5, [10.0, 20.0, 70.0, 50.0, 30.0], k=3),
    values=np.array([0.1, 0.0, 0.5, 0.3, 0.2]),
)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("largest_weights", "cde"),
        ("one_step", "cde"),
        ("task_vectors", "cde"),
        ("none", ""),
        ("target_only", ""),
        ("all", "abcde"),
    ],
)
def test_what_each_buys(policy: str, expected: str) -> None:
    chosen = POLICIES[policy].choose(POOL).chosen
    assert [POOL.ids[i] for i in chosen] == list(expected)


def test_the_best_mix_is_of_datasets_that_differ() -> None:
    """b is the second best by itself, but teaches what a teaches; d points away, e is weak."""
    K, c = np.eye(5), np.array([0.6, 0.5, 0.4, -0.5, 0.05])
    K[0, 1] = K[1, 0] = 0.9
    of = replace(POOL, program=Program(K, c, 1.0, np.ones(5)), lam=0.1, values=c)
    of = replace(of, limits=buyer_limits(5, k=2))
    for name, expected in (("kmm", "ac"), ("greedy", "ac"), ("one_step", "ab")):
        assert [of.ids[i] for i in POLICIES[name].choose(of).chosen] == list(expected)
    best = POLICIES["kmm"].choose(of)
    assert best.reasons == ("chosen", "no_score", "chosen", "no_score", "no_score")
    assert best.scores[[0, 2]] == pytest.approx([0.5**2 / 2, 0.3**2 / 2])
    assert best.proof is not None
    assert best.proof.objective == pytest.approx(0.5 - 0.5**2 / 2 - 0.3**2 / 2)
    assert best.proof.exact


def test_everything_whatever_k_budget_and_exclusions_but_nothing_that_is_barred() -> None:
    sold = lots_of(5, (), [(0, 1)], [2])
    of = replace(POOL, limits=buyer_limits(5, POOL.limits.prices, k=1, budget=20, lots=sold))
    assert POLICIES["all"].choose(of).chosen == (0, 1, 3, 4)
    assert POLICIES["all"].choose(of).reasons[2] == "ineligible"


def test_weights_of_a_bundle_add_up_and_cosines_do_not() -> None:
    of = replace(POOL, limits=buyer_limits(5, k=2, lots=lots_of(5, [(3, 4)])))
    of = replace(of, values=np.array([0.1, 0.0, 0.4, 0.3, 0.2]))
    assert POLICIES["largest_weights"].choose(of).chosen == (3, 4)
    assert POLICIES["one_step"].choose(of).chosen == (2, 0)


def test_random_depends_on_seed_and_id_only() -> None:
    of = replace(POOL, limits=buyer_limits(5, k=2))
    drawn = {
        seed: [of.ids[i] for i in POLICIES["random"].choose(replace(of, seed=seed)).chosen]
        for seed in range(60)
    }
    assert {first for first, _ in drawn.values()} == set(of.ids), "some are never first"
    turned = replace(of, ids=of.ids[::-1], values=None)
    assert [turned.ids[i] for i in POLICIES["random"].choose(turned).chosen] == drawn[0]


def test_bagged_weights_rank_by_the_average() -> None:
    of = Given(tuple("abc"), buyer_limits(3, k=2), np.array([0.4, 0.3, 0.0]))
    bagged = POLICIES["kmm_bagged"].choose
    assert bagged(replace(of, mean_values=np.array([0.1, 0.3, 0.2]))).chosen == (1, 2)
    assert bagged(of).chosen == (0, 1), "without resamples the largest weights"


def test_who_may_decide() -> None:
    may_not = [name for name, policy in POLICIES.items() if not policy.decides]
    assert may_not == ["none", "target_only", "all"]


def test_which_adapters_are_trained_on_what() -> None:
    untrained = [name for name, policy in POLICIES.items() if not policy.trains]
    assert untrained == ["none"]
    assert [name for name, policy in POLICIES.items() if policy.needs_target_data] == [
        "target_only"
    ]
