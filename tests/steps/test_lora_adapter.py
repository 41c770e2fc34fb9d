"""What adapters are trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model import base
from appraise.settings.model import BaseModelParams
from appraise.steps.lora_adapter import fitting
from appraise.steps.progress import Progress


def test_rows_without_room_for_their_prompt_are_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = base.load_tokenizer(tiny_model(tmp_path / "tiny"))
    params, progress = BaseModelParams(source="tiny", max_length=40), Progress("lora_adapter", 1)
    rows = [Example(id=str(n), prompt="why so", completion="x" * (30 * n + 1)) for n in range(4)]
    kept = fitting(tokenizer, params, "letters", rows, progress)
    assert [row.id for row in kept] == ["0", "1"]
    assert "lora_adapter: 2 rows of letters too long\n" in capsys.readouterr().err
    with pytest.raises(ModelError, match="of letters of at most 40 tokens, found none among 2"):
        fitting(tokenizer, params, "letters", rows[2:], progress)
