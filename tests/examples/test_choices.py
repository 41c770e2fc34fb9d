"""Choices: parted, matched with the answer, and a wrong one drawn."""

from __future__ import annotations

import hashlib

from appraise.examples.choices import answer_of, choices_of, differs, wrong_choice


def test_choices() -> None:
    assert choices_of("\nA. one\nB. two\n") == ("A. one", "B. two")
    assert choices_of("A. one\nmore\nB. two\nA. three") == ("A. one\nmore", "B. two\nA. three")
    assert choices_of("True\nFalse") == ("True", "False")
    assert choices_of("") == ()


def test_an_answer_is_a_choice_in_the_strictest_sense_in_which_it_is_one() -> None:
    choices = ("A. -5", "B. 5", "C. five")
    assert answer_of("B. 5", choices) == 1
    assert answer_of("c. Five.", choices) == 2
    assert answer_of("D. 6", choices) is None
    assert answer_of("-5", ("-5", "5")) == 0
    assert answer_of("5.", ("-5", "5")) == 1
    assert answer_of("N = n + 1", ("n = N + 1", "n = n + 1", "N =  n + 1")) == 2
    assert answer_of("n = n+1", ("N = n + 1", "n = N + 1")) is None, "two are alike without case"
    assert answer_of("a bank", ("a river", 'A bank"')) == 1, "as a broken CSV file leaves it"
    for one, other in (("3*4", "3/4"), ("(a and b) or c", "a and (b or c)"), ("x²", "x2")):
        assert answer_of(one, (other, "0")) is None
        assert answer_of(one, (other, one)) == 1


def test_two_answers_differ_in_more_than_white_space() -> None:
    assert differs("a bank", "a river")
    assert differs("3*4", "3/4")
    assert differs("print(n)", "print(N)")
    assert not differs("a bank", " a\nbank ")
    assert not differs("a bank", "")
    assert not differs("a bank", None)


def test_the_draw_is_as_documented() -> None:
    def rank(choice: str) -> bytes:
        return hashlib.sha256(f"3\x1fabc\x1f{choice}".encode()).digest()

    assert wrong_choice("abc", "x", ["x", "y", "z"], 3) == min("yz", key=rank)
    assert wrong_choice("abc", "x", ["x", " x "], 3) is None
    assert wrong_choice("abc", "a bank.", ["A bank", "a river"], 3) == "a river", "it is the answer"
    assert wrong_choice("abc", "3*4", ["3*4", "3/4"], 3) == "3/4"
