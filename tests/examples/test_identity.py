"""When two rows are the same row."""

from __future__ import annotations

import hashlib
import itertools
import unicodedata

import pytest
from as_read import as_read, talk  # type: ignore[import-not-found]
from hypothesis import given
from hypothesis import strategies as st

from appraise.examples.identity import canonical, example_id, prompt_id
from appraise.examples.splits import without_duplicates


def brackets(length: int) -> list[str]:
    return ["".join(signs) for signs in itertools.product("()[]", repeat=length)]


DIFFERENT = {
    "operators": ["What is 3*4?", "What is 3/4?", "What is 3-4?", "What is 3.4?", "What is 3 4?"],
    "brackets of an expression": ["(a and b) or c", "a and (b or c)", "a and b or c"],
    "strings of brackets": brackets(4),
    "code": ["x = a[i]", "x = a(i)", "x = a{i}", "x != a[i]", "x == a[i]", "#x = a[i]"],
    "names in code": ["print(n)", "print(N)", "Print(n)"],
    "signs at the end": ["5!", "5", "ab?", "ab.", "ab*"],
    "superscripts and fractions": ["x² = 9", "x2 = 9", "½", "1⁄2"],
    "accents": ["resume", "résumé"],
    "punctuation alone": ["...", "?", "!", ""],
}


@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT)
def test_what_carries_meaning_makes_another_row(texts: list[str]) -> None:
    prompts = [as_read(row, text, "x") for row, text in enumerate(texts)]
    assert len(without_duplicates(prompts)) == len(texts)
    assert len(without_duplicates(prompts, by_prompt=True)) == len(texts)
    answers = [as_read(row, "Which one is it?", text) for row, text in enumerate(texts)]
    assert len(without_duplicates(answers)) == len(texts)


def test_white_space_and_unicode_form_do_not() -> None:
    texts = ["Où est  l’été ?", " Où est\n\tl’été\u00a0?\n", "Ou\u0300 est l’e\u0301te\u0301 ?"]
    rows = [as_read(row, text, "là" if row else "la\u0300 ") for row, text in enumerate(texts)]
    assert len(without_duplicates(rows)) == 1
    indented = ["if a:\n    b()\nc()", "if a:\n    b()\n    c()"]
    assert len({canonical(program) for program in indented}) == 1, "the rule's price, as documented"


@given(
    st.text(max_size=20), st.sampled_from(["NFC", "NFD"]), st.sampled_from([" ", "\n", " \t\r\n"])
)
def test_canonical_is_the_same_for_every_form(text: str, form, space: str) -> None:
    other = space + unicodedata.normalize(form, text).replace(" ", space) + space
    assert canonical(other) == canonical(text)
    assert canonical(canonical(text)) == canonical(text)


def test_an_id_is_as_documented() -> None:
    expected = hashlib.sha256(b"A, b?\x1fYes.").hexdigest()[:16]
    assert example_id(" A,\nb?", "Yes.  ") == expected
    assert example_id("A, b?", "yes.") != expected
    with_choices = hashlib.sha256(b"A, b?\x1fYes.\x1fNo.\x1fYes.").hexdigest()[:16]
    assert example_id("A, b?", "Yes.", ["Yes.", "No."]) == with_choices


def test_choices_belong_to_the_question_in_any_order_and_under_any_letter() -> None:
    one = prompt_id("Which is polite?", ["A. Shut the door.", "B. Please shut the door."])
    assert one == prompt_id("Which is  polite?", ["Please shut the door.", "Shut the door. "])
    assert one == prompt_id("Which is polite?", ["A) Please shut the door.", "B) Shut the door."])
    assert one != prompt_id("Which is polite?", ["A. Shut it.", "B. Please shut it."])
    assert one != prompt_id("Which is polite?")
    assert example_id("Which?", "A", ["x", "y"]) != example_id("Which?", "A", ["x", "z"])


def test_a_conversation_is_the_same_up_to_the_white_space_of_its_messages() -> None:
    said = talk(("system", "Be brief."), ("user", "Why  so?\nTell me."))
    same = talk(("system", "Be  brief."), ("user", "Why so? Tell me."))
    other = talk(("system", "Be brief."), ("assistant", "Why so? Tell me."))
    assert example_id(said, "So.") == example_id(same, "So.")
    assert example_id(said, "So.") != example_id(other, "So.")
