"""Keys of partitions: nothing, a dataset, a target, or a target with a method or a policy."""

from __future__ import annotations

from typing import Literal

Partitions = Literal["", "dataset", "target", "target/method", "target/policy"]
WHOLE = ""  # the key of the only partition of a step without partitions


def joined(target: str, name: str) -> str:
    """The key of a target's partition of this name: that of a method or a policy."""
    return f"{target}/{name}"


def target_of(key: str) -> str:
    """The target of a key; of a target's own key, the key."""
    return key.partition("/")[0]


def name_of(key: str) -> str:
    """The method or policy of a key; "" for a key without."""
    return key.partition("/")[2]


def rests_on(ours: Partitions, key: str, theirs: Partitions, other: str) -> bool:
    """Whether a partition may rest on a partition of another step, by their keys alone."""
    if ours == theirs != "":
        return other == key
    if ours.startswith("target") and theirs.startswith("target"):
        return target_of(other) == target_of(key)
    return True
