"""TRL's trainers, set up to train on what the gradients are taken of.

Tokens are ours, and so is their order; they are drawn step by step. On a CPU the sequences of a
batch are computed side by side; pairs and groups of completions are computed one at a time, and
their gradients added up. The adapter alone is in training mode: as in the gradients, only LoRA
drops out. What is special to an objective is in its module (`appraise.objectives`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import torch
from datasets import Dataset
from huggingface_hub import constants
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging as transformers_logging
from trl.trainer import utils as fused

from appraise.errors import ModelError
from appraise.language_model.adapters import peft_quiet
from appraise.language_model.mixes import Losses
from appraise.language_model.prompts import Encoded
from appraise.language_model.protocols import AdaptedModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.language_model.trunk import Trunk

PADDED = 0  # any token will do: it is masked
T = TypeVar("T")


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

    adapted: AdaptedModel
    trunk: Trunk
    tokenizer: Tokenizer
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


class Tally:
    """Counts the tokens of the sequences that are trained on."""

    tokens = 0

    def __call__(self, *sequences: Encoded) -> tuple[Encoded, ...]:
        """The sequences, as they are."""
        self.tokens += sum(len(sequence.ids) for sequence in sequences)
        return sequences


def padded(sequences: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """A batch of sequences, padded at their ends: ids and masks, (sequences, longest) each."""
    columns = {
        "input_ids": [torch.tensor(each.ids) for each in sequences],
        "attention_mask": [torch.ones(len(each.ids), dtype=torch.long) for each in sequences],
        "completion_mask": [
            (torch.arange(len(each.ids)) >= each.n_prompt).long() for each in sequences
        ],
    }
    return {
        name: torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDED)
        for name, parts in columns.items()
    }


class Watch(TrainerCallback):
    """Keeps what is logged, shows it to whom the sequences come from, and stops at a loss of NaN.

    Attributes:
        each: a trainer that knows the losses of single sequences puts those of the present step
            here, in the order in which the sequences came.
    """

    def __init__(self, observe: Callable[[int, Losses], None]) -> None:
        self.loss: list[float] = []
        self.reward: list[float] = []
        self.each: list[torch.Tensor] = []
        self._observe = observe

    def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        """As transformers calls it after each step, and once at the end."""
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
        each = tuple(float(loss) for loss in self.each)
        self.each.clear()
        self._observe(state.global_step - 1, Losses(self.loss[-1], each or None))


def train(
    run: Run,
    stream: Stream[T],
    column: tuple[str, Callable[[int], object]],
    make: Callable[[Mapping[str, Any], Mapping[str, Any], Watch], Any],
    tally: Tally,
) -> Curve:
    """Train on a stream of what the steps need.

    Args:
        column: the name by which the trainer is given the place of an item in the stream, and what
            stands for it there. What the item is, it asks the stream.
        make: TRL's trainer, from settings that all have in common, arguments that all have in
            common, and what it is watched by.
        tally: of the stream's tokens.

    Raises:
        ModelError: the loss is no number.
    """

    def observe(step: int, losses: Losses) -> None:
        stream.observe(step, losses)
        run.progress()

    adapted, watch = run.adapted, Watch(observe)
    weights = [p for _, p in sorted(adapted.named_parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1.0, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: run.rates[min(step, len(run.rates) - 1)]
    )
    name, shown = column
    parts = {
        "model": adapted,
        "processing_class": run.tokenizer,
        "train_dataset": Dataset.from_dict({name: [shown(n) for n in range(len(stream))]}),
        "optimizers": (optimizer, schedule),
        "callbacks": [watch],
    }
    with tempfile.TemporaryDirectory() as folder, _surroundings(adapted):
        trainer = make(_settings(run, folder), parts, watch)
        trainer.remove_callback(PrinterCallback)
        if "ref" in adapted.peft_config:  # at B = 0 the base model is the reference
            adapted.delete_adapter("ref")
        loader = trainer.get_train_dataloader().base_dataloader  # accelerate's asks a step ahead
        trainer.get_train_dataloader = lambda: loader
        trainer.train()
    return Curve(tuple(watch.loss), tuple(watch.reward), tally.tokens)


def _settings(run: Run, folder: str) -> dict[str, object]:
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
def _surroundings(adapted: AdaptedModel) -> Iterator[None]:
    """Quiet, without a word to the hub, logits only where there are labels; then all as before."""
    base = adapted.get_base_model()
    dropouts = [module for name, module in base.named_modules() if ".lora_dropout." in name]

    def only_lora_drops_out(*_: object) -> None:
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
def _changed(module: ModuleType, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
