"""What is made from the same is made once, whatever it is called, and has the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from appraise.project import Project
from appraise.project.keys import name_of
from appraise.project.reads import Fact, Given, Part, Reads, same
from appraise.steps import sharing
from appraise.steps.executors import HERE, Produce
from appraise.steps.progress import Progress
from appraise.steps.runner import run
from appraise.steps.step import Keys, Output, Step
from appraise.storage.files import read_json, write_json


@dataclass(frozen=True)
class Value:
    FILE: ClassVar[str] = "value.json"
    SCHEMA: ClassVar[int] = 1

    value: object

    @classmethod
    def read(cls, folder: Path) -> Value:
        return cls(read_json(folder / cls.FILE))

    def write(self, folder: Path) -> None:
        write_json(folder / self.FILE, self.value)


class Trainings:
    """Adapters of what policies buy, and the marks that these adapters get; counts both."""

    def __init__(self, root: Path, **bought: str) -> None:
        self.project, self.bought = Project(root), {f"desk/{k}": v for k, v in bought.items()}
        self.made: list[str] = []
        keys = Keys(lambda _: sorted(self.bought))
        buys = Reads(facts=(Fact("bought", lambda _, key: self.bought[key]),))
        adapter = Reads(parts=(Part("adapter", keys=same),))
        kind = "target/policy"
        self.adapter = Step("adapter", kind, keys, buys, (Value,), self.train, alike="purchase")
        self.mark = Step("mark", kind, keys, adapter, (Value,), self.evaluate, alike="adapter")

    def train(self, partitions: Sequence[Given], _: Progress) -> Iterator[Output]:
        for given in partitions:
            self.made.append(f"adapter of {given.fact('bought')}")
            yield Output(given.key, (Value(given.fact("bought")),))

    def evaluate(self, partitions: Sequence[Given], _: Progress) -> Iterator[Output]:
        for given in partitions:
            adapter = Value.read(given.folder("adapter", given.key))
            self.made.append(f"mark of {adapter.value}")
            yield Output(given.key, (Value(f"mark of {adapter.value}"),))

    def run(self, **bought: str) -> list[str]:
        """What is made when this is bought; every partition is then as it should be."""
        self.bought.update({f"desk/{policy}": what for policy, what in bought.items()})
        self.made.clear()
        for one in (self.adapter, self.mark):
            run(one, self.project)
            assert all(one.current(self.project, key) for key in self.bought)
        for key, what in self.bought.items():
            for noun, value in (("adapter", what), ("mark", f"mark of {what}")):
                assert Value.read(self.project.open(noun, key)).value == value
                assert self.project.manifest(noun, key).key == key
        return sorted(self.made)


def test_policies_that_buy_the_same_share_one_training_and_one_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings = Trainings(tmp_path, kmm="x y", one_step="x y", random="z")
    assert trainings.run() == ["adapter of x y", "adapter of z", "mark of x y", "mark of z"]
    said = capsys.readouterr().err
    assert "adapter desk/one_step: same purchase as kmm: taken over\n" in said
    assert "mark desk/one_step: same adapter as kmm: taken over\n" in said
    assert trainings.run() == []


def test_an_adapter_trained_before_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainings = Trainings(tmp_path, kmm="x", one_step="y")
    trainings.run()
    assert trainings.run(one_step="x", greedy="y") == [], "from one that is about to be replaced"
    assert trainings.run(kmm="y", one_step="y", greedy="x") == [], "two change places"
    assert trainings.run(kmm="z", one_step="z", greedy="z") == ["adapter of z", "mark of z"]
    assert trainings.run(kmm="x", greedy="y") == [], "back again"
    assert "adapter desk/greedy: same purchase as one_step had before: taken over" in (
        capsys.readouterr().err
    )
    del trainings.bought["desk/greedy"]
    assert trainings.run() == []
    assert trainings.run(one_step="y") == [], "of a policy that is not asked for any more"


def test_another_target_shares_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainings = Trainings(tmp_path, kmm="x")
    trainings.bought["shop/kmm"] = "x"
    assert trainings.run() == ["adapter of x", "mark of x"]
    assert "adapter shop/kmm: same purchase as desk/kmm: taken over" in capsys.readouterr().err


def test_what_is_damaged_or_by_other_code_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = Trainings(tmp_path, kmm="x")
    trainings.run()
    (tmp_path / "data/adapter/desk/kmm/value.json").write_text('"worse"')
    assert trainings.run(one_step="x") == ["adapter of x"]
    object.__setattr__(trainings.adapter, "version", "2")
    assert trainings.run(greedy="x") == ["adapter of x"], "once, for all three"
    monkeypatch.setattr(Value, "SCHEMA", 2)
    assert trainings.run(random="x") == ["adapter of x", "mark of x"]


def test_by_force_one_of_each_is_made_again(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path, kmm="x", one_step="x", random="y")
    trainings.run()
    trainings.made.clear()
    run(trainings.adapter, trainings.project, force=True)
    assert trainings.made == ["adapter of x", "adapter of y"]
    run(trainings.adapter, trainings.project, ["desk/one_step"], force=True)
    assert trainings.made == ["adapter of x", "adapter of y", "adapter of x"]


def test_an_executor_is_handed_one_of_each(tmp_path: Path) -> None:
    handed: list[list[str]] = []

    class Noting:
        def make(self, noun: str, project: Project, keys: Sequence[str], produce: Produce) -> None:
            handed.append(list(keys))
            HERE.make(noun, project, keys, produce)

    trainings = Trainings(tmp_path, kmm="x", one_step="x", random="y", greedy="x")
    made = run(trainings.adapter, trainings.project, executor=Noting())
    assert handed == [["desk/greedy", "desk/random"]]
    assert made.made == tuple(sorted(trainings.bought))


def test_a_step_whose_partitions_know_their_keys_makes_all(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path, kmm="x", one_step="x")
    object.__setattr__(trainings.adapter, "alike", "")
    run(trainings.adapter, trainings.project)
    assert trainings.made == ["adapter of x"] * 2
    assert not trainings.project.earlier("adapter").exists()


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path, kmm="0")
    for number in range(sharing.KEPT + 3):
        trainings.run(kmm=str(number))
    assert len(list(trainings.project.earlier("adapter").iterdir())) == sharing.KEPT
    assert trainings.run(kmm="2") == []
    assert trainings.run(kmm="1") == ["adapter of 1", "mark of 1"]
    shutil.rmtree(trainings.project.earlier("adapter"))
    assert trainings.run(kmm="2") == ["adapter of 2"], "nothing rests on what is kept"


def test_a_partition_made_of_another_target_s_data_is_another(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path, kmm="x", one_step="y")
    trainings.run()
    reads = Reads(
        facts=(Fact("of", lambda *_: "the same"),),
        parts=(Part("adapter", keys=lambda _, key: [key, "desk/kmm"]),),
    )
    keys = Keys(lambda _: sorted(trainings.bought))

    def make(partitions: Sequence[Given], _: Progress) -> Iterator[Output]:
        for given in partitions:
            trainings.made.append(name_of(given.key))
            yield Output(given.key, (Value(Value.read(given.folder("adapter", given.key)).value),))

    trainings.made.clear()
    run(Step("pair", "target/policy", keys, reads, (Value,), make, alike="pair"), trainings.project)
    assert trainings.made == ["kmm", "one_step"]
