"""Training: the mix, the schedule, TRL's trainers against plain loops, and the same bytes twice."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rooms import Room, room  # type: ignore[import-not-found]
from tiny_model import tiny_model  # type: ignore[import-not-found]
from torch.nn.functional import logsigmoid

from appraise.errors import ModelError
from appraise.language_model import base
from appraise.language_model.lora import peft_quiet
from appraise.language_model.objectives import advantages, preparation
from appraise.language_model.prompts import Encoded
from appraise.language_model.rollouts import Sampler
from appraise.language_model.training import (
    TARGET,
    Training,
    plan,
    rate,
    save,
    train,
    with_adapter,
)
from appraise.language_model.trunk import Trunk
from appraise.settings.objectives import Dpo, Grpo, Objective, Sft
from appraise.settings.training import LoraAdapterParams

STEPS, BATCH = 3, 4
DPO = Dpo(kind="dpo", beta=0.3)
GRPO = Grpo(kind="grpo", reward="letters:vowels", generations=3, max_new_tokens=6)
OBJECTIVES = {"sft": Sft(), "dpo": DPO, "grpo": GRPO}


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("training") / "base", last_layers=2)


@pytest.fixture(autouse=True)
def _reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "letters.py").write_text(
        "vowels = lambda completion, answer: sum(letter in 'aeiouAEIOU' for letter in completion)\n"
        "raises = lambda completion, answer: answer['nothing']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "letters", raising=False)


def settings(**more: Any) -> LoraAdapterParams:
    return LoraAdapterParams(**{"steps": STEPS, "batch_size": BATCH, **more})


def batches(steps: int = STEPS) -> list[list[tuple[str, dict[str, Any]]]]:
    rows = [
        {
            "id": f"r{number}",
            "prompt": "word " * (number % 4) + f"{number} and {number}",
            "completion": f"{2 * number}" + " yes" * (number % 3),
            "rejected": f"{3 * number} no" + " never" * (number % 2),
        }
        for number in range(steps * BATCH)
    ]
    named = [(f"set{number % 2}", row) for number, row in enumerate(rows)]
    return [named[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def learned(here: Room, adapted: Any, *given: Any, told: Callable[[], object] = list) -> Training:
    """Train in place; `given` are batches, objective and settings."""
    trunk, (rows, objective, wanted) = Trunk(base.load(here.folder), here.params.lora), given
    return train(adapted, trunk, here.tokenizer, rows, objective, here.params, wanted, told)


def trained(here: Room, objective: Objective, **more: Any):  # type: ignore[no-untyped-def]
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    wanted = settings(**more)
    given = batches(wanted.steps)
    done = learned(here, adapted, given, objective, wanted)
    return adapted, done


def log_likelihood(model: Any, encoded: Encoded) -> torch.Tensor:
    """Of each completion token, all logits computed."""
    ids = torch.tensor([encoded.ids])
    logits = model(input_ids=ids).logits[0, encoded.n_prompt - 1 : -1].log_softmax(-1)
    return logits.gather(1, ids[0, encoded.n_prompt :, None])[:, 0]


def sft_loss(model: Any, here: Room, rows: list[Any]) -> torch.Tensor:
    prepare = preparation(Sft(), model, here.tokenizer, here.params)
    return -torch.cat([log_likelihood(model, prepare(row).terms[0].encoded) for row in rows]).mean()


def dpo_loss(model: Any, here: Room, rows: list[Any]) -> torch.Tensor:
    prepare = preparation(DPO, model, here.tokenizer, here.params)
    losses = []
    for row in rows:
        sides = [term.encoded for term in prepare(row).terms]
        with torch.no_grad(), model.disable_adapter():
            reference = [log_likelihood(model, side).sum() for side in sides]
        pairs = zip(sides, reference, strict=True)
        chosen, rejected = (log_likelihood(model, side).sum() - before for side, before in pairs)
        losses.append(-logsigmoid(DPO.beta * (chosen - rejected)))
    return torch.stack(losses).mean()


def grpo_loss(model: Any, here: Room, rows: list[Any]) -> torch.Tensor:
    sample = Sampler(model.get_base_model(), here.tokenizer, here.params, GRPO)
    losses = []
    for row in rows:
        group = sample(row)
        weights = advantages(torch.tensor([one.reward for one in group]).double().numpy())
        for one, weight in zip(group, weights.tolist(), strict=True):
            nll = log_likelihood(model, one.encoded)
            losses.append(-weight * (nll - nll.detach()).exp().mean())
    return torch.stack(losses).mean()


LOSSES: dict[str, Callable[[Any, Room, list[Any]], torch.Tensor]] = {
    "sft": sft_loss,
    "dpo": dpo_loss,
    "grpo": grpo_loss,
}


def plain_loop(here: Room, kind: str, steps: int) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Parameters and losses of a loop that anybody would write."""
    model = with_adapter(base.load(here.folder), here.params.lora, here.a)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches(steps)):
        loss = LOSSES[kind](model, here, [row for _, row in batch])
        losses.append(float(loss.detach()))
        optimizer.param_groups[0]["lr"] = rate(step, settings(steps=steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(model.named_parameters()), losses


def test_datasets_come_equally_and_every_example_before_any_again() -> None:
    found = plan({"a": 8, "b": 100}, 0, settings(steps=8))
    assert Counter(name for name, _ in found) == {"a": 16, "b": 16}
    first, second = [[i for n, i in found if n == "a"][k : k + 8] for k in (0, 8)]
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != list(range(8)), "shuffled"


def test_the_target_has_its_share() -> None:
    found = plan({"a": 50, "b": 50}, 30, settings(steps=25, target_share=0.7))
    assert Counter(name for name, _ in found) == {TARGET: 70, "a": 15, "b": 15}
    wanted = settings(steps=5, target_share=0.7)
    assert Counter(name for name, _ in plan({}, 30, wanted)) == {TARGET: 20}
    assert plan({}, 30, settings()) == plan({}, 0, wanted) == []


def test_the_plan_depends_on_the_seed_and_not_on_the_other_datasets() -> None:
    wanted = settings(steps=5)
    alone = [i for n, i in plan({"a": 40}, 0, wanted) if n == "a"]
    beside = [i for n, i in plan({"a": 40, "b": 9}, 0, wanted) if n == "a"]
    assert alone[: len(beside)] == beside
    assert alone != [i for _, i in plan({"a": 40}, 0, settings(steps=5, seed=1))]


def test_warmup_then_a_cosine_to_zero() -> None:
    one = settings(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [rate(step, one) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_trl_takes_the_steps_of_a_plain_loop(here: Room, kind: str) -> None:
    adapted, done = trained(here, OBJECTIVES[kind], steps=2)
    expected, losses = plain_loop(here, kind, 2)
    assert done.loss == pytest.approx(losses, rel=1e-4, abs=1e-6), (
        "another order of rows, other tokens, or another mean?"
    )
    moved = 0.0
    for name, found in adapted.named_parameters():
        assert found.requires_grad == ("lora_" in name), name
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=2e-5)
        moved = max(moved, float(found.detach().abs().max()) if "lora_B" in name else 0.0)
    assert moved > 1e-3, "nothing was trained"


@pytest.mark.parametrize(("family", "module"), [("gpt2", "c_attn"), ("bloom", "query_key_value")])
def test_other_families_take_the_same_steps(tmp_path: Path, family: str, module: str) -> None:
    """GPT-2 drops out by its configuration, which gradients do not see; BLOOM has no positions."""
    here = room(tiny_model(tmp_path / family, family), tmp_path / "base", target_modules=(module,))
    adapted, done = trained(here, Sft(), steps=2)
    expected, losses = plain_loop(here, "sft", 2)
    assert done.loss == pytest.approx(losses, rel=1e-4)
    for name, found in adapted.named_parameters():
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=2e-5)


def test_side_by_side_is_what_trl_does_with_a_padded_batch(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL's own step is what dropout and GPUs get."""
    from appraise.language_model import trainers

    side_by_side, done = trained(here, Sft())
    monkeypatch.setattr(trainers.Run, "side_by_side", False)
    padded, same = trained(here, Sft())
    assert done.loss == pytest.approx(same.loss, rel=1e-5)
    for one, other in zip(side_by_side.parameters(), padded.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)


def test_the_number_of_cores_changes_no_byte(here: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = trained(here, Sft())
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    other, _ = trained(here, Sft())
    assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize("kind", list(OBJECTIVES))
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_twice_gives_the_same_bytes(tiny: Path, tmp_path: Path, kind: str, dropout: float) -> None:
    here = room(tiny, tmp_path / "base", last_layers=2, dropout=dropout)
    for name in "ab":
        torch.rand(3 if name == "a" else 5)  # whatever was drawn before
        save(trained(here, OBJECTIVES[kind])[0], tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_lora_drops_out(tiny: Path, tmp_path: Path) -> None:
    here = room(tiny, tmp_path / "base", last_layers=2, dropout=0.5)
    (one, _), (other, _) = (trained(here, Sft(), seed=seed) for seed in (0, 1))
    parameters = zip(one.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in parameters), "dropout has no effect"


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_it_learns(here: Room, kind: str) -> None:
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    same, wanted = [batches()[0]] * 20, settings(steps=20, learning_rate=3e-2)
    done = learned(here, adapted, same, OBJECTIVES[kind], wanted)
    assert done.loss[-1] < 0.95 * done.loss[0]
    assert done.learning_rate == tuple(rate(step, wanted) for step in range(20))
    assert done.mix == {"set0": 40, "set1": 40}
    prepare = preparation(OBJECTIVES[kind], None, here.tokenizer, here.params)
    assert done.tokens == 20 * sum(prepare(row).tokens for _, row in same[0])
    assert done.reward == ()


def test_grpo_learns_to_write_vowels(tmp_path: Path) -> None:
    opinionated = tiny_model(tmp_path / "tiny", initializer_range=0.2)
    here = room(opinionated, tmp_path / "base", target_modules="all-linear")
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    same, wanted = [batches()[0]] * 15, settings(steps=15, learning_rate=3e-2)
    objective = GRPO.model_copy(update={"generations": 8, "max_new_tokens": 8})
    done = learned(here, adapted, same, objective, wanted)
    assert len(done.reward) == 15
    assert sum(done.reward[-4:]) > 2 * sum(done.reward[:4])
    assert done.tokens > 0


def test_nothing_to_train_on_leaves_the_initial_adapter(here: Room) -> None:
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    done = learned(here, adapted, [], Sft(), settings())
    assert (done.loss, done.tokens, done.mix) == ((), 0, {})
    assert all(not p.any() for n, p in adapted.named_parameters() if "lora_B" in n)


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_it_leaves_no_traces(
    here: Room,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    from huggingface_hub.utils import _telemetry
    from trl.trainer import utils

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("CI", raising=False)
    before, steps = utils._use_triton, []
    model = base.load(here.folder)
    adapted = with_adapter(model, here.params.lora, here.a)
    capfd.readouterr()
    recwarn.clear()
    told = lambda: steps.append(1)  # noqa: E731
    learned(here, adapted, batches(), OBJECTIVES[kind], settings(), told=told)
    assert len(steps) == STEPS, "progress is told of each step"
    assert list(adapted.peft_config) == ["default"], "TRL's reference adapter would be saved too"
    assert "forward" not in vars(adapted.get_base_model()), "TRL's forward pass would pile up"
    assert not adapted._forward_pre_hooks
    assert utils._use_triton is before
    assert list((tmp_path / "work").iterdir()) == []
    assert _telemetry._TELEMETRY_THREAD is None, "somebody was told"
    assert capfd.readouterr() == ("", "")
    assert [str(one.message) for one in recwarn] == []


def test_logits_are_computed_only_where_there_are_labels(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three quarters of a step's time otherwise, with the demo's vocabulary."""
    from trl.trainer import utils

    rows: list[int] = []
    scored = utils._ChunkedLogProbFunction.apply

    def counted(hidden: torch.Tensor, *rest: Any) -> Any:
        rows.append(len(hidden))
        return scored(hidden, *rest)

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", counted)
    trained(here, Sft())
    prepare = preparation(Sft(), None, here.tokenizer, here.params)
    sequences = [prepare(row).terms[0].encoded for batch in batches() for _, row in batch]
    assert sorted(rows) == sorted(one.n_completion for one in sequences)


def test_a_loss_that_is_no_number_stops_it(here: Room) -> None:
    with pytest.raises(ModelError, match=r"found nan in step \d; lower lora_adapter.learning_rate"):
        trained(here, Sft(), steps=5, learning_rate=1e30)


def test_a_reward_that_raises_is_named(here: Room) -> None:
    objective = GRPO.model_copy(update={"reward": "letters:raises"})
    with pytest.raises(ModelError, match="letters:raises: expected a number for the completion '"):
        trained(here, objective)


def test_the_adapter_loads_back_with_peft(here: Room, tmp_path: Path) -> None:
    from peft import PeftModel

    adapted, _ = trained(here, DPO)
    save(adapted, tmp_path / "adapter")
    ids = torch.arange(3, 20)[None]
    expected = adapted.eval()(ids).logits
    assert not torch.equal(expected, base.load(here.folder)(ids).logits)
    with peft_quiet():
        again = PeftModel.from_pretrained(base.load(here.folder), tmp_path / "adapter")
    torch.testing.assert_close(again.eval()(ids).logits, expected)
    assert {p.name for p in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
