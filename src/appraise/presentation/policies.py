"""What policies are called on a page for somebody who buys data."""

from __future__ import annotations

from dataclasses import dataclass

OURS = ("This decision", "the datasets bought above")


@dataclass(frozen=True)
class NamedPolicy:
    """A way of choosing: its title, what it means, and whose values it reads; None for nobody's."""

    title: str
    meaning: str
    method: str | None


_NAMED = {
    "kmm": NamedPolicy("Largest weights", "the largest parts of the ideal mix", "kmm"),
    "none": NamedPolicy("Nothing bought", "the base model as it is", None),
    "kmm_bagged": NamedPolicy(
        "Average of many looks", "the steadiest weights, averaged over other samples", "kmm"
    ),
    "greedy": NamedPolicy(
        "One after the other", "each the one that adds most to those taken before", "kmm"
    ),
    "best_subset": NamedPolicy(
        "Best of all sets", "of all sets of this size, the one that comes closest", "kmm"
    ),
    "one_step": NamedPolicy(
        "Best one by one", "those that look best when each is looked at alone", "alignment"
    ),
    "random": NamedPolicy("Drawn at random", "as many datasets, drawn by lot", None),
    "target_only": NamedPolicy(
        "Own data only", "trained on the task's own examples, nothing bought", None
    ),
    "all": NamedPolicy("Everything", "all datasets on offer", None),
}


def title_of(policy: str) -> str:
    """What a policy is called."""
    return _NAMED[policy].title


def meaning_of(policy: str) -> str:
    """What a policy buys, in half a sentence."""
    return _NAMED[policy].meaning


def method_of(policy: str) -> str | None:
    """The method whose values a policy reads; None where it reads none."""
    return _NAMED[policy].method
