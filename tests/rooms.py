"""A prepared base model and sequences for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from appraise.language_model import base
from appraise.language_model.prompts import Encoded
from appraise.settings.model import BaseModelParams


@dataclass(frozen=True)
class Room:
    folder: Path
    params: BaseModelParams
    model: Any
    tokenizer: Any
    a: dict[str, torch.Tensor]


def room(source: Path, folder: Path, **lora: Any) -> Room:
    """Prepare a model into a folder and load it."""
    params = BaseModelParams(source=str(source), max_length=64, lora={"rank": 2, **lora})  # type: ignore[arg-type]
    folder.mkdir(parents=True)
    base.prepare(params, Path("/"), folder)
    tokenizer = base.load_tokenizer(folder)
    return Room(folder, params, base.load(folder), tokenizer, base.read_lora(folder))


def sequences(count: int = 6, completion: int = 4) -> list[Encoded]:
    """Sequences of different lengths, tokens below 70."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(8, 40, (count,), generator=generator).tolist()
    return [
        Encoded(
            tuple(torch.randint(3, 70, (length,), generator=generator).tolist()),
            length - completion,
            0,
        )
        for length in lengths
    ]
