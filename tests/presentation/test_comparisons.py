"""Comparisons of purchases in words."""

from __future__ import annotations

from appraise.presentation.comparisons import change, standing, verdict_sentence
from appraise.records.outcome import Comparison

PAIR = Comparison(
    a="kmm", b="random", difference=-0.2, low=-0.3, high=-0.1, verdict="kmm is better"
)


def test_verdicts_are_said_in_words() -> None:
    assert verdict_sentence(PAIR) == "Better than “drawn at random”: its loss is lower by 0.20."
    worse = PAIR.model_copy(update={"difference": 0.2, "low": 0.1, "high": 0.3})
    assert verdict_sentence(worse) == "Worse than “drawn at random”: its loss is higher by 0.20."
    even = PAIR.model_copy(update={"high": 0.1})
    assert verdict_sentence(even).startswith("No detectable difference from “drawn at random”")
    others = [even.model_copy(update={"b": "one_step"}), worse.model_copy(update={"b": "all"})]
    assert standing([PAIR, *others]) == (
        "It is better than “drawn at random”. No difference from “best one by one” could be "
        "detected. It is worse than “everything”."
    )


def test_what_the_loss_does() -> None:
    even = PAIR.model_copy(update={"high": 0.1})
    worse = PAIR.model_copy(update={"low": 0.1, "high": 0.3})
    said = [change(pair) for pair in (PAIR, even, worse)]
    assert said == ["falls", "does not change detectably", "rises"]
