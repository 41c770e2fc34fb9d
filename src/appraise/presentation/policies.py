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
    "none": NamedPolicy("Nothing bought", "the base model as it is", None),
    "kmm": NamedPolicy(
        "Best mix", "the largest weights in the mix that comes closest to the task", "kmm"
    ),
    "kmm_bagged": NamedPolicy(
        "Steadiest mix",
        "the largest weights on average, when the samples are drawn again and again",
        "kmm",
    ),
    "greedy": NamedPolicy(
        "One after another", "each time the dataset that adds most to those already taken", "kmm"
    ),
    "best_subset": NamedPolicy(
        "Best of all sets",
        "of all sets within the limits, the one that comes closest to the task",
        "kmm",
    ),
    "one_step": NamedPolicy(
        "Best one by one",
        "the datasets that look best when each is judged on its own",
        "alignment",
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
