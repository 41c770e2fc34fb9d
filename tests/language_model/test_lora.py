"""Which modules are adapted: PEFT's choice, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_model_families import Int8  # type: ignore[import-not-found]
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.language_model.adapters import peft_config, peft_quiet
from appraise.language_model.lora import adapted_modules, initial_a, widths
from appraise.settings.model import Lora


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM

    folders: dict[str, Path] = {}

    def load(family: str) -> Any:
        if family not in folders:
            folders[family] = tiny_model(tmp_path_factory.mktemp(family) / "model", family)
        return AutoModelForCausalLM.from_pretrained(folders[family])

    return load


def chosen_by_peft(model: Any, **settings: Any) -> set[str]:
    """The modules that PEFT adapts."""
    from peft import LoraConfig, get_peft_model

    with peft_quiet():
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    return set(adapted.base_model.targeted_module_names)


SAME = [
    ("llama", {"target_modules": ("q_proj", "v_proj")}),
    ("llama", {"target_modules": ("self_attn.q_proj", "up_proj")}),
    ("llama", {"target_modules": "all-linear"}),
    ("llama", {"target_modules": r".*\.layers\.[13]\..*(q|down)_proj"}),
    ("llama", {"target_modules": ("q_proj", "v_proj"), "layers": (2, 0)}),
    ("gpt2", {"target_modules": ("c_attn", "c_proj")}),
    ("gpt2", {"target_modules": "all-linear"}),
    ("gpt2", {"target_modules": ("c_attn",), "layers": (1,)}),
    ("gpt_neox", {"target_modules": ("query_key_value",), "layers": (0, 3)}),
    ("opt", {"target_modules": ("fc1", "q_proj"), "layers": (1, 2)}),
    ("phi", {"target_modules": "all-linear"}),
    ("bloom", {"target_modules": ("dense",)}),
]


@pytest.mark.parametrize(("family", "settings"), SAME)
def test_the_same_modules_as_peft(model_of, family: str, settings: dict[str, Any]) -> None:  # type: ignore[no-untyped-def]
    targets, layers = settings["target_modules"], settings.get("layers")
    theirs = chosen_by_peft(
        model_of(family),
        target_modules=targets if isinstance(targets, str) else list(targets),
        layers_to_transform=None if layers is None else list(layers),
    )
    model, lora = model_of(family), Lora(**settings)
    assert set(adapted_modules(model, lora)) == theirs
    assert chosen_by_peft(model, **_settings(peft_config(model, lora))) == theirs


BEYOND = [
    ("llama", {"target_modules": "all-linear", "layers": (3,)}),  # PEFT takes no layers here
    ("gpt2", {"target_modules": r".*c_(attn|fc)", "last_layers": 2}),
    ("gemma3", {"target_modules": ("q_proj",)}),  # its vision tower has them too
]


@pytest.mark.parametrize(("family", "settings"), BEYOND)
def test_peft_adapts_what_we_do_where_its_own_settings_cannot_say_it(  # type: ignore[no-untyped-def]
    model_of, family: str, settings: dict[str, Any]
) -> None:
    model, lora = model_of(family), Lora(**settings)
    ours = set(adapted_modules(model, lora))
    assert ours, "nothing is adapted"
    assert not any("vision" in name for name in ours), "no text passes through it"
    assert chosen_by_peft(model, **_settings(peft_config(model, lora))) == ours


def _settings(config: Any) -> dict[str, Any]:
    names = ("target_modules", "layers_to_transform", "fan_in_fan_out")
    return {name: getattr(config, name) for name in names}


def test_last_layers_is_short_for_their_numbers(model_of) -> None:  # type: ignore[no-untyped-def]
    model = model_of("gpt_neox")
    target: Any = {"target_modules": ("dense",)}
    last, given = Lora(last_layers=2, **target), Lora(layers=(3, 2, 3), **target)
    assert list(adapted_modules(model, last)) == list(adapted_modules(model, given))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_modules": ("c_attn",)}, r"some of down_proj, .*q_proj.*, found c_attn"),
        ({"target_modules": ("q_proj", "nope")}, r"found nope$"),
        ({"target_modules": ".*nope"}, r"q_proj.*, found \.\*nope"),
        ({"target_modules": ("embed_tokens",)}, r"found embed_tokens"),
        ({"target_modules": ".*(embed_tokens|q_proj)"}, r"found model\.embed_tokens"),
        ({"target_modules": ("lm_head",)}, r"q_proj.*, found lm_head"),
        ({"target_modules": ()}, r"found none"),
        ({"last_layers": 5}, r"last_layers: expected at most 4, found 5"),
        ({"layers": (0, 4)}, r"layers: expected numbers from 0 to 3, found 0, 4"),
        ({"layers": ()}, r"layers: expected numbers from 0 to 3, found none"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(  # type: ignore[no-untyped-def]
    model_of, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        adapted_modules(model_of("llama"), Lora(**settings))


def test_widths_are_those_of_the_product_whatever_holds_the_weights() -> None:
    from transformers.pytorch_utils import Conv1D

    assert widths(torch.nn.Linear(3, 5)) == (3, 5)
    assert widths(Conv1D(5, 3)) == (3, 5), "Conv1D is (out, in), its weight (in, out)"
    assert widths(Int8(torch.nn.Linear(3, 5))) == (3, 5)
    assert widths(torch.nn.Embedding(3, 5)) is None


def test_a_depends_on_the_name_the_seed_and_the_shape_alone() -> None:
    """These very numbers: sketches made before are compared with those made now."""
    one = initial_a("model.layers.0.self_attn.q_proj", 4, Lora(rank=1))
    expected = [-0.06592118740081787, -0.372577965259552, -0.46089106798171997, 0.3552430272102356]
    torch.testing.assert_close(one, torch.tensor([expected]), rtol=0, atol=0)
    assert not torch.equal(one, initial_a("model.layers.1.self_attn.q_proj", 4, Lora(rank=1)))
    assert not torch.equal(
        one, initial_a("model.layers.0.self_attn.q_proj", 4, Lora(seed=1, rank=1))
    )
    assert float(initial_a("a", 4, Lora(rank=64)).abs().max()) <= 0.5
