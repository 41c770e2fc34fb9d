"""TRL's trainers, set up to train on what the gradients are taken of.

Tokens are ours, and so is their order. On a CPU the sequences of a batch are computed side by side;
pairs and groups of completions are computed one at a time, and their gradients added up. The
adapter alone is in training mode: as in the gradients, only LoRA drops out.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from huggingface_hub import constants
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging
from trl.trainer import utils as fused
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from appraise.errors import ModelError
from appraise.language_model.lora import peft_quiet
from appraise.language_model.objectives import Rollout, Row
from appraise.language_model.prompts import Encoded
from appraise.language_model.side_by_side import SideBySide
from appraise.language_model.trunk import Trunk
from appraise.settings.objectives import Grpo

PADDED = 0  # any token will do: it is masked


@dataclass(frozen=True)
class Run:
    """An adapter that is to be trained, and how.

    Attributes:
        adapted: the base model with PEFT's LoRA; trained in place.
        trunk: of the base model; where nothing below the first adapter learns, it is run once.
        batch_size: examples whose mean gradient is a step.
        rates: learning rate of each step.
        progress: called after each step.
    """

    adapted: Any
    trunk: Trunk
    tokenizer: Any
    batch_size: int
    rates: Sequence[float]
    seed: int
    progress: Callable[[], object]

    @property
    def side_by_side(self) -> bool:
        """Whether cores share a batch: a GPU likes it whole, and dropout draws from one stream."""
        dropout = self.adapted.peft_config["default"].lora_dropout
        return self.adapted.device.type == "cpu" and not dropout


@dataclass(frozen=True)
class Curve:
    """What a run reports.

    Attributes:
        loss: of each step's batch, before the step.
        reward: mean reward of each step's completions; empty without a reward.
        tokens: tokens of all sequences trained on.
    """

    loss: tuple[float, ...]
    reward: tuple[float, ...]
    tokens: int


def sft(run: Run, examples: Sequence[Encoded]) -> Curve:
    """The mean negative log-likelihood of a batch's completion tokens, in nats."""
    columns = {
        "input_ids": [list(one.ids) for one in examples],
        "labels": [[-100] * one.n_prompt + list(one.ids[one.n_prompt :]) for one in examples],
    }

    def trainer(settings: Mapping[str, Any], parts: Mapping[str, Any]) -> SFTTrainer:
        given = {**settings, "max_length": None, "dataset_kwargs": {"skip_prepare_dataset": True}}
        given |= {"per_device_train_batch_size": run.batch_size, "gradient_accumulation_steps": 1}
        collator = DataCollatorForLanguageModeling(PADDED)
        return kind(args=SFTConfig(**given), data_collator=collator, **parts)

    kind: Callable[..., SFTTrainer] = SFTTrainer
    if run.side_by_side:
        kind = partial(SideBySide, run.trunk)
        run = replace(run, adapted=run.trunk.top(run.adapted))
    return _train(run, Dataset.from_dict(columns), trainer, lambda: _tokens(examples))


def dpo(run: Run, beta: float, pairs: Sequence[tuple[Encoded, Encoded]]) -> Curve:
    """−log σ(β(Δ_chosen − Δ_rejected)) of each pair; the adapter switched off is the reference."""
    sides = {"chosen": 0, "rejected": 1}
    columns = {
        **{name: [list(pair[side].ids) for pair in pairs] for name, side in sides.items()},
        **{f"{name}_at": [pair[side].n_prompt for pair in pairs] for name, side in sides.items()},
    }

    def trainer(settings: Mapping[str, Any], parts: Mapping[str, Any]) -> DPOTrainer:
        config = DPOConfig(**settings, beta=beta, disable_dropout=False)
        return _Pairs(args=config, data_collator=_both_sides, **parts)

    both = [encoded for pair in pairs for encoded in pair]
    return _train(run, Dataset.from_dict(columns), trainer, lambda: _tokens(both))


