"""Seeded order and disjoint splits, whatever the order of the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from appraise.examples.conversations import text_of
from appraise.examples.example import Example
from appraise.examples.identity import digest, prompt_id
from appraise.examples.overlap import Marks, normalise

Splits = dict[str, list[Example]]


def seeded_order(examples: Iterable[Example], seed: int) -> list[Example]:
    """Examples in the order of SHA-256(seed, id): random, and independent of the given order."""
    return sorted(examples, key=lambda example: seeded_rank(example.id, seed))


def seeded_rank(identity: str, seed: int) -> str:
    """SHA-256(seed, id), by which examples are ordered."""
    return hashlib.sha256(f"{seed}\x1f{identity}".encode()).hexdigest()


def without_duplicates(examples: Iterable[Example], by_prompt: bool = False) -> list[Example]:
    """One of each id (or of each prompt and choices), the smallest as text, in the order of ids."""
    kept: dict[str, Example] = {}
    for example in examples:
        mark = prompt_id(example.prompt, example.choices) if by_prompt else example.id
        other = kept.get(mark)
        if other is None or _text(example) < _text(other):
            kept[mark] = example
    return sorted(kept.values(), key=lambda example: example.id)


def _text(example: Example) -> tuple[str, ...]:
    return (text_of(example.prompt), example.completion, example.rejected or "")


def shared_marks(example: Example, marks: Marks) -> set[str]:
    """What no two splits may share: what a row is recognised by, and its group (a passage, say)."""
    name = example.source.group
    group = {digest("group", normalise(name))} if name else set()
    return {*marks.of(example), *group}


def split_examples(
    examples: Iterable[Example],
    marks: Marks,
    sizes: Mapping[str, int],
    seed: int,
    taken: dict[str, str],
) -> Splits:
    """Disjoint splits of the given sizes, filled one after the other in seeded order.

    Args:
        marks: what the rows of their source are recognised by.
        sizes: examples wanted of each split, in the order of filling.
        taken: mark → split, of what other components of the target already put there. An example
            that shares a mark with another split is passed over. Updated in place.

    Returns:
        Splits in seeded order; one may be shorter than wanted when the examples do not suffice.
    """
    splits: Splits = {name: [] for name in sizes}
    for example in seeded_order(examples, seed):
        own = shared_marks(example, marks)
        elsewhere = {taken[mark] for mark in own if mark in taken}
        name = next(
            (
                name
                for name, size in sizes.items()
                if len(splits[name]) < size and elsewhere <= {name}
            ),
            None,
        )
        if name is not None:
            splits[name].append(example)
            taken.update(dict.fromkeys(own, name))
    return splits
