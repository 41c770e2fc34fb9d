"""The frozen layers apart from those above them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.language_model import trunk as trunk_module
from appraise.language_model.trunk import Trunk
from appraise.settings.model import Lora

LEFT, RIGHTS = tuple(range(3, 20)), ((5, 6, 7), (8,), (9, 10))


APART: dict[str, dict[str, object]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {"sliding_window": 8},
    "gemma3_text": {"sliding_window": 8},
    "gemma3": {},
    "gpt2": {},
    "gpt_neox": {},
    "phi": {},
    "opt": {},
}


def model_of(tmp_path: Path, family: str, **settings: object):  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM

    folder = tiny_model(tmp_path / family, family, **settings)
    return AutoModelForCausalLM.from_pretrained(folder).eval().requires_grad_(False)


def test_a_model_that_does_not_come_apart_is_left_whole(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bloom")  # it has a norm below its first layer
    trunk = Trunk(model, Lora(last_layers=2))
    assert trunk.top(model) is model
    assert set(trunk.read(LEFT)) == {"input_ids"}


@pytest.mark.parametrize("family", APART)
def test_both_halves_give_what_the_whole_gives(tmp_path: Path, family: str) -> None:
    model = model_of(tmp_path, family, **APART[family])
    trunk = Trunk(model, Lora(layers=(3, 2)))
    top = trunk.top(model)
    assert top is not model, "it was left whole"
    whole = model(torch.tensor([LEFT])).logits
    assert torch.equal(top(**trunk.read(LEFT)).logits, whole)
    prompt, rest = trunk.read_on(LEFT, RIGHTS)
    out = top(**prompt, use_cache=True)
    assert torch.equal(out.logits, whole)
    out.past_key_values.batch_repeat_interleave(len(RIGHTS))
    more = top(**rest, past_key_values=out.past_key_values).logits
    for number, right in enumerate(RIGHTS):
        expected = model(torch.tensor([LEFT + right])).logits[0, len(LEFT) :]
        torch.testing.assert_close(more[number, : len(right)], expected, rtol=1e-4, atol=1e-5)


def test_all_layers_adapted_leaves_nothing_below(tmp_path: Path) -> None:
    model = model_of(tmp_path, "llama")
    trunk = Trunk(model, Lora())
    assert trunk.top(model) is model
    assert set(trunk.read(LEFT)) == {"input_ids"}


def test_everything_below_the_first_adapted_layer_is_frozen(tmp_path: Path) -> None:
    model = model_of(tmp_path, "llama")
    top = Trunk(model, Lora(layers=(1, 3))).top(model)
    assert len(top.model.layers) == 3, "layers between adapted ones stay above"


def test_the_top_shares_the_parameters(tmp_path: Path) -> None:
    model = model_of(tmp_path, "llama")
    top = Trunk(model, Lora(last_layers=1)).top(model)
    assert {id(p) for p in top.parameters()} <= {id(p) for p in model.parameters()}
    assert len(model.model.layers) == 4, "the whole one stays whole"


def test_states_are_kept_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(tmp_path, "llama")
    trunk = Trunk(model, Lora(last_layers=2))
    first = trunk.read(LEFT)["inputs_embeds"]
    assert trunk.read(LEFT)["inputs_embeds"] is first
    monkeypatch.setattr(trunk_module, "MOST_BYTES", 0)
    again = trunk.read(LEFT[:-1])["inputs_embeds"]
    assert trunk.read(LEFT[:-1])["inputs_embeds"] is not again
