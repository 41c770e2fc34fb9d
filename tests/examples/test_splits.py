"""Splits: disjoint, seeded, independent of the order."""

from __future__ import annotations

import itertools
import random

from as_read import as_read  # type: ignore[import-not-found]
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appraise.examples.example import Example
from appraise.examples.overlap import Marks
from appraise.examples.splits import (
    Splits,
    clusters,
    seeded_order,
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


def drawn(examples: list[Example], value: int, train: int, test: int, seed: int = 0) -> Splits:
    sizes = {"value": value, "train": train, "test": test}
    return split_examples(examples, Marks(examples), sizes, seed, {})


def ids(split: list[Example]) -> set[str]:
    return {one.id for one in split}


def moved(one: Splits, other: Splits, name: str) -> int:
    """How many rows of a split are gone, or new, whichever are more."""
    before, after = ids(one[name]), ids(other[name])
    return max(len(before - after), len(after - before))


SIZES = st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(1, 30))
GROUPED = st.lists(st.integers(0, 12), min_size=1, max_size=70).map(  # rows, each with its group
    lambda groups: [example(i, f"passage {group}") for i, group in enumerate(groups)]
)
ALONE = st.integers(1, 70).map(lambda count: [example(i) for i in range(count)])


@settings(max_examples=150, deadline=None)
@given(GROUPED | ALONE, SIZES, st.integers(0, 3), st.randoms(use_true_random=False))
def test_splits_share_nothing_and_are_full_wherever_the_rows_suffice(
    examples: list[Example], sizes: tuple[int, int, int], seed: int, rng: random.Random
) -> None:
    splits = drawn(examples, *sizes, seed)
    marks = Marks(examples)
    of_split = [
        {mark for one in split for mark in (*marks.of(one), one.source.group)}
        for split in splits.values()
    ]
    assert all((one & other) <= {None} for one, other in itertools.combinations(of_split, 2))
    largest = max(len(cluster.rows) for cluster in clusters(examples, marks, seed))
    wanted = dict(zip(("value", "train", "test"), sizes, strict=True))
    assert all(len(splits[name]) <= size for name, size in wanted.items())
    if sum(sizes) + 2 * (largest - 1) <= len(examples):
        assert {name: len(split) for name, split in splits.items()} == wanted
    rng.shuffle(examples)
    assert drawn(examples, *sizes, seed) == splits, "the order of the rows decides"


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 80), SIZES, SIZES)
def test_the_size_of_one_split_moves_no_other(
    count: int, sizes: tuple[int, int, int], others: tuple[int, int, int]
) -> None:
    examples = [example(i) for i in range(count)]
    value, train, test = sizes
    assume(max(sum(sizes), value + sum(others[1:]), sum(others[:2]) + test) <= count)
    splits = drawn(examples, *sizes)
    assert drawn(examples, value, *others[1:])["value"] == splits["value"]
    assert drawn(examples, *others[:2], test)["test"] == splits["test"]
    larger = drawn(examples, value + 1, 0, test)
    assert larger["value"][:-1] == splits["value"], "one more is one more"
    # the training split gives way only where the others come as far as it
    places = {
        row: cluster.place
        for cluster in clusters(examples, Marks(examples), 0)
        for row in cluster.rows
    }
    meet = max([0.0, *(places[row] for row in larger["value"])]) > 1 / 3 or any(
        places[row] < 2 / 3 for row in splits["test"]
    )
    if not meet and value + 1 + train + test <= count:
        assert drawn(examples, value + 1, train, test)["train"] == splits["train"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=40, max_size=160),
    st.integers(1, 12), st.integers(0, 12), st.integers(1, 30), st.integers(1, 30),
)  # fmt: skip
def test_nor_where_rows_have_groups_while_every_split_has_its_third(
    groups: list[int], value: int, train: int, test: int, other: int
) -> None:
    examples = [example(i, f"passage {group}") for i, group in enumerate(groups)]
    placed = clusters(examples, Marks(examples), 0)
    rows = [
        sum(len(one.rows) for one in placed if low <= one.place < high)
        for low, high in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1))
    ]
    assume(value <= rows[0] and train <= rows[1] and max(test, other) <= rows[2])
    splits, again = drawn(examples, value, train, test), drawn(examples, value, train, other)
    assert (again["value"], again["train"]) == (splits["value"], splits["train"])
    clusters_used = {one.source.group for one in splits["value"]}
    first = sum(one.place < 1 / 3 for one in placed)
    assert len(clusters_used) == min(value, first), "of every group one before a second of any"


