from __future__ import annotations

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.lots import lots
from appraise.numerics.selection import BY_SCORE, select

IDS = ["a", "b", "c", "d", "e"]
WEIGHTS = np.array([0.1, 0.0, 0.5, 0.3, 0.2])
COSINES = np.array([0.4, 0.9, 0.8, -0.1, 0.3])
PRICES = np.array([10.0, 20.0, 70.0, 50.0, 30.0])
POOL = {"ids": IDS, "weights": WEIGHTS, "alignment": COSINES, "prices": PRICES}


def chosen(policy: str, **more: object) -> list[str]:
    return [IDS[i] for i in select(policy, **(POOL | more)).chosen]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("kmm", ["c", "d", "e"]),
        ("one_step", ["b", "c", "a"]),
        ("none", []),
        ("target_only", []),
        ("all", IDS),
    ],
)
def test_policies(policy: str, expected: list[str]) -> None:
    assert chosen(policy, k=3) == expected


def test_only_positive_scores_are_bought() -> None:
    assert chosen("kmm", k=5) == ["c", "d", "e", "a"]
    assert chosen("one_step", k=5) == ["b", "c", "a", "e"]
    assert select("kmm", **POOL).reasons[1] == "no_score"


def test_what_costs_more_than_is_left_is_skipped() -> None:
    found = select("kmm", **POOL, k=3, budget=110)
    assert [IDS[i] for i in found.chosen] == ["c", "e", "a"]
    assert found.cost == 110
    assert found.reasons == ("chosen", "no_score", "chosen", "over_budget", "chosen")
    assert [IDS[i] for i in found.ranking] == ["c", "d", "e", "a", "b"]
    assert chosen("kmm", budget=0.3, prices=[0.1, 1, 0.1, 0.1, 1]) == ["c", "d", "a"]


def test_ineligible_datasets_leave_their_place_to_the_next() -> None:
    found = select("kmm", **POOL, k=2, lots=lots(5, barred=[2]))
    assert [IDS[i] for i in found.chosen] == ["d", "e"]
    assert found.reasons == ("beyond_k", "no_score", "ineligible", "chosen", "chosen")


def test_ties_are_broken_by_id_whatever_the_solver_noise() -> None:
    noise = {"weights": [0.2 - 3e-10, 0.5, 0.2, 0.2 + 4e-10, 0.2 + 2e-9]}
    assert chosen("kmm", **noise) == ["b", "e", "a", "c", "d"]


def test_random_depends_on_seed_and_id_only() -> None:
    drawn = {seed: tuple(chosen("random", k=2, seed=seed)) for seed in range(60)}
    assert drawn[0] == tuple(chosen("random", k=2, seed=0))
    first = [order[0] for order in drawn.values()]
    assert set(first) == set(IDS), "some datasets are never first"
    order = [2, 4, 0, 1, 3]
    found = select(
        "random",
        ids=[IDS[i] for i in order],
        weights=WEIGHTS[order],
        alignment=COSINES[order],
        prices=PRICES[order],
        k=2,
        seed=0,
    )
    assert tuple(IDS[order[i]] for i in found.chosen) == drawn[0]


@pytest.mark.parametrize("policy", BY_SCORE)
def test_an_empty_pool_buys_nothing(policy: str) -> None:
    assert select(policy, ids=[], weights=[], alignment=[]).chosen == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "expected k ≥ 1"),
        ({"budget": 0.0}, "budget above 0"),
        ({"weights": WEIGHTS[:3]}, r"expected 5 finite weights"),
        ({"alignment": [np.nan] * 5}, r"expected 5 finite weights"),
        ({"prices": [1, 2, -3, 4, 5]}, r"price of c: expected ≥ 0, found -3"),
    ],
)
def test_bad_arguments(change: dict, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        select("kmm", **(POOL | change))


def test_unknown_policy() -> None:
    with pytest.raises(ParamsError, match=r"expected one of none, kmm, .* found 'best'"):
        select("best", **POOL)


def test_a_bundle_is_bought_whole_by_the_sum_of_its_weights() -> None:
    sold = lots(4, [(1, 3)])
    common = {"ids": list("abcd"), "weights": [0.4, 0.3, 0.35, 0.2], "alignment": [0.5] * 4}
    found = select("kmm", k=2, lots=sold, **common)
    assert found.chosen == (1, 3)
    assert found.lots == ((0,), (1, 3), (2,))
    assert found.ranking == (1, 3, 0, 2)
    assert found.reasons == ("beyond_k", "chosen", "beyond_k", "chosen")
    assert select("kmm", k=1, lots=sold, **common).chosen == (0,), "two do not fit in one place"
    dear = select("kmm", k=3, prices=[1, 5, 1, 5], budget=9, lots=sold, **common)
    assert dear.chosen == (0, 2)
    assert dear.reasons[1] == dear.reasons[3] == "over_budget"


def test_what_one_taken_excludes_is_not_taken() -> None:
    sold = lots(3, (), [(0, 1)])
    common = {"ids": list("abc"), "weights": [0.4, 0.3, 0.2], "alignment": [0.5, 0.6, 0.1]}
    assert select("kmm", k=2, lots=sold, **common).chosen == (0, 2)
    found = select("one_step", k=2, lots=sold, **common)
    assert found.chosen == (1, 2)
    assert found.reasons[0] == "excluded"
    assert select("all", lots=sold, **common).chosen == (0, 1, 2)


def test_bagged_weights_rank_by_the_average() -> None:
    common = {"ids": list("abc"), "weights": [0.4, 0.3, 0.0], "alignment": [0.5, 0.6, 0.1]}
    assert select("kmm_bagged", k=2, mean_weights=[0.1, 0.3, 0.2], **common).chosen == (1, 2)
    assert select("kmm_bagged", k=2, **common).chosen == (0, 1), "without resamples as kmm"
