"""A tiny randomly initialised language model, in a folder as the hub has it."""

from __future__ import annotations

from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:?!'_-\n"


def tiny_model(folder: Path, family: str = "llama", seed: int = 0) -> Path:
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
    sizes = {"num_hidden_layers": 4, "hidden_size": 32, "num_attention_heads": 4}
    if family == "gpt2":
        sizes = {"n_layer": 4, "n_embd": 32, "n_head": 4}
    else:
        sizes |= {"num_key_value_heads": 2, "intermediate_size": 64, "head_dim": 8}
    config = AutoConfig.for_model(family, vocab_size=len(vocabulary), **sizes)
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