def grpo(
    run: Run,
    objective: Grpo,
    rows: Sequence[Row],
    sample: Callable[[Row], tuple[Rollout, ...]],
) -> Curve:
    """The clipped surrogate of a group's completions, sampled and rewarded by `sample`."""
    tokens = 0

    def rollouts(prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """For each prompt, which comes once for each completion, as TRL wants it."""
        nonlocal tokens
        trainer.model.get_base_model().eval()
        groups = [sample(rows[int(number)]) for number in prompts[:: objective.generations]]
        found = [rollout for group in groups for rollout in group]
        tokens += _tokens([one.encoded for one in found])
        return {
            "prompt_ids": [list(one.encoded.ids[: one.encoded.n_prompt]) for one in found],
            "completion_ids": [list(one.encoded.ids[one.encoded.n_prompt :]) for one in found],
            "logprobs": None,
            "rewards": [one.reward for one in found],
        }

    def trainer(settings: Mapping[str, Any], parts: Mapping[str, Any]) -> GRPOTrainer:
        config = GRPOConfig(
            **{**settings, "per_device_train_batch_size": objective.generations},
            num_generations=objective.generations,
            max_completion_length=objective.max_new_tokens,
            temperature=objective.temperature,
            loss_type="grpo",  # the mean of a completion's tokens, then of a group
            beta=0.0,
            shuffle_dataset=False,
        )
        given = {**parts, "processing_class": _with_padding(run.tokenizer)}
        return GRPOTrainer(args=config, reward_funcs=_found, rollout_func=rollouts, **given)

    numbered = Dataset.from_dict({"prompt": [str(number) for number in range(len(rows))]})
    return _train(run, numbered, trainer, lambda: tokens)


def _tokens(sequences: Sequence[Encoded]) -> int:
    return sum(len(one.ids) for one in sequences)


def _found(rewards: list[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the completions."""
    return rewards


def _with_padding(tokenizer: Any) -> Any:
    """A copy that surely has a token to pad with, one that the model has an embedding of."""
    padding = copy.deepcopy(tokenizer)
    padding.pad_token = padding.convert_ids_to_tokens(PADDED)
    return padding


class _Pairs(DPOTrainer):
    """Of pairs that are tokens already. TRL's own would end them otherwise than the sketches."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


def _both_sides(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch for DPO: the chosen answers, then the rejected ones."""
    both = [(row[side], row[f"{side}_at"]) for side in ("chosen", "rejected") for row in rows]
    columns = {
        "input_ids": [torch.tensor(ids) for ids, _ in both],
        "attention_mask": [torch.ones(len(ids), dtype=torch.long) for ids, _ in both],
        "completion_mask": [(torch.arange(len(ids)) >= at).long() for ids, at in both],
    }
    return {
        name: torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDED)
        for name, parts in columns.items()
    }


class _Watch(TrainerCallback):
    """Keeps what is logged, and stops at a loss that is no number."""

    def __init__(self, progress: Callable[[], object]) -> None:
        self.loss: list[float] = []
        self.reward: list[float] = []
        self._progress = progress

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        logs = given["logs"]
        if "loss" not in logs:  # the summary at the end
            return
        if not math.isfinite(logs["loss"]):
            raise ModelError(
                f"training: expected a finite loss, found {logs['loss']} in step "
                f"{state.global_step}; lower lora_adapter.learning_rate"
            )
        self.loss.append(float(logs["loss"]))
        self.reward += [float(logs["reward"])] if "reward" in logs else []
        self._progress()


def _train(run: Run, data: Dataset, make: Callable[..., Any], tokens: Callable[[], int]) -> Curve:
    adapted, watch = run.adapted, _Watch(run.progress)
    weights = [p for _, p in sorted(adapted.named_parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1.0, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: run.rates[min(step, len(run.rates) - 1)]
    )
    parts = {
        "model": adapted,
        "processing_class": run.tokenizer,
        "train_dataset": data,
        "optimizers": (optimizer, schedule),
        "callbacks": [watch],
    }
    with tempfile.TemporaryDirectory() as folder, _surroundings(adapted):
        trainer = make(_settings(run, folder), parts)
        trainer.remove_callback(PrinterCallback)
        if "ref" in adapted.peft_config:  # at B = 0 the base model is the reference
            adapted.delete_adapter("ref")
        trainer.train()
    return Curve(tuple(watch.loss), tuple(watch.reward), tokens())


def _settings(run: Run, folder: str) -> dict[str, Any]:
    """What all of TRL's configurations have in common here."""
    return {
        "output_dir": folder,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": run.batch_size,
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "max_grad_norm": 0.0,  # no clipping
        "activation_checkpointing": False,
        "bf16": False,
        "use_cpu": run.adapted.device.type == "cpu",
        "dataloader_pin_memory": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "save_strategy": "no",
        "seed": run.seed,
    }


@contextlib.contextmanager
def _surroundings(adapted: Any) -> Iterator[None]:
    """Quiet, without a word to the hub, logits only where there are labels; then all as before."""
    base = adapted.get_base_model()
    dropouts = [module for name, module in base.named_modules() if ".lora_dropout." in name]

    def only_lora_drops_out(*_: Any) -> None:
        base.eval()
        for module in dropouts:
            module.train(adapted.training)

    hook = adapted.register_forward_pre_hook(only_lora_drops_out)
    loud = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        with (
            peft_quiet(),
            _changed(constants, "HF_HUB_DISABLE_TELEMETRY", True),
            # TRL computes logits where there are labels on GPUs alone; on a CPU, everywhere.
            _changed(fused, "_use_triton", lambda _: True),
        ):
            warnings.filterwarnings("ignore", "You are using 'rollout_func'")
            yield
    finally:
        transformers_logging.set_verbosity(loud)
        hook.remove()
        vars(base).pop("forward", None)  # TRL's, with the loss in it
        adapted.eval()


@contextlib.contextmanager
def _changed(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
