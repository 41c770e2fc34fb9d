"""Rewards: what counts as the right number or text, and functions of one's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appraise.errors import ModelError, ParamsError
from appraise.language_model.rewards import RULES, exact_number, exact_text, near_number, reward_of


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("9 apples", "9"),
        ("She has 4, then 5 more: 9.", "9 apples"),
        ("9.0", "9 apples"),
        ("It costs $1,234.50", "1234.5 dollars"),
        ("−5 degrees", "-5"),
        ("x = -5", "-5 degrees"),
        ("10-5", "5"),  # a minus between numbers is no sign
        (".5", "0.50 kg"),
        ("that is 50%", "50"),
        ("12,000,000", "12000000 people"),
        ("of 8 and 7: 7:6", "7:6"),
        ("72", "48/2 = 24, 48 + 24 = 72\n#### 72"),
    ],
)
def test_the_right_number(completion: str, answer: str) -> None:
    assert exact_number(completion, answer) == 1


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("9 apples and 3 pears", "9"),  # the last number counts
        ("5", "-5"),
        ("6", "7:6"),
        ("6:7", "7:6"),
        ("1,234", "234"),
        ("19", "9"),
        ("none", "9"),
        ("", "9"),
        ("9", "no number"),
        ("", "no number"),  # nothing to compare is no match
    ],
)
def test_a_wrong_number(completion: str, answer: str) -> None:
    assert exact_number(completion, answer) == 0


@pytest.mark.parametrize(
    ("completion", "answer", "reward"),
    [
        ("so 9", "9 apples", 1),
        ("6", "9", 1 / 3),
        ("12 apples", "9", 3 / 8),
        ("9 and then 900", "9", 0.005),  # the last number counts
        ("-9", "9", 0),
        ("0", "9", 0),
        ("none", "9", 0),
        ("7:3", "7:6", (1 + 1 / 2) / 4),
        ("6", "7:6", 0),
        ("9", "no number", 0),
    ],
)
def test_a_number_that_is_near(completion: str, answer: str, reward: float) -> None:
    assert near_number(completion, answer) == pytest.approx(reward)


def test_text_is_compared_but_for_case_space_a_full_stop_and_quotes() -> None:
    assert exact_text(" The  Heart.\n", "the heart") == 1
    assert exact_text("“ﬁve”", "“five”") == 1
    assert exact_text("'The heart.'", "the heart") == exact_text("'the heart'.", "the heart") == 1
    assert exact_text("the hearts", "the heart") == 0
    for one, other in (("-5", "5"), ("()", "[]"), ("!", "?"), ("10⁵", "105"), ("[1]", "1")):
        assert exact_text(one, other) == 0, "what carries meaning counts"
    assert exact_text("co-pay", "copay") == 0, "punctuation inside counts"


def test_each_rule_has_its_name() -> None:
    for name, rule in RULES.items():
        assert reward_of(name)("7 cups", "7 cups") == rule("7 cups", "7 cups") == 1.0


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "our_rewards.py").write_text(
        "length = lambda completion, answer: len(completion)\n"
        "half = lambda completion, answer: True\n"
        "raises = lambda completion, answer: 1 / 0\n"
        "nan = lambda completion, answer: float('nan')\n"
        "text = lambda completion, answer: 'good'\n"
        "nothing = lambda completion, answer: None\n"
        "constant = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "our_rewards", raising=False)
    return "our_rewards"


def test_a_function_of_ones_own(module: str) -> None:
    assert reward_of(f"{module}:length")("four", "") == 4.0
    assert reward_of(f"{module}:half")("four", "") == 1.0


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("raises", "ZeroDivisionError: division by zero"),
        ("nan", "nan"),
        ("text", "'good'"),
        ("nothing", "None"),
    ],
)
def test_a_reward_that_is_none_is_named(module: str, function: str, why: str) -> None:
    reward = reward_of(f"{module}:{function}")
    with pytest.raises(ModelError) as found:
        reward("word " * 100, "9")
    message = str(found.value)
    assert f"{module}:{function}" in message
    assert why in message
    assert "'word word" in message, "which completion"
    assert len(message) < 250, "the completion is shortened"


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    "name", ["exact_numbre", "", ":f", "no_such_module:f", "our_rewards:", "our_rewards:constant"]
)
def test_an_unknown_name_lists_the_rules(name: str) -> None:
    with pytest.raises(
        ParamsError, match="exact_number, exact_text, near_number or module:function"
    ):
        reward_of(name)


def test_an_absent_function_is_named(module: str) -> None:
    with pytest.raises(ParamsError, match="our_rewards has no such function"):
        reward_of(f"{module}:absent")
