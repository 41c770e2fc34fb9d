"""Splits: disjoint, seeded, independent of the order."""

from __future__ import annotations

from as_read import as_read  # type: ignore[import-not-found]
from hypothesis import given, settings
from hypothesis import strategies as st

from appraise.examples.example import Example
from appraise.examples.overlap import Marks
from appraise.examples.splits import (
    seeded_order,
    shared_marks,
    split_examples,
    without_duplicates,
)


def example(number: int, group: str | None = None) -> Example:
    prompt = f"what is it about number {number}"
    made: Example = as_read(number, prompt, str(number), size=10, group=group)
    return made


def test_order_depends_on_the_seed_alone() -> None:
    examples = [example(i) for i in range(50)]
    one = seeded_order(examples, 0)
    assert [e.id for e in one] == [e.id for e in seeded_order(examples[::-1], 0)]
    assert one != seeded_order(examples, 1)
    assert one != examples


def test_duplicates_keep_the_same_one_in_any_order() -> None:
    twice = [as_read(1, "Same  thing?", "a"), as_read(2, "Same thing?", "a")]
    assert [e.source.row for e in without_duplicates(twice)] == [1]
    assert [e.source.row for e in without_duplicates(twice[::-1])] == [1]
    other = as_read(3, "Same thing?", "b")
    assert len(without_duplicates([*twice, other])) == 2
    assert len(without_duplicates([*twice, other], by_prompt=True)) == 1


def test_of_pairs_with_one_better_answer_the_same_is_kept_in_any_order() -> None:
    pairs = [as_read(i, "Why?", "So.", rejected=worse) for i, worse in enumerate("cab")]
    for order in (pairs, pairs[::-1]):
        assert [one.rejected for one in without_duplicates(order)] == ["a"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_splits_share_nothing_and_do_not_depend_on_order(pairs: list[tuple[int, int]], rng) -> None:
    examples = without_duplicates([example(i, f"group {g}") for i, g in pairs])
    sizes = {"test": 6, "value": 4, "train": 3}
    marks = Marks(examples)
    splits = split_examples(examples, marks, sizes, 0, {})
    for name, found in splits.items():
        assert len(found) <= sizes[name]
        for other in set(splits) - {name}:
            mine, theirs = (
                {mark for one in split for mark in shared_marks(one, marks)}
                for split in (found, splits[other])
            )
            assert mine.isdisjoint(theirs)
    rng.shuffle(examples)
    assert split_examples(examples, marks, sizes, 0, {}) == splits


def test_what_another_component_took_is_not_taken_again() -> None:
    examples = [example(i) for i in range(12)]
    taken: dict[str, str] = {}
    first = split_examples(examples, Marks(examples), {"test": 6}, 0, taken)
    second = split_examples(examples, Marks(examples), {"value": 12}, 0, taken)
    assert {e.id for e in first["test"]}.isdisjoint(e.id for e in second["value"])
    assert len(second["value"]) == 6
