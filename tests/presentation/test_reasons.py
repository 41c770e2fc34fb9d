"""Every way to be refused has its own sentence, and its numbers are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
from appraise.records.subset import Change

X, Y, Z = Coverer("X", 0.3), Coverer("Y", 0.2), Coverer("Z", 0.02)
COVERED = Refusal(
    alignment=0.6, margin=0.08, threshold=0.1, gain=0.0, gain_in_money=None, signed_high=0.05,
    covered_by=(Z, X, Y), outcome="no_score", cheaper=False, k=3,
)  # fmt: skip
USEFUL = replace(COVERED, margin=0.18, gain=0.0213, outcome="beyond_k")


def test_covered_names_those_that_hold_most_of_it() -> None:
    found = reason(COVERED)
    assert found.kind == "covered"
    assert found.sentence == "Aligned, but 83 % of it is already covered by X and Y."


def test_covered_by_what_costs_less_says_so() -> None:
    """Where it would be bought at a lower price: in place of what covers it."""
    assert reason(replace(COVERED, cheaper=True)).sentence == (
        "Aligned, but 83 % of it is already covered by X and Y, for less money."
    )


def test_more_than_all_is_all() -> None:
    case = replace(COVERED, margin=-0.1, covered_by=(replace(X, amount=0.7),))
    assert reason(case).sentence == "Aligned, but all of it is already covered by X."


def test_a_useful_dataset_for_which_there_is_no_place() -> None:
    assert reason(USEFUL) == Reason(
        "beyond_k",
        "Useful: it would add 2.1 % of the task, but the three places go to datasets that do more.",
    )
    assert reason(replace(USEFUL, k=1)) == Reason(
        "beyond_k",
        "Useful: it would add 2.1 % of the task, but the only place goes to one that does more.",
    )
    assert "next to nothing to what is bought" in reason(replace(USEFUL, gain=0.0004)).sentence


@pytest.mark.parametrize("changes", [{"outcome": "over_budget"}, {"cheaper": True}])
def test_a_useful_dataset_for_which_there_is_no_money(changes: dict[str, Any]) -> None:
    assert reason(replace(USEFUL, **changes)) == Reason(
        "over_budget",
        "Useful: it would add 2.1 % of the task, but other datasets do more for the money that "
        "there is.",
    )


def test_a_useful_dataset_that_costs_more_than_what_it_adds_is_worth() -> None:
    case = replace(USEFUL, outcome="too_dear", cheaper=True, gain_in_money="64 USD")
    assert reason(case) == Reason(
        "too_dear",
        "Useful: it would add 2.1 % of the task, which is worth 64 USD, less than its price.",
    )


def test_what_it_is_a_copy_of_and_what_excludes_it_come_before_what_it_adds() -> None:
    copy = reason(replace(USEFUL, copy_of="“X”"))
    assert copy == Reason("copy", "Teaches exactly what “X” teaches, to the last digit.")
    beside = reason(replace(USEFUL, copy_of="“X”", excluded_by="“Y”"))
    assert beside == Reason("excluded", "Useful, but it is not sold beside “Y”.")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"alignment": -0.3, "margin": -0.3}, "points_away", "Points away from the task."),
        ({"alignment": -0.3, "signed_high": -0.01}, "harmful", "it would do harm"),
        (
            {"alignment": 0.3, "signed_high": -0.01},
            "harmful",
            "what it adds of its own points away",
        ),
        ({"alignment": 0.001}, "unrelated", "next to nothing in common"),
        ({"alignment": -0.001}, "unrelated", "next to nothing in common"),
        ({"alignment": 0.09}, "weak", "too weakly to add anything"),
        (
            {"ineligible": "licence: \x1b[1mno\n"},
            "ineligible",
            "It may not be bought: licence: [1mno.",
        ),
    ],
)
def test_each_case_has_its_sentence(changes: dict[str, object], kind: str, words: str) -> None:
    found = reason(replace(COVERED, **changes))  # type: ignore[arg-type]
    assert found.kind == kind
    assert words in found.sentence


def test_praise_says_how_much_is_its_own() -> None:
    assert praise(1, 16, 1.0, []) == (
        "Pulls hardest of all 16 candidates towards the task, and no other that is bought teaches "
        "the same."
    )
    assert "undoes what the others teach" in praise(16, 16, -0.01, [X])
    assert "2nd hardest" in praise(2, 16, 1.0, [X])
    assert "cover only 30 %" in praise(2, 16, 1.0, [X])
    assert "80 % of that is covered too, mainly by X and Y" in praise(
        3, 16, 1.0, [replace(X, amount=0.5), replace(Y, amount=0.3)]
    )


RANKED = Ranking(rank=5, of=16, method="alignment", outcome="beyond_k", bought=3)


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({}, "beyond_k", "It comes 5th of 16 by alignment; three were bought."),
        ({"bought": 1}, "beyond_k", "It comes 5th of 16 by alignment; one was bought."),
        (
            {"outcome": "over_budget"},
            "over_budget",
            "It comes 5th of 16 by alignment; its price exceeds what is left of the budget.",
        ),
        (
            {"outcome": "excluded", "excluded_by": "“X”"},
            "excluded",
            "It comes 5th of 16 by alignment, but it is not sold beside “X”.",
        ),
        (
            {"outcome": "no_score"},
            "no_score",
            "It comes 5th of 16 by alignment, and its value is not above zero.",
        ),
        ({"ineligible": "no."}, "ineligible", "It may not be bought: no."),
        ({"method": "task_vectors"}, "beyond_k", "It comes 5th of 16 by task vectors; three were"),
        ({"method": None}, "beyond_k", "It comes 5th of 16; three were bought."),
    ],
)
def test_where_a_rank_is_all_that_is_known(
    changes: dict[str, object], kind: str, sentence: str
) -> None:
    found = rank_reason(replace(RANKED, **changes))  # type: ignore[arg-type]
    assert found.kind == kind
    assert found.sentence.startswith(sentence)
    assert rank_praise(replace(RANKED, rank=1)) == "It comes 1st of 16 by alignment."


def test_a_remedy_names_each_way_by_itself() -> None:
    change = Change(price=53.04, k=4, budget=None)
    assert remedy(change, 3, "USD") == (
        "It would be bought at 53 USD or less or with one more place."
    )
    assert remedy(Change(price=None, k=None, budget=400.0), 3, "USD") == (
        "It would be bought with a budget of 400 USD."
    )
    assert remedy(Change(price=None, k=None, budget=None), 3, "USD") == ""
    assert remedy(None, 3, "USD") == "", "nobody computed it"