def test_whole_groups_are_taken_where_a_row_of_each_would_leave_too_few_for_the_others() -> None:
    examples = [example(i, f"passage {i // 10}") for i in range(300)]
    plenty, scarce = drawn(examples, 8, 0, 120), drawn(examples, 8, 0, 282)
    assert [len(split) for split in scarce.values()] == [8, 0, 282]
    assert len({one.source.group for one in plenty["value"]}) > 4
    assert len({one.source.group for one in scarce["value"]}) == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), SIZES, st.integers(100, 10_000))
def test_a_row_more_moves_at_most_one_row_of_each_split(
    count: int, sizes: tuple[int, int, int], new: int
) -> None:
    examples = [example(i) for i in range(sum(sizes) + count)]
    before, after = drawn(examples, *sizes), drawn([*examples, example(new)], *sizes)
    assert all(moved(before, after, name) <= 1 for name in ("value", "test"))
    assert moved(before, after, "train") <= 2, "the middle gives way on both sides"


def test_a_number_of_held_out_rows_decides_nothing() -> None:
    examples = [example(i) for i in range(80)]
    assert drawn(examples, 16, 0, 60)["value"] == drawn(examples, 16, 0, 4)["value"]
    assert drawn(examples, 16, 4, 60)["value"] == drawn(examples, 16, 0, 4)["value"]
    assert drawn(examples, 4, 0, 60)["test"] == drawn(examples, 16, 4, 60)["test"]


def test_a_row_more_of_a_group_leaves_its_place_as_it_is() -> None:
    examples = [example(i, f"passage {i % 7}") for i in range(30)]
    before = clusters(examples, Marks(examples), 0)
    more = [*examples, example(99, "passage 3")]
    after = clusters(more, Marks(more), 0)
    assert [one.place for one in after] == [one.place for one in before]
    assert sum(len(one.rows) for one in after) == 31


def test_rows_that_share_a_question_are_one_cluster_whatever_joins_them() -> None:
    rows = [
        as_read(i, f"{'first' if i < 3 else 'second'} question of all", str(i)) for i in range(5)
    ]
    choices = [("a", "b"), ("a", "c"), ("b", "a")]
    rows += [
        as_read(9, "which of these is the one", "a", choices=options, group="g")
        for options in choices
    ]
    assert sorted(len(one.rows) for one in clusters(rows, Marks(rows), 0)) == [2, 3, 3]


def test_what_another_component_took_is_not_taken_again() -> None:
    examples = [example(i) for i in range(12)]
    taken: dict[str, str] = {}
    first = split_examples(examples, Marks(examples), {"test": 6}, 0, taken)
    second = split_examples(examples, Marks(examples), {"value": 12}, 0, taken)
    assert {e.id for e in first["test"]}.isdisjoint(e.id for e in second["value"])
    assert len(second["value"]) == 6


def test_components_without_common_rows_do_not_disturb_each_other() -> None:
    one, two = ([example(i) for i in numbers] for numbers in (range(40), range(40, 90)))
    taken: dict[str, str] = {}
    sizes = {"value": 6, "train": 9, "test": 20}
    for examples in (one, two):
        splits = split_examples(examples, Marks(examples), sizes, 0, taken)
        assert splits == drawn(examples, *sizes.values())
    again = split_examples(one, Marks(one), sizes, 0, taken)
    assert again == drawn(one, *sizes.values()), "the same rows go into the same splits"
