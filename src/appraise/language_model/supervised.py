"""TRL's SFT on sequences of tokens: the mean negative log-likelihood of a batch's completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from appraise.language_model.prompts import Encoded
from appraise.language_model.side_by_side import SideBySide
from appraise.language_model.streams import Stream
from appraise.language_model.trainers import PADDED, Curve, Run, Tally, Watch, train


def supervised(run: Run, sequences: Stream[Encoded]) -> Curve:
    """Train on the sequences; losses are in nats per completion token.

    Raises:
        ModelError: the loss is no number.
    """
    tally = Tally()
    counted = sequences.map(lambda encoded: tally(encoded)[0])
    pad = DataCollatorForLanguageModeling(PADDED)

    def collate(rows: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
        return pad([_columns(counted[row["number"]]) for row in rows])

    def make(
        settings: Mapping[str, Any], parts: Mapping[str, Any], watch: Watch
    ) -> SFTTrainer | SideBySide:
        given = {**settings, "max_length": None, "dataset_kwargs": {"skip_prepare_dataset": True}}
        given |= {"per_device_train_batch_size": run.batch_size, "gradient_accumulation_steps": 1}
        config = SFTConfig(**given)
        if run.side_by_side:
            whole = {**parts, "args": config, "data_collator": collate}
            return SideBySide(run.trunk, counted, watch, **whole)
        return SFTTrainer(args=config, data_collator=collate, **parts)

    if run.side_by_side:
        run = replace(run, adapted=run.trunk.top(run.adapted))
    return train(run, counted, ("number", int), make, tally)


def _columns(encoded: Encoded) -> dict[str, list[int]]:
    """Token ids, and as labels those of the completion."""
    completion = list(encoded.ids[encoded.n_prompt :])
    return {"input_ids": list(encoded.ids), "labels": [-100] * encoded.n_prompt + completion}
