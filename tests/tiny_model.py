"""Tiny randomly initialised language models, in a folder as the hub has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:?!'_-\n"
HEADS = {"num_hidden_layers": 4, "hidden_size": 32, "num_attention_heads": 4}
SIZES = HEADS | {"num_key_value_heads": 2, "intermediate_size": 64, "head_dim": 8}
GPT = {"n_layer": 4, "n_embd": 32, "n_head": 4}
IMAGES = HEADS | {"intermediate_size": 64, "image_size": 28, "patch_size": 14}
OF_FAMILY: dict[str, dict[str, Any]] = {
    "gpt2": GPT,
    "gpt_neox": HEADS | {"intermediate_size": 64},
    "opt": HEADS | {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "phi": HEADS | {"intermediate_size": 64, "num_key_value_heads": 2},
    "bloom": {"n_layer": 4, "n_head": 4, "hidden_size": 32},
    "bert": HEADS | {"intermediate_size": 64},
    "gemma3": {"text_config": SIZES, "vision_config": IMAGES},
}


def tiny_model(folder: Path, family: str = "llama", seed: int = 0, **settings: Any) -> Path:
    """Write a model of four layers and a tokenizer in which a letter is a token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary |= {letter: number + 3 for number, letter in enumerate(LETTERS)}
    letters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    sizes = OF_FAMILY.get(family, SIZES) | settings
    if "text_config" in sizes:
        sizes["text_config"] = {"vocab_size": len(vocabulary)} | sizes["text_config"]
    else:
        sizes = {"vocab_size": len(vocabulary)} | sizes
    config = AutoConfig.for_model(family, **sizes)
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
