"""Choices: parted, matched with the answer, and a wrong one drawn."""

from __future__ import annotations

import hashlib

from appraise.examples.choices import answer_of, choices_of, differs, wrong_choice


def test_choices() -> None:
    assert choices_of("\nA. one\nB. two\n") == ("A. one", "B. two")
    assert choices_of("A. one\nmore\nB. two\nA. three") == ("A. one\nmore", "B. two\nA. three")
    assert choices_of("True\nFalse") == ("True", "False")
    assert choices_of("") == ()


def test_answers() -> None:
    choices = ("A. -5", "B. 5", "C. five!")
    assert answer_of("B. 5", choices) == 1
    assert answer_of("c. Five", choices) == 2
    assert answer_of("D. 6", choices) is None
    assert answer_of("-5", ("-5", "5")) == 0
    assert answer_of("5.", ("-5", "5")) is None, "two choices are alike when normalised"


def test_two_answers_differ_in_more_than_case_and_punctuation() -> None:
    assert differs("a bank", "a river")
    assert not differs("a bank", "A bank.")
    assert not differs("a bank", "")
    assert not differs("a bank", None)


def test_the_draw_is_as_documented() -> None:
    def rank(choice: str) -> bytes:
        return hashlib.sha256(f"3\x1fabc\x1f{choice}".encode()).digest()

    assert wrong_choice("abc", "x", ["x", "y", "z"], 3) == min("yz", key=rank)
    assert wrong_choice("abc", "x", ["x", "X!"], 3) is None
