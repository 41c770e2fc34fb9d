"""Training by each objective: TRL against plain loops, what a mix sees, the same bytes twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rooms import Room, room  # type: ignore[import-not-found]
from tiny_model import tiny_model  # type: ignore[import-not-found]
from torch.nn.functional import logsigmoid

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model import base
from appraise.language_model.adapters import peft_quiet, save, with_adapter
from appraise.language_model.mixes import Draw, Losses, Mix
from appraise.language_model.prompts import Encoded
from appraise.language_model.rewards import reward_of
from appraise.language_model.rollouts import Sampler, Sampling
from appraise.language_model.training import rate, train
from appraise.language_model.trunk import Trunk
from appraise.objectives import OBJECTIVES, Dpo, Grpo, Objective, Sft
from appraise.objectives.grpo import advantages
from appraise.records.adapter import AdapterTraining
from appraise.settings.training import LoraAdapterParams

STEPS, BATCH = 3, 4
DPO = Dpo(beta=0.3)
GRPO = Grpo(reward="letters:vowels", generations=3, max_new_tokens=6)
SETS = ("set0", "set1")
TRIED: dict[str, Objective] = {"sft": Sft(), "dpo": DPO, "grpo": GRPO}


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


def batches(steps: int = STEPS) -> list[list[Draw]]:
    draws = [
        Draw(
            f"set{number % 2}",
            Example(
                f"r{number}",
                "word " * (number % 4) + f"{number} and {number}",
                f"{2 * number}" + " yes" * (number % 3),
                f"{3 * number} no" + " never" * (number % 2),
            ),
        )
        for number in range(steps * BATCH)
    ]
    return [draws[start : start + BATCH] for start in range(0, len(draws), BATCH)]


class Written:
    """A mix of batches that are written down; it keeps what it is asked for and what it sees."""

    def __init__(self, batches: Sequence[Sequence[Draw]], ahead: bool = True) -> None:
        self.ahead, self._batches = ahead, batches
        self.asked: list[tuple[str, int]] = []
        self.losses: list[Losses] = []

    def draw(self, step: int) -> Sequence[Draw]:
        self.asked.append(("draw", step))
        return self._batches[step]

    def observe(self, step: int, losses: Losses) -> None:
        self.asked.append(("observe", step))
        self.losses.append(losses)


def learned(
    here: Room,
    adapted: Any,
    mix: Mix | None,
    objective: Objective,
    wanted: LoraAdapterParams,
    shown: Callable[[], object] = list,
) -> AdapterTraining:
    """Train in place."""
    trunk = Trunk(base.load(here.folder), here.params.lora)
    return train(adapted, trunk, here.tokenizer, mix, objective, here.params, wanted, shown)


def trained(here: Room, objective: Objective, mix: Mix | None = None, **more: Any):  # type: ignore[no-untyped-def]
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    wanted = settings(**more)
    done = learned(here, adapted, mix or Written(batches(wanted.steps)), objective, wanted)
    return adapted, done


def log_likelihood(model: Any, encoded: Encoded) -> torch.Tensor:
    """Of each completion token, all logits computed."""
    ids = torch.tensor([encoded.ids])
    logits = model(input_ids=ids).logits[0, encoded.n_prompt - 1 : -1].log_softmax(-1)
    return logits.gather(1, ids[0, encoded.n_prompt :, None])[:, 0]


def sft_loss(model: Any, here: Room, examples: list[Example]) -> torch.Tensor:
    prepare = Sft().preparation(model, here.tokenizer, here.params)
    sequences = [prepare(example).terms[0].encoded for example in examples]
    return -torch.cat([log_likelihood(model, encoded) for encoded in sequences]).mean()


def dpo_loss(model: Any, here: Room, examples: list[Example]) -> torch.Tensor:
    prepare = DPO.preparation(model, here.tokenizer, here.params)
    losses = []
    for example in examples:
        sides = [term.encoded for term in prepare(example).terms]
        with torch.no_grad(), model.disable_adapter():
            reference = [log_likelihood(model, side).sum() for side in sides]
        pairs = zip(sides, reference, strict=True)
        chosen, rejected = (log_likelihood(model, side).sum() - before for side, before in pairs)
        losses.append(-logsigmoid(DPO.beta * (chosen - rejected)))
    return torch.stack(losses).mean()


def grpo_loss(model: Any, here: Room, examples: list[Example]) -> torch.Tensor:
    sampling, rule = Sampling(3, 6, 1.0, 0), reward_of(GRPO.reward)
    sample = Sampler(model.get_base_model(), here.tokenizer, here.params, sampling, rule)
    losses = []
    for example in examples:
        group = sample(example)
        weights = advantages(torch.tensor([one.reward for one in group]).double().numpy())
        for one, weight in zip(group, weights.tolist(), strict=True):
            nll = log_likelihood(model, one.encoded)
            losses.append(-weight * (nll - nll.detach()).exp().mean())
    return torch.stack(losses).mean()


LOSSES: dict[str, Callable[[Any, Room, list[Example]], torch.Tensor]] = {
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
        loss = LOSSES[kind](model, here, [draw.example for draw in batch])
        losses.append(float(loss.detach()))
        optimizer.param_groups[0]["lr"] = rate(step, settings(steps=steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(model.named_parameters()), losses


def test_warmup_then_a_cosine_to_zero() -> None:
    one = settings(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [rate(step, one) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3


def test_all_that_there_are_are_tried() -> None:
    assert TRIED.keys() == OBJECTIVES.keys()


@pytest.mark.parametrize("kind", list(TRIED))
def test_trl_takes_the_steps_of_a_plain_loop(here: Room, kind: str) -> None:
    adapted, done = trained(here, TRIED[kind], steps=2)
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


@pytest.mark.parametrize("kind", list(TRIED))
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_twice_gives_the_same_bytes(tiny: Path, tmp_path: Path, kind: str, dropout: float) -> None:
    here = room(tiny, tmp_path / "base", last_layers=2, dropout=dropout)
    for name in "ab":
        torch.rand(3 if name == "a" else 5)  # whatever was drawn before
        save(trained(here, TRIED[kind])[0], tmp_path / name)
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
    done = learned(here, adapted, Written(same), TRIED[kind], wanted)
    assert done.loss[-1] < 0.95 * done.loss[0]
    assert done.learning_rate == tuple(rate(step, wanted) for step in range(20))
    assert done.mix == {"set0": 40, "set1": 40}
    prepare = TRIED[kind].preparation(here.model, here.tokenizer, here.params)
    assert done.tokens == 20 * sum(prepare(draw.example).tokens for draw in same[0])
    assert done.reward == ()


def test_grpo_learns_to_write_vowels(tmp_path: Path) -> None:
    opinionated = tiny_model(tmp_path / "tiny", initializer_range=0.2)
    here = room(opinionated, tmp_path / "base", target_modules="all-linear")
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    same, wanted = [batches()[0]] * 15, settings(steps=15, learning_rate=3e-2)
    objective = GRPO.model_copy(update={"generations": 8, "max_new_tokens": 8})
    done = learned(here, adapted, Written(same), objective, wanted)
    assert len(done.reward) == 15
    assert sum(done.reward[-4:]) > 2 * sum(done.reward[:4])
    assert done.tokens > 0


def test_nothing_to_train_on_leaves_the_initial_adapter(here: Room) -> None:
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    done = learned(here, adapted, None, Sft(), settings())
    assert (done.steps, done.loss, done.tokens, done.mix) == (0, (), 0, {})
    assert all(not p.any() for n, p in adapted.named_parameters() if "lora_B" in n)


@pytest.mark.parametrize("kind", list(TRIED))
def test_a_mix_is_drawn_from_when_a_step_begins_and_shown_its_losses(here: Room, kind: str) -> None:
    mix = Written(batches(), ahead=False)
    _, done = trained(here, TRIED[kind], mix)
    alternate = [(what, step) for step in range(STEPS) for what in ("draw", "observe")]
    assert mix.asked == alternate, "a step was drawn before those before it were observed"
    assert [losses.mean for losses in mix.losses] == list(done.loss)
    ahead = Written(batches())
    _, same = trained(here, TRIED[kind], ahead)
    assert same == done
    assert sorted(ahead.asked) == sorted(alternate), "each step once"


@pytest.mark.parametrize("kind", ["sft", "dpo"])
def test_a_mix_sees_the_loss_of_each_sequence(here: Room, kind: str) -> None:
    mix = Written(batches())
    trained(here, TRIED[kind], mix)
    model = with_adapter(base.load(here.folder), here.params.lora, here.a)
    for number, draw in enumerate(batches()[0]):  # before the first update
        expected = float(LOSSES[kind](model, here, [draw.example]).detach())
        assert mix.losses[0].each is not None
        assert mix.losses[0].each[number] == pytest.approx(expected, rel=1e-4)


def test_a_mix_that_follows_the_losses_it_sees(here: Room) -> None:
    """Of two datasets, the one whose sequences had the larger loss in the step before."""
    pools = {name: [d.example for b in batches(4) for d in b if d.dataset == name] for name in SETS}

    class Harder:
        ahead = False

        def __init__(self) -> None:
            self.now = {name: float("inf") for name in SETS}
            self.drawn: list[list[str]] = []

        def draw(self, step: int) -> list[Draw]:
            hardest = max(SETS, key=lambda name: self.now[name])
            names = [*SETS, hardest, hardest]
            self.drawn.append(names)
            return [Draw(n, pools[n][(step + k) % 8]) for k, n in enumerate(names)]

        def observe(self, step: int, losses: Losses) -> None:
            assert losses.each is not None
            assert step == len(self.drawn) - 1
            self.now = dict(zip(SETS, losses.each, strict=False))

    mix = Harder()
    _, done = trained(here, Sft(), mix, steps=6, learning_rate=1e-2)
    assert len(done.loss) == 6
    assert {names[-1] for names in mix.drawn} == set(SETS), "it never changed its mind"
    assert done.mix == {n: sum(names.count(n) for names in mix.drawn) for n in SETS}


def test_a_mix_that_draws_too_few_is_refused(here: Room) -> None:
    short = Written([batch[:2] for batch in batches()])
    with pytest.raises(ModelError, match="mix: expected 4 sequences for step 0, found 2"):
        trained(here, Sft(), short)


@pytest.mark.parametrize("kind", list(TRIED))
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
    shown = lambda: steps.append(1)  # noqa: E731
    learned(here, adapted, Written(batches()), TRIED[kind], settings(), shown)
    assert len(steps) == STEPS, "progress is called after each step"
    assert list(adapted.peft_config) == ["default"], "TRL's reference adapter would be saved too"
    assert "forward" not in vars(adapted.get_base_model()), "TRL's forward pass would pile up"
    assert not adapted._forward_pre_hooks
    assert utils._use_triton is before
    assert list((tmp_path / "work").iterdir()) == []
    assert _telemetry._TELEMETRY_THREAD is None, "something was reported"
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
    prepare = Sft().preparation(here.model, here.tokenizer, here.params)
    prepared = [prepare(draw.example) for batch in batches() for draw in batch]
    assert sorted(rows) == sorted(each.terms[0].encoded.n_completion for each in prepared)


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


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_control_tokens_in_a_text_are_letters_in_training_too(
    here: Room, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    forward = torch.nn.Embedding.forward

    def recording(self: Any, ids: torch.Tensor) -> torch.Tensor:
        read.extend(ids.tolist())
        return forward(self, ids)

    monkeypatch.setattr(torch.nn.Embedding, "forward", recording)
    forged = Draw("set0", Example("r", "a</s>b<s>", "yes</s>", "no</s>no"))
    trained(here, TRIED[name], Written([[forged] * BATCH]), steps=1)
    begins = here.tokenizer("Question: a")["input_ids"]
    own = [ids for ids in read if ids[: len(begins)] == begins]  # not those that try the machine
    assert len(own) >= 1
    control = {here.tokenizer.bos_token_id, here.tokenizer.eos_token_id}
    assert not control & {token for ids in own for token in ids}
