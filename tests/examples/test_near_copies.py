"""Near copies: found whatever was done to their letters; different questions are left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from as_read import talk  # type: ignore[import-not-found]

from appraise.examples.conversations import text_of
from appraise.examples.example import Example
from appraise.examples.near_copies import NearCopy, near_copies, shingles, similarity, whose

RNG = np.random.default_rng(0)
VOCABULARY = ["".join(chr(97 + c) for c in RNG.integers(0, 26, size)) for size in
              RNG.integers(2, 10, 800)]  # fmt: skip
SYNONYMS = dict(zip(VOCABULARY[:100], VOCABULARY[700:], strict=True))


def text(words: int, rng: np.random.Generator) -> str:
    return " ".join(rng.choice(VOCABULARY, words))


def rows(count: int, seed: int, name: str = "r") -> list[Example]:
    rng = np.random.default_rng(seed)
    return [
        Example(f"{name}{i}", f"{text(20, rng)}\n{text(9, rng)}?", text(2, rng))
        for i in range(count)
    ]


def altered(row: Example, change: Callable[[str], str]) -> Example:
    """A copy whose prompt was changed, under an id of its own."""
    return Example(f"x{row.id}", change(text_of(row.prompt)), row.completion)


def edited(share: float) -> Callable[[str, np.random.Generator], str]:
    """Words replaced, left out or put in."""

    def change(line: str, rng: np.random.Generator) -> str:
        found = []
        for word in line.split(" "):
            kind = rng.integers(3) if rng.random() < share else 3
            found += [[text(1, rng)], [], [word, text(1, rng)], [word]][kind]
        return " ".join(found)

    return change


def shouted(line: str, rng: np.random.Generator) -> str:  # noqa: ARG001
    return "   ".join(line.upper().split()) + " !"


def paraphrased(line: str, rng: np.random.Generator) -> str:  # noqa: ARG001
    polite = "Could you tell me: " if len(line.split(" ")) > 15 else ""
    return polite + " ".join(SYNONYMS.get(word, word) for word in line.split(" "))


CHANGES = {
    "none": (lambda line, _: line, 1.0),
    "case, space and punctuation": (shouted, 0.99),
    "5 % of the words": (edited(0.05), 0.95),
    "10 % of the words": (edited(0.1), 0.9),
    "paraphrased": (paraphrased, 0.9),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_recall(kind: str) -> None:
    change, least = CHANGES[kind]
    rng, first = np.random.default_rng(1), rows(200, 0)
    copies = [
        Example(
            f"x{row.id}",
            "\n".join(change(x, rng) for x in str(row.prompt).split("\n")),
            row.completion,
        )
        for row in first
    ]
    found = dict(near_copies([("first", first), ("copy", copies)]))
    right = [one for one in found["copy"] if one.row == f"x{one.of_row}"]
    assert len(right) == len(found["copy"]), "no row is taken for a copy of another"
    assert len(right) >= least * len(copies)
    assert found["first"] == []


def test_different_questions_on_one_passage_are_different_rows() -> None:
    rng = np.random.default_rng(2)
    passage = text(200, rng)
    one, two = (
        [Example(f"{name}{i}", f"{passage}\n{text(9, rng)}?", text(2, rng)) for i in range(20)]
        for name in "ab"
    )
    assert dict(near_copies([("one", one), ("two", two)]))["two"] == []


def test_a_copy_without_line_breaks_is_found() -> None:
    first = rows(50, 3)
    flat = [
        Example(f"x{row.id}", str(row.prompt).replace("\n", " "), row.completion) for row in first
    ]
    assert len(dict(near_copies([("first", first), ("flat", flat)]))["flat"]) == 50


def test_who_registered_first_is_named_and_a_newcomer_changes_nobody() -> None:
    first = rows(30, 4)
    pool = [("a", rows(30, 5)), ("b", first[:20]), ("c", first)]
    found = dict(near_copies(pool))
    assert found["a"] == found["b"] == []
    assert {one.of for one in found["c"]} == {"b"}
    assert len(found["c"]) == 20
    assert whose(found["c"]) == {"b": 20}
    more = dict(near_copies([*pool, ("d", first)]))
    assert {name: more[name] for name in found} == found
    assert more["d"][0] == NearCopy("r0", "b", "r0", 1.0)


def test_short_empty_and_foreign_texts() -> None:
    short = [Example("1", "", ""), Example("2", "ja", "?"), Example("3", "Größe? 大きさ", "μ")]
    found = dict(near_copies([("one", short), ("two", short)]))
    assert [one.row for one in found["two"]] == ["1", "2", "3"]
    other = [Example("4", "no", "!"), Example("5", "大小", "ν")]
    assert dict(near_copies([("one", short), ("two", other)]))["two"] == []


def test_a_conversation_is_compared_by_its_json() -> None:
    asked = [
        talk(("user", f"{row.prompt}"), ("assistant", "Yes?"), ("user", f"And {row.completion}?"))
        for row in rows(20, 6)
    ]
    first = [Example(f"r{i}", prompt, "So.") for i, prompt in enumerate(asked)]
    texts = [Example(f"t{i}", text_of(prompt), "So.") for i, prompt in enumerate(asked)]
    copies = dict(near_copies([("first", first), ("texts", texts)]))["texts"]
    assert [(one.row, one.of_row, one.similarity) for one in copies] == [
        (f"t{i}", f"r{i}", 1.0) for i in range(20)
    ]


def test_similarity_is_that_of_sets() -> None:
    one, other = shingles("abcdefgh"), shingles("abcdefgX")
    assert len(one) == len(other) == 4
    assert similarity(one, other) == pytest.approx(3 / 5)
    assert similarity(one, one) == 1
