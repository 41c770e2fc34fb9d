"""Gradients of tiny models of many families, against autograd through PEFT's own LoRA."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.language_model import base
from appraise.language_model.adapters import peft_config, peft_quiet
from appraise.language_model.gradients import LoraGradients
from appraise.language_model.lora import initial_a
from appraise.language_model.prepared import Prepared, Term
from appraise.numerics.projection import Identity
from appraise.settings.model import Lora

WIDE = {"initializer_range": 0.3}  # so that attention, caps and windows show
WINDOW = WIDE | {"sliding_window": 5}  # shorter than every sequence
CAPPED = WINDOW | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama", WIDE),
    "Llama, tied": ("llama", WIDE | {"tie_word_embeddings": True}),
    "Mistral": ("mistral", WINDOW),
    "Qwen2": ("qwen2", WIDE),
    "Qwen3": ("qwen3", WIDE),
    "Gemma2": ("gemma2", CAPPED),
    "Gemma3 text": ("gemma3_text", WINDOW),
    "Gemma3": ("gemma3", {}),
    "GPT-2": ("gpt2", WIDE),
    "GPT-2, untied": ("gpt2", WIDE | {"tie_word_embeddings": False}),
    "GPT-NeoX": ("gpt_neox", WIDE),
    "Phi": ("phi", WIDE),
    "OPT": ("opt", {"init_std": 0.3}),
    "BLOOM": ("bloom", WIDE),
}
LORA = Lora(rank=2, target_modules="all-linear")


def adapted(model: Any, a: dict[str, torch.Tensor], lora: Lora) -> Any:
    """The model with PEFT's LoRA at our A and B = 0."""
    from peft import get_peft_model

    with peft_quiet():
        found = get_peft_model(model, peft_config(model, lora))
    modules = dict(found.base_model.model.named_modules())
    assert {n for n, m in modules.items() if hasattr(m, "lora_A")} == set(a)
    with torch.no_grad():
        for name, value in a.items():
            modules[name].lora_A["default"].weight.copy_(value)
    return found.eval()


def expected(model: Any, encoded: Any) -> tuple[float, torch.Tensor]:
    """Loss and gradient by autograd, with the loss of transformers."""
    labels = torch.tensor([encoded.ids])
    labels[0, : encoded.n_prompt] = -100
    b = [p for n, p in sorted(model.named_parameters()) if "lora_B" in n]
    loss = model(input_ids=torch.tensor([encoded.ids]), labels=labels).loss
    return float(loss.detach()), torch.cat([g.flatten() for g in torch.autograd.grad(loss, b)])


def check(model: Any, reference: Any, a: dict[str, torch.Tensor], lora: Lora) -> LoraGradients:
    """Gradients one by one and packed are those of autograd, and each other's."""
    ours, examples = LoraGradients(model, a, lora.alpha / lora.rank), sequences(4)
    packed = [Prepared((Term(one, 1 / one.n_completion),)) for one in examples]
    with ours.hooked():
        together = ours.rows(packed, Identity(ours.size))
        alone = [ours(one) for one in examples]
    for encoded, row, (loss, gradient) in zip(examples, together, alone, strict=True):
        wanted, whole = expected(reference, encoded)
        assert float((gradient - whole).norm() / whole.norm()) < 1e-5
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert row.loss == pytest.approx(wanted, rel=1e-5)
        if ours.packing.invariant:
            np.testing.assert_array_equal(row.values.astype(np.float32), gradient.numpy())
        assert np.linalg.norm(row.values - gradient.numpy()) < 1e-5 * row.norm
    return ours


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_autograd(tmp_path: Path, family: str) -> None:
    name, settings = FAMILIES[family]
    source = tiny_model(tmp_path / "source", name, **settings)
    here = room(source, tmp_path / "base", target_modules="all-linear")
    reference = adapted(base.load(here.folder), here.a, here.params.lora)
    ours = check(here.model, reference, here.a, here.params.lora)
    assert ours.packing.possible == (name != "bloom"), "ALiBi needs one sequence at a time"


class Int8(torch.nn.Module):
    """A linear module whose weights are 8-bit numbers with a scale for each output."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().amax(1, keepdim=True) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("weight", (linear.weight.detach() / scale).round().to(torch.int8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, in) to (…, out)."""
        return torch.nn.functional.linear(x, self.weight * self.scale)


def quantise(model: Any, read_back: bool) -> Any:
    """Put 8-bit modules in a model, or plain ones of the same numbers."""
    for layer in model.model.layers:
        for name in ("q_proj", "v_proj"):
            linear = getattr(layer.self_attn, name)
            made = Int8(linear)
            if read_back:
                linear.weight.data = made.weight * made.scale
            else:
                setattr(layer.self_attn, name, made)
    return model


def test_a_quantised_module_is_adapted_like_a_plain_one(tiny: Path, tmp_path: Path) -> None:
    here: Room = room(tiny, tmp_path / "base", target_modules="all-linear")
    model = quantise(base.load(here.folder), read_back=False)
    lora = here.params.lora
    a = {name: initial_a(name, value.shape[1], lora) for name, value in here.a.items()}
    plain = quantise(base.load(here.folder), read_back=True)
    check(model, adapted(plain, a, lora), a, lora)


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
@pytest.mark.parametrize("bits", [4, 8])
def test_a_model_of_bitsandbytes(tiny: Path, tmp_path: Path, bits: int) -> None:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    how: Any = {f"load_in_{bits}bit": True, "bnb_4bit_compute_dtype": "float32"}
    made = AutoModelForCausalLM.from_pretrained(
        tiny, quantization_config=BitsAndBytesConfig(**how), dtype=torch.float32, device_map="cpu"
    )
    source = tmp_path / "source"
    shutil.copytree(tiny, source, ignore=shutil.ignore_patterns("*.safetensors"))
    made.save_pretrained(source)
    here = room(source, tmp_path / "base", target_modules="all-linear")
    one = here.model.model.layers[0].self_attn.q_proj
    assert type(one).__module__.startswith("bitsandbytes")
    base.keep_unpacked(made)
    check(here.model, adapted(made, here.a, here.params.lora), here.a, here.params.lora)
    state = getattr(one.weight, "quant_state", None)  # packed weights have no gradient
    assert not getattr(state, "packing_format_for_cpu", False)
