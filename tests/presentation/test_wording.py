"""Numbers and names as people read them; titles from outside made harmless."""

from __future__ import annotations

import pytest

from appraise.presentation.wording import (
    listed,
    money,
    one_line,
    ordinal,
    percent,
    scientific,
    short_names,
    signed,
)


@pytest.mark.parametrize(
    ("amount", "text"), [(310, "310 X"), (1250.0, "1,250 X"), (0.35, "0.35 X"), (2.999, "3 X")]
)
def test_money_shows_cents_only_where_there_are_any(amount: float, text: str) -> None:
    assert money(amount, "X") == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.834, "83 %"), (0.004, "< 1 %"), (0, "0 %"), (1, "100 %")]
)
def test_percent_does_not_turn_something_into_nothing(share: float, text: str) -> None:
    assert percent(share) == text


def test_signs_and_powers_are_typeset() -> None:
    assert signed(-0.186) == "−0.186"
    assert signed(0.2, 2) == "+0.20"
    assert signed(-0.0001) == "0.000"
    assert scientific(3.14e-12) == "3.1 × 10⁻¹²"
    assert scientific(0) == "0"


def test_lists_and_ordinals_read_as_english() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["nothing", "a", "a, b and c"]
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 22, 113)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "22nd", "113th",
    ]  # fmt: skip


def test_a_title_cannot_steer_a_terminal_or_reorder_a_sentence() -> None:
    hostile = "pay\x1b[2J\x07 me\r\n now\u202e reversed\x9b31m"
    line = one_line(hostile)
    assert line.isprintable()
    assert line.startswith("pay [2J me now reversed")
    assert len(one_line("x" * 5000)) == 120


def test_short_names_stay_apart() -> None:
    names = short_names(
        {
            "a": "CommonsenseQA, validation part",
            "b": "DrugSwap: vignettes with brand names",
            "c": "DrugSwap: vignettes with generic names",
            "d": ": odd",
        }
    )
    assert names["a"] == "CommonsenseQA"
    assert names["b"] == "DrugSwap: vignettes with brand names"
    assert names["d"] == ": odd"
