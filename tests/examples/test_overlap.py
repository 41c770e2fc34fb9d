"""When two prompts are the same."""

from __future__ import annotations

import hashlib
import json

from as_read import talk  # type: ignore[import-not-found]

from appraise.examples.overlap import (
    example_id,
    fingerprint,
    fingerprints,
    known_fingerprints,
    normalise,
    question,
)


def test_normalisation() -> None:
    assert normalise("  What’s\nUP,  Doc?! ") == "what s up doc"
    assert normalise("Ｗｉｄｅ ﬁ") == "wide fi"
    assert normalise("1 + 1 < 3") == "1 + 1 < 3", "symbols are not punctuation"
    assert normalise("...") != normalise("?")


def test_id_is_as_documented() -> None:
    expected = hashlib.sha256(b"a b\x1fYes.").hexdigest()[:16]
    assert example_id("A, b?", "Yes.") == expected
    assert example_id("a b", "Yes") != expected, "the completion counts as it is"


def test_question_is_the_prompt_without_options() -> None:
    assert question("Why is it so?\nA. x\nB. y") == "Why is it so?"
    assert question("Question:\nWhy is it so?\nOptions:\nA: x\nB: y\nC: z") == "Why is it so?"
    assert question("A. Smith went home.\nWhy?") == "A. Smith went home.\nWhy?"
    assert question("passage\nA. one item\nwhy?") == "passage\nA. one item\nwhy?"


def test_same_question_with_other_options_overlaps() -> None:
    one = fingerprints("Which bone is the longest?\nA. femur\nB. tibia")
    other = fingerprints("Which bone is the longest\n(A) tibia\n(B) femur")
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert fingerprint("which bone is the longest?") == one[0]


def test_a_short_question_says_too_little() -> None:
    marks = fingerprints("True or false?\nA. True\nB. False")
    assert marks == (fingerprint("True or false?\nA. True\nB. False"),)
    assert known_fingerprints(["b c", "b C!", "a"]) == sorted(
        {fingerprint("a"), fingerprint("b c")}
    )


def test_a_conversation_is_recognised_by_the_last_question_of_its_user() -> None:
    asked = ("user", "Which bone is the longest?\nA. femur\nB. tibia")
    before = [("system", "Be brief."), ("user", "Hello")]
    plain = set(fingerprints(asked[1]))
    for messages in ([asked], [*before, ("assistant", "Hi."), asked]):
        assert not plain.isdisjoint(fingerprints(talk(*messages))), "leaks in another format"
    other = fingerprints(talk(asked, ("assistant", "Femur"), before[1]))
    assert plain.isdisjoint(other)
    assert len(other) == 1, "a greeting says too little"


def test_a_conversation_is_hashed_as_its_json() -> None:
    prompt = talk(("system", "Be brief."), ("user", "Why?"))
    text = json.dumps([{"role": m.role, "content": m.content} for m in prompt], ensure_ascii=False)
    assert example_id(prompt, "So.") == example_id(text, "So.")
    assert fingerprints(prompt) == (fingerprint(text),), "its question is too short"
    assert (
        question(talk(("system", "A. x\nB. y"))) == '[{"role": "system", "content": "A. x\\nB. y"}]'
    )


def test_a_text_that_looks_like_a_conversation_is_a_text() -> None:
    looks = '[{"role": "user", "content": "Which bone is the longest of all?"}]'
    assert question(looks) == looks
    assert fingerprints(looks) == (fingerprint(looks),)
