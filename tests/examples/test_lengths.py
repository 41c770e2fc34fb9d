"""Lengths in tokens, of what the model reads and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from appraise.settings.model import BaseModelParams

PARAMS = BaseModelParams(source="x", prompt="Q : {prompt}\nA :", completion=" {completion} .")
CHAT = PARAMS.model_copy(update={"chat": True})


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer in which a word is a token, and which cuts and pads if it is let."""
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.enable_truncation(3)
    words.enable_padding(length=50)
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"
