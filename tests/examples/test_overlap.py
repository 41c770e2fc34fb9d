"""What a row is recognised by, between a target and the pool, and between splits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from as_read import as_read, talk  # type: ignore[import-not-found]

from appraise.examples.conversations import text_of
from appraise.examples.example import Example, Prompt
from appraise.examples.overlap import Marks, Parts, normalise


def asked(prompt: Prompt, completion: str = "x", choices: Iterable[str] | None = None) -> Example:
    given = None if choices is None else tuple(choices)
    made: Example = as_read(1, prompt, completion, choices=given)
    return made


def recognised(row: Example, *known: Example) -> bool:
    """Whether a row, alone in its dataset, is one of a target's."""
    return not Marks([row]).all.isdisjoint(Marks(known).all)


def test_normalisation() -> None:
    assert normalise("  What’s\nUP,  Doc ?! ") == normalise("what's up, doc?!")
    assert normalise("Ｗｉｄｅ ﬁ") == "wide fi"
    assert normalise("f( x )  ;") == normalise("F(x);")
    assert normalise("Straße – “so”") == normalise('STRASSE - "so"')
    assert normalise("\u202asoft\u00adly\u200b\ufeff\u200e") == "softly"
    assert normalise("می\u200cخواهم") == normalise("میخواهم")
    assert normalise("हिन्दी में?") == "हिन्दी में", "vowel signs are no words"
    assert normalise("Is it so ?") == normalise("is it so") == normalise("Is it so:")
    assert normalise("哪根骨头最长？") == normalise("哪根骨头最长")
    assert normalise("") == normalise(" \n") == ""


@pytest.mark.parametrize(
    "texts",
    [
        ["3*4", "3/4", "3-4", "3.4", "3 4", "3, 4", "34"],
        ["(a and b) or c", "a and (b or c)", "a and b or c"],
        ["".join(signs) for signs in itertools.product("()[]{}", repeat=3)],
        ["x = a[i]", "x = a(i)", "x != a[i]", "x == a[i]", "x = a[-i]", "x = a[~i]"],
        ["5!", "5", "x²", "x2", "½", "1⁄2", "10⁵", "105", "③"],
        ["...", "?", "!", ".", ",", "''", '"'],
        ["eats shoots and leaves", "eats, shoots and leaves", "eats, shoots, and leaves"],
    ],
)
def test_what_carries_meaning_is_kept(texts: list[str]) -> None:
    assert len({normalise(f"Work this out: {text}") for text in texts}) == len(texts)


def test_a_prompt_is_parted_into_its_question_and_its_options() -> None:
    assert Parts.of("Why is it so?\nA. x\nB. y") == Parts("Why is it so?", {"A": "x", "B": "y"})
    listed = Parts.of("Question:\nWhy is it so?\nOptions:\nA: x\nmore\n(B) y\nAnswer:")
    assert listed == Parts("Why is it so?", {"A": "x\nmore", "B": "y"})
    for text in ("A. Smith went home.\nWhy?", "passage\nA. one item\nwhy?", "A. x\nB. y"):
        assert Parts.of(text) == Parts(text), "an initial, an enumeration, no question"
    said = talk(("system", "Be brief."), ("user", "Why is it so?\nA. x\nB. y"))
    assert Parts.of(said) == Parts("Why is it so?", {"A": "x", "B": "y"}, ("system: Be brief.",))
    unasked = talk(("system", "A. x\nB. y"))
    assert Parts.of(unasked) == Parts(text_of(unasked))


def test_a_question_is_recognised_in_another_writing() -> None:
    known = asked("Which bone is the longest?\nA. femur\nB. tibia", "A")
    for prompt in (
        "which  bone is the longest",
        "Which bone is the longest\n(A) tibia\n(B) femur",
        "WHICH BONE IS THE LONGEST ?\nA. femur\nB. ulna\nC. tibia",
        talk(("system", "Be kind."), ("user", "Which bone is the longest?")),
        talk(("user", "Hello"), ("assistant", "Hi."), ("user", "Which bone is the longest?")),
    ):
        assert recognised(asked(prompt, "femur"), known)
    for prompt in (
        "Which bone is the shortest?\nA. femur\nB. tibia",
        talk(("user", "Which bone is the longest?"), ("assistant", "Femur"), ("user", "Hello")),
    ):
        assert not recognised(asked(prompt, "femur"), known)


def test_choices_are_the_options_where_the_prompt_lists_none() -> None:
    known = asked("Which bone is the longest?", "femur", ["femur", "tibia"])
    assert recognised(asked("Which bone is the longest?\nA. tibia\nB. femur", "B"), known)
    assert recognised(asked("Which bone is the longest?", "it is the femur"), known)
    assert (
        Marks([known]).of(known)[0]
        == Marks([]).of(asked("Which bone is the longest?\nA. tibia\nB. femur", "B"))[0]
    )


POLITE = [(f"Please open door {n}.", f"Open door {n}, now.") for n in range(6)]
WHICH = "Which of these two sentences is polite?"


@pytest.mark.parametrize("letters", [False, True])
def test_options_carry_the_content_where_all_rows_ask_the_same(letters: bool) -> None:
    def row(place: int, turned: bool = False) -> Example:
        options = POLITE[place][::-1] if turned else POLITE[place]
        if letters:
            listed = f"{WHICH}\nA. {options[0]}\nB. {options[1]}"
            return asked(listed, "B" if turned else "A")
        return asked(WHICH, POLITE[place][0], options)

    target = [row(place) for place in range(4)]
    marks = Marks(target)
    own = [set(marks.of(each)) for each in target]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(own, 2))
    for place in range(6):
        there = place < 4
        alone = asked(WHICH, POLITE[place][0])  # without options the answer tells
        assert recognised(row(place, turned=True), *target) is there
        assert recognised(alone, *target) is there
        offered = Marks([row(4), row(5), alone])
        assert (not marks.all.isdisjoint(offered.of(row(place)))) is there


def test_earlier_turns_carry_the_content_where_all_end_in_the_same() -> None:
    def row(subject: str) -> Example:
        more = "Please go on and tell me more."
        return asked(
            talk(("user", f"What is {subject}?"), ("assistant", "A"), ("user", more)), subject
        )

    known = [row("a bank"), row("a river")]
    assert recognised(row("a bank"), *known)
    assert not recognised(row("a tower"), *known)


def test_distractors_alone_make_no_other_question() -> None:
    one = asked("Which bone is the longest?", "femur", ["femur", "tibia"])
    other = asked("Which bone is the longest?", "femur", ["femur", "ulna"])
    marks = Marks([one, other])
    assert not set(marks.of(one)).isdisjoint(marks.of(other))


def test_a_short_question_says_too_little_without_its_options() -> None:
    known = asked("True or false?\nA. It is so.\nB. It is not.", "A")
    assert not recognised(asked("True or false?\nA. It was so.\nB. It was not.", "A"), known)
    assert recognised(asked("true or false\nB. It is so.\nA. It is not.", "B"), known)
    assert recognised(asked("Sky blue?", "no"), asked("Sky blue?", "yes", ["yes", "no"])), "whole"
    assert recognised(asked("哪根骨头最长？\nA. 股骨\nB. 胫骨", "A"), asked("哪根骨头最长", "股骨"))


def test_a_text_that_looks_like_a_conversation_is_a_text() -> None:
    looks = '[{"role": "user", "content": "Which bone is the longest of all?"}]'
    assert Parts.of(looks) == Parts(looks)
    assert not recognised(asked(looks), asked("Which bone is the longest of all?"))
