"""What adapters are trained on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.language_model import base
from appraise.settings.model import BaseModelParams
from appraise.steps import lora_adapter
from appraise.storage.files import write_table


def test_rows_without_room_for_their_prompt_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = base.load_tokenizer(tiny_model(tmp_path / "tiny"))
    params = BaseModelParams(source="tiny", max_length=40)
    path = tmp_path / "examples.parquet"
    rows = [{"id": str(n), "prompt": "why so", "completion": "x" * (30 * n + 1)} for n in range(4)]
    write_table(path, pd.DataFrame(rows))
    found = lora_adapter._fitting(tokenizer, params, "letters", path)
    assert [row["id"] for row in found] == ["0", "1"]
    assert capsys.readouterr().err.endswith("lora_adapter: 2 rows of letters too long\n")
    write_table(path, pd.DataFrame(rows[2:]))
    with pytest.raises(ModelError, match="of letters of at most 40 tokens, found none among 2"):
        lora_adapter._fitting(tokenizer, params, "letters", path)
