"""Gradients of DPO and GRPO, as weighted sequences, against autograd of the losses as published."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError, ParamsError
from appraise.examples.example import Example
from appraise.language_model import base
from appraise.language_model.adapters import with_adapter
from appraise.language_model.gradients import LoraGradients
from appraise.language_model.prepared import Prepared
from appraise.language_model.prompts import Encoded, TooLong, fits
from appraise.numerics.projection import Identity
from appraise.objectives import OBJECTIVES, Dpo, Grpo, Objective, Sft
from appraise.objectives.grpo import advantages
from appraise.project.params import GradientSketchesParams
from appraise.settings.section import describe

PAIR = Example("a", "why so", "it is", "it was not")


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
    example = Dpo(beta=0.3).preparation(here.model, here.tokenizer, here.params)(PAIR)
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
    objective = Grpo(reward="exact_text", generations=4, max_new_tokens=5)
    example = objective.preparation(here.model, here.tokenizer, here.params)(PAIR)
    assert [each.id for each in example.completions] == ["a"] * 4
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
    objective = Grpo(reward="exact_text", max_new_tokens=6)
    prepare = objective.preparation(here.model, here.tokenizer, here.params)
    first, other = prepare(PAIR), replace(PAIR, id="b")
    prepare(other)
    assert prepare(PAIR) == first
    assert prepare(other).terms != first.terms, "another id has a stream of its own"


def test_equal_rewards_teach_nothing() -> None:
    assert not advantages(np.array([1.0, 1.0, 1.0])).any()
    found = advantages(np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found, [-1, 0, 1])


def test_a_pair_without_a_rejected_answer(here: Room) -> None:
    prepare = Dpo().preparation(here.model, here.tokenizer, here.params)
    with pytest.raises(ModelError, match="expected a rejected answer in row a, found none"):
        prepare(replace(PAIR, rejected=None))


def test_a_completion_that_leaves_no_room(here: Room) -> None:
    prepare, long = Sft().preparation(here.model, here.tokenizer, here.params), "so " * 100
    with pytest.raises(TooLong):
        prepare(replace(PAIR, completion=long))
    assert fits(here.tokenizer, here.params, PAIR)
    assert not fits(here.tokenizer, here.params, replace(PAIR, completion=long))
    assert not fits(here.tokenizer, here.params, replace(PAIR, rejected=long))


def test_a_reward_that_is_not_known(here: Room) -> None:
    with pytest.raises(ParamsError, match="exact_number"):
        Grpo(reward="nothing").preparation(here.model, here.tokenizer, here.params)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_its_settings_with_what_follows_from_them(here: Room, name: str) -> None:
    """Of every objective that is registered: what its flags say is what it does."""
    objective = OBJECTIVES[name].model_validate({"kind": name})
    given = (here.model, here.tokenizer, here.params)
    assert OBJECTIVES[name].__doc__
    prepared = objective.preparation(*given)(PAIR)
    assert prepared.terms
    assert prepared.tokens > 0
    reward = objective.rewarding(*given)
    assert (reward is not None) == objective.rewarded
    if reward is not None:
        assert reward(PAIR) >= 0
    alone = replace(PAIR, rejected=None)
    if objective.pairs:
        with pytest.raises(ModelError, match=f"objective {name}: expected"):
            objective.preparation(*given)(alone)
    else:
        assert objective.preparation(*given)(alone) == prepared, "the worse answer plays no part"
    assert objective.logit_temperature > 0
    if objective.task_vectors:
        assert all(term.weight > 0 for term in prepared.terms), "a fine-tune would unlearn some"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_settings_choose_an_objective_by_its_kind_and_give_it_back_whole(name: str) -> None:
    section = GradientSketchesParams.model_validate({"objective": {"kind": name}})
    assert type(section.objective) is OBJECTIVES[name]
    stated = section.model_dump(mode="json")["objective"]
    assert stated["kind"] == name
    assert GradientSketchesParams.model_validate({"objective": stated}) == section


def test_the_settings_as_recipes_have_them() -> None:
    dumped = [
        GradientSketchesParams.model_validate({"objective": {"kind": k}}).model_dump(mode="json")
        for k in ("sft", "dpo")
    ]
    assert [each["objective"] for each in dumped] == [{"kind": "sft"}, {"kind": "dpo", "beta": 0.1}]


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ({"kind": "ppo"}, r"objective: .*kind: expected one of sft, dpo, grpo, found 'ppo'"),
        ({"beta": 0.1}, r"objective: .*kind: expected one of sft, dpo, grpo, found none"),
        ({"kind": "dpo", "beta": 0}, r"objective\.beta: .*greater than 0, found 0"),
        ({"kind": "sft", "beta": 1}, r"objective\.beta: expected one of kind, found 'beta'"),
        ("dpo", r"objective: .*found 'dpo'"),
    ],
)
def test_settings_that_name_no_objective(objective: object, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        GradientSketchesParams.model_validate({"objective": objective})
    assert re.search(message, describe(raised.value))


def test_task_vectors_are_refused_where_a_fine_tune_does_not_follow_the_objective() -> None:
    for name, kind in OBJECTIVES.items():
        section = {"vectors": "task_vectors", "objective": {"kind": name}}
        if kind.task_vectors:
            GradientSketchesParams.model_validate(section)
        else:
            with pytest.raises(ValidationError, match="made with objective sft alone"):
                GradientSketchesParams.model_validate(section)


def test_an_objective_of_ones_own_is_a_module_and_a_line(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Halved(Sft):
        """Supervised fine-tuning at half the weight."""

        kind: Literal["halved"] = "halved"  # type: ignore[assignment]

        def preparation(self, *given: Any) -> Any:
            whole = super().preparation(*given)
            return lambda example: Prepared(
                tuple(replace(term, weight=term.weight / 2) for term in whole(example).terms)
            )

    monkeypatch.setitem(OBJECTIVES, "halved", Halved)
    section = GradientSketchesParams.model_validate({"objective": {"kind": "halved"}})
    chosen: Objective = section.objective
    assert section.model_dump(mode="json")["objective"] == {"kind": "halved"}
    half = chosen.preparation(here.model, here.tokenizer, here.params)(PAIR)
    whole = Sft().preparation(here.model, here.tokenizer, here.params)(PAIR)
    np.testing.assert_allclose(2 * engine(here, half), engine(here, whole), rtol=1e-6, atol=1e-9)
