"""Gradients of DPO and GRPO, as weighted sequences, against autograd of the losses as published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError, ParamsError
from appraise.language_model import base
from appraise.language_model.gradients import LoraGradients
from appraise.language_model.objectives import Prepared, advantages, fits, preparation
from appraise.language_model.prompts import Encoded, TooLong
from appraise.language_model.training import with_adapter
from appraise.numerics.projection import Identity
from appraise.settings.objectives import Dpo, Grpo, Sft

PAIR = {"id": "a", "prompt": "why so", "completion": "it is", "rejected": "it was not"}


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("objectives") / "base")


def engine(here: Room, example: Prepared, temperature: float = 1.0) -> np.ndarray:
    scale = here.params.lora.alpha / here.params.lora.rank
    ours = LoraGradients(here.model, here.a, scale, temperature)
    with ours.hooked():
        return ours.rows([example], Identity(ours.size))[0].values


def log_likelihood(model: Any, encoded: Encoded, temperature: float = 1.0) -> torch.Tensor:
    """Of each completion token."""
    ids = torch.tensor([encoded.ids])
    logits = (model(ids).logits[0] / temperature).log_softmax(-1)
    at = torch.arange(encoded.n_prompt - 1, len(encoded.ids) - 1)
    return logits[at, ids[0, encoded.n_prompt :]]


def autograd(here: Room, loss: Any) -> np.ndarray:
    """Gradient of a loss of the adapted model with respect to B, at B = 0."""
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    b = [p for n, p in sorted(adapted.named_parameters()) if "lora_B" in n]
    parts = torch.autograd.grad(loss(adapted), b)
    return torch.cat([part.reshape(-1) for part in parts]).numpy()


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return float(np.linalg.norm(found - expected)) <= 1e-5 * float(np.linalg.norm(expected))


def test_dpo_is_the_gradient_of_its_published_loss(here: Room) -> None:
    example = preparation(Dpo(kind="dpo", beta=0.3), None, here.tokenizer, here.params)(PAIR)
    chosen, rejected = (term.encoded for term in example.terms)
    reference = [float(log_likelihood(here.model, one).sum()) for one in (chosen, rejected)]

    def loss(model: Any) -> torch.Tensor:
        ratios = [
            log_likelihood(model, one).sum() - before
            for one, before in zip((chosen, rejected), reference, strict=True)
        ]
        return -torch.nn.functional.logsigmoid(0.3 * (ratios[0] - ratios[1]))

    assert close(engine(here, example), autograd(here, loss))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_grpo_is_the_gradient_of_its_published_surrogate(here: Room, temperature: float) -> None:
    objective = Grpo(kind="grpo", reward="exact_text", generations=4, max_new_tokens=5)
    example = preparation(objective, here.model, here.tokenizer, here.params)(PAIR)
    assert len(example.records) == 4
    wanted = np.array([1.0, 0.0, 0.0, 0.5])
    group = [term.encoded for term in example.terms]
    advantage = advantages(wanted)
    weighted = Prepared(
        tuple(
            type(term)(term.encoded, a / 4 / term.encoded.n_completion)
            for term, a in zip(example.terms, advantage.tolist(), strict=True)
        )
    )

    def loss(model: Any) -> torch.Tensor:
        parts = []
        for encoded, a in zip(group, advantage.tolist(), strict=True):
            now = log_likelihood(model, encoded, temperature)
            ratio = torch.exp(now - now.detach())
            clipped = ratio.clamp(0.8, 1.2)
            parts.append(torch.minimum(ratio * a, clipped * a).mean())
        return -torch.stack(parts).mean()

    assert close(engine(here, weighted, temperature), autograd(here, loss))


def test_what_is_sampled_for_a_prompt_depends_on_nothing_else(here: Room) -> None:
    objective = Grpo(kind="grpo", reward="exact_text", max_new_tokens=6)
    prepare = preparation(objective, here.model, here.tokenizer, here.params)
    first = prepare(PAIR)
    prepare({**PAIR, "id": "b"})
    assert prepare(PAIR) == first
    assert prepare({**PAIR, "id": "b"}) != first, "another id has a stream of its own"


def test_equal_rewards_teach_nothing() -> None:
    assert not advantages(np.array([1.0, 1.0, 1.0])).any()
    found = advantages(np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found, [-1, 0, 1])


def test_a_pair_without_a_rejected_answer(here: Room) -> None:
    prepare = preparation(Dpo(kind="dpo"), None, here.tokenizer, here.params)
    with pytest.raises(ModelError, match="expected a rejected answer in row a, found none"):
        prepare({**PAIR, "rejected": None})


def test_a_completion_that_leaves_no_room(here: Room) -> None:
    prepare = preparation(Sft(), None, here.tokenizer, here.params)
    with pytest.raises(TooLong):
        prepare({**PAIR, "completion": "so " * 100})
    assert fits(here.tokenizer, here.params, PAIR)
    for side in ("completion", "rejected"):
        assert not fits(here.tokenizer, here.params, {**PAIR, side: "so " * 100})


def test_a_reward_that_is_not_known(here: Room) -> None:
    with pytest.raises(ParamsError, match="exact_number"):
        preparation(Grpo(kind="grpo", reward="nothing"), here.model, here.tokenizer, here.params)
