"""Mixes: the paper's, how it is chosen, and the stream between a mix and a data loader."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from appraise.examples.example import Example
from appraise.language_model.mixes import MIXES, TARGET, Draw, Losses, Mix, Planned, Pools, mix_of
from appraise.language_model.streams import Stream
from appraise.project.params import Params
from appraise.settings.section import describe
from appraise.settings.training import LoraAdapterParams


def settings(**more: Any) -> LoraAdapterParams:
    return LoraAdapterParams(**{"steps": 3, "batch_size": 4, **more})


def pool(name: str, size: int) -> list[Example]:
    return [Example(f"{name}{number}", f"{number}?", f"{number}") for number in range(size)]


def planned(sizes: dict[str, int], wanted: LoraAdapterParams) -> list[Draw]:
    """All that is drawn."""
    mix = mix_of({name: pool(name, size) for name, size in sizes.items()}, wanted)
    assert mix is not None
    return [draw for step in range(wanted.steps) for draw in mix.draw(step)]


def test_datasets_come_equally_and_every_example_before_any_again() -> None:
    draws = planned({"a": 8, "b": 100}, settings(steps=8))
    assert Counter(draw.dataset for draw in draws) == {"a": 16, "b": 16}
    ids = [draw.example.id for draw in draws if draw.dataset == "a"]
    every = [example.id for example in pool("a", 8)]
    assert sorted(ids[:8]) == sorted(ids[8:]) == every
    assert ids[:8] != every, "shuffled"


def test_the_target_has_its_share() -> None:
    draws = planned({"a": 50, "b": 50, TARGET: 30}, settings(steps=25, target_share=0.7))
    assert Counter(draw.dataset for draw in draws) == {TARGET: 70, "a": 15, "b": 15}
    wanted = settings(steps=5, target_share=0.7)
    assert Counter(draw.dataset for draw in planned({TARGET: 30}, wanted)) == {TARGET: 20}


def test_without_anything_to_train_on_there_is_no_mix() -> None:
    assert mix_of({}, settings(target_share=0.7)) is None
    assert mix_of({TARGET: pool(TARGET, 30)}, settings()) is None, "its share is 0"
    assert mix_of({"a": []}, settings()) is None


def test_the_plan_depends_on_the_seed_and_not_on_the_other_datasets() -> None:
    wanted = settings(steps=5)
    alone = [draw.example for draw in planned({"a": 40}, wanted)]
    beside = [d.example for d in planned({"a": 40, "b": 9}, wanted) if d.dataset == "a"]
    assert alone[: len(beside)] == beside
    assert alone != [draw.example for draw in planned({"a": 40}, settings(steps=5, seed=1))]


def test_each_mix_draws_what_it_is_asked_for() -> None:
    for name, kind in MIXES.items():
        mix: Mix = kind({"a": pool("a", 5)}, settings(mix=name))
        for step in range(3):
            assert len(mix.draw(step)) == 4, name
            mix.observe(step, Losses(1.0))
        assert mix.ahead in (True, False)
    assert MIXES["planned"] is Planned


def test_a_mix_of_ones_own_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class First(Planned):
        """Of every dataset its first example alone."""

        def __init__(self, pools: Pools, wanted: LoraAdapterParams) -> None:
            super().__init__({name: examples[:1] for name, examples in pools.items()}, wanted)

    monkeypatch.setitem(MIXES, "first", First)
    section = params(mix="first").lora_adapter
    mix = mix_of({"a": pool("a", 5), "b": pool("b", 5)}, section)
    assert mix is not None
    assert {draw.example.id for draw in mix.draw(0)} == {"a0", "b0"}


def test_a_mix_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValidationError) as raised:
        params(mix="none")
    assert "lora_adapter.mix: expected one of planned, found 'none'" in describe(raised.value)


def params(**section: Any) -> Params:
    target = {"title": "T", "components": [{"name": "c", "source": "x.jsonl"}]}
    return Params.model_validate(
        {
            "base_model": {"source": "m"},
            "offers": {"pool": "pool.yaml"},
            "target_sets": {"t": target},
            "lora_adapter": section,
        }
    )


def test_a_stream_makes_each_step_once_and_forgets_it() -> None:
    made: list[int] = []
    seen: list[tuple[int, float]] = []

    def make(step: int) -> list[str]:
        made.append(step)
        return [f"{step}.{place}" for place in range(2)]

    stream = Stream(6, 2, make, True, lambda step, losses: seen.append((step, losses.mean)))
    loud = stream.map(str.upper).map(lambda item: item + "!")
    assert [loud[0], loud[1], loud[0]] == ["0.0!", "0.1!", "0.0!"]
    assert loud.coming(0, 9) == [f"{step}.{place}!" for step in range(3) for place in range(2)]
    assert made == [0, 1, 2]
    loud.observe(0, Losses(0.5))
    assert seen == [(0, 0.5)]
    assert loud[2] == "1.0!"
    assert made == [0, 1, 2]


def test_a_stream_that_may_not_be_asked_ahead_is_not() -> None:
    made: list[int] = []
    stream = Stream(6, 2, lambda step: made.append(step) or [step] * 2, False)
    assert stream.map(str).coming(1, 9) == ["1", "1"]
    assert made == [1]


def test_a_stream_of_what_is_there_ends_with_a_smaller_step() -> None:
    stream = Stream.of([1, 2, 3], 2)
    assert len(stream) == 3
    assert [list(stream.step(step)) for step in (0, 1)] == [[1, 2], [3]]
    assert stream.coming(0, 5) == [1, 2, 3]
