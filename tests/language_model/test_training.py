"""Training: the mix, the schedule, and that the same plan gives the same adapter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]

from appraise.language_model import base
from appraise.language_model.gradients import completion_loss
from appraise.language_model.training import TARGET, plan, rate, save, train, with_adapter
from appraise.language_model.trunk import Trunk
from appraise.params import LoraAdapterParams


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("training") / "base", last_layers=2)


def settings(**more: Any) -> LoraAdapterParams:
    return LoraAdapterParams(**{"steps": 5, "batch_size": 4, **more})


def batches(steps: int = 5) -> list[list[tuple[str, Any]]]:
    examples = sequences(steps * 4)
    return [[("set", one) for one in examples[i : i + 4]] for i in range(0, len(examples), 4)]


def trained(here: Room, folder: Path, **more: Any):  # type: ignore[no-untyped-def]
    model = base.load(here.folder)
    adapted = with_adapter(model, here.params.lora, here.a)
    trunk = Trunk(model, here.params.lora)
    done = train(adapted, trunk, batches(), settings(**more), lambda: None)
    save(adapted, folder)
    return adapted, done


def test_datasets_come_equally_and_every_example_before_any_again() -> None:
    found = plan({"a": 8, "b": 100}, 0, settings(steps=8))
    assert Counter(name for name, _ in found) == {"a": 16, "b": 16}
    first, second = [[i for n, i in found if n == "a"][k : k + 8] for k in (0, 8)]
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != list(range(8)), "shuffled"


def test_the_target_has_its_share() -> None:
    found = plan({"a": 50, "b": 50}, 30, settings(steps=25, target_share=0.7))
    assert Counter(name for name, _ in found) == {TARGET: 70, "a": 15, "b": 15}
    assert Counter(name for name, _ in plan({}, 30, settings(target_share=0.7))) == {TARGET: 20}
    assert plan({}, 30, settings()) == plan({}, 0, settings(target_share=0.7)) == []


def test_the_plan_depends_on_the_seed_and_not_on_the_other_datasets() -> None:
    alone = [i for n, i in plan({"a": 40}, 0, settings()) if n == "a"]
    beside = [i for n, i in plan({"a": 40, "b": 9}, 0, settings()) if n == "a"]
    assert alone[: len(beside)] == beside
    assert alone != [i for _, i in plan({"a": 40}, 0, settings(seed=1))]


def test_warmup_then_a_cosine_to_zero() -> None:
    one = settings(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [rate(step, one) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3


def test_a_step_is_that_of_a_plain_loop(here: Room) -> None:
    adapted, done = trained(here, here.folder.parent / "ours")
    plain = with_adapter(base.load(here.folder), here.params.lora, here.a)
    weights = [p for p in plain.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0)
    for step, batch in enumerate(batches()):
        loss = torch.cat([completion_loss(plain, encoded) for _, encoded in batch]).mean()
        assert done.loss[step] == pytest.approx(float(loss.detach()), rel=1e-4)
        optimizer.param_groups[0]["lr"] = rate(step, settings())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = dict(plain.named_parameters())
    for name, found in adapted.named_parameters():
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_twice_gives_the_same_bytes(tiny: Path, tmp_path: Path, dropout: float) -> None:
    here = room(tiny, tmp_path / "base", last_layers=2, dropout=dropout)
    for name in "ab":
        trained(here, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_it_learns(here: Room) -> None:
    model = base.load(here.folder)
    adapted = with_adapter(model, here.params.lora, here.a)
    same = [batches()[0]] * 40
    wanted = settings(steps=40, learning_rate=3e-2)
    done = train(adapted, Trunk(model, here.params.lora), same, wanted, lambda: None)
    assert done.loss[-1] < 0.95 * done.loss[0]
    assert done.mix == {"set": 160}
    assert done.tokens == 40 * sum(len(encoded.ids) for _, encoded in same[0])


def test_the_adapter_loads_back_with_peft(here: Room, tmp_path: Path) -> None:
    from peft import PeftModel

    adapted, _ = trained(here, tmp_path / "adapter")
    ids = torch.arange(3, 20)[None]
    expected = adapted.eval()(ids).logits
    assert not torch.equal(expected, base.load(here.folder)(ids).logits)
    again = PeftModel.from_pretrained(base.load(here.folder), tmp_path / "adapter")
    torch.testing.assert_close(again.eval()(ids).logits, expected)
    assert {p.name for p in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
