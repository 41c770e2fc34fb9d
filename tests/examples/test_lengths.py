"""Lengths in tokens, of what the model reads and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from as_read import as_read, talk  # type: ignore[import-not-found]
from tokenizers import Tokenizer, models, pre_tokenizers

from appraise.examples.lengths import TokenCounter, length_settings
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


def test_templates_are_counted_too_and_nothing_is_cut_or_padded(tokenizer: Path) -> None:
    examples = [as_read(1, "why is it", "so"), as_read(2, "", "")]
    assert TokenCounter(tokenizer, PARAMS).count(examples) == [2 + 3 + 2 + 1 + 1, 2 + 2 + 1]
    assert TokenCounter(tokenizer, CHAT).count(examples) == [3, 0], "`so` follows without a space"


def test_of_a_pair_the_longer_answer_counts(tokenizer: Path) -> None:
    examples = [
        as_read(1, "why", "so", rejected="no idea at all"),
        as_read(2, "why", "so it is", rejected="no"),
        as_read(3, "why", "so"),
    ]
    counter = TokenCounter(tokenizer, PARAMS)
    assert counter.count(examples) == [7, 9, 7]
    assert counter.count(examples, pairs=True) == [10, 9, 7]


def test_the_turns_of_a_conversation(tokenizer: Path) -> None:
    asked = as_read(1, talk(("user", "why"), ("assistant", "so"), ("user", "really ?")), "yes")
    # User: why Assistant: so User: really ? Assistant: yes .
    assert TokenCounter(tokenizer, PARAMS).count([asked]) == [10]
    assert TokenCounter(tokenizer, CHAT).count([asked]) == [4], "yes follows ? without a space"


def test_what_lengths_depend_on() -> None:
    assert length_settings(PARAMS) == {
        "prompt": "Q : {prompt}\nA :",
        "completion": " {completion} .",
        "chat": False,
        "max_length": 512,
    }
