"""The frozen layers apart from those above them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.language_model import trunk as trunk_module
from appraise.language_model.trunk import Trunk
from appraise.params import Lora

LEFT, RIGHTS = tuple(range(3, 20)), ((5, 6, 7), (8,), (9, 10))


def model_of(tmp_path: Path, family: str):  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model(tmp_path / family, family))
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2"])
def test_both_halves_give_what_the_whole_gives(tmp_path: Path, family: str) -> None:
    model = model_of(tmp_path, family)
    trunk = Trunk(model, Lora(last_layers=2))
    assert (trunk._lower is not None) == (family != "gpt2")
    top = trunk.top(model)
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
