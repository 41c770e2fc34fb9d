"""SFT's training step on a CPU: TRL's loss, the sequences of a batch on all cores.

A batch padded to its longest sequence wastes a CPU's time, and two threads inside one product gain
little; so each sequence is computed alone, by one thread, and the gradients are added up in a fixed
order. The number of cores changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from trl.trainer.sft_trainer import SFTTrainer

from appraise.language_model.prompts import Encoded
from appraise.language_model.streams import Stream
from appraise.language_model.trainers import Watch
from appraise.language_model.trunk import Inputs, Trunk
from appraise.language_model.workers import workers

LOOK_AHEAD = 32  # sequences, about


class SideBySide(SFTTrainer):
    """The sequences of a batch on all cores, without padding, each computed by one thread.

    The model is the trunk's top. The trunk needs no order, so it is run for many steps at once
    where the sequences of coming steps are known.
    """

    def __init__(
        self, trunk: Trunk, sequences: Stream[Encoded], watch: Watch, **given: Any
    ) -> None:
        super().__init__(**given)
        self._trunk, self._sequences, self._watch = trunk, sequences, watch
        self._ahead: dict[tuple[int, ...], Inputs] = {}  # what the trunk makes of coming sequences

    def _look_ahead(self) -> None:
        """Run the trunk for the sequences of this step, and of some that follow if it may."""
        step, steps = self.state.global_step, max(1, LOOK_AHEAD // self._sequences.size)
        if self._sequences.ahead and step % steps:
            return
        coming = self._sequences.coming(step, steps)
        new = sorted({sequence.ids for sequence in coming}, key=len, reverse=True)
        with workers() as each:
            self._ahead = dict(zip(new, each(self._trunk.read, new), strict=True))

    def training_step(
        self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Losses and gradients, added up in a fixed order."""
        model.train()
        self._look_ahead()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        loss_of: Callable[..., torch.Tensor] = self.compute_loss

        def gradient(part: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
            (ids,) = part.pop("input_ids").tolist()
            given = part | self._ahead[tuple(ids)]
            loss = loss_of(model, given, num_items_in_batch=num_items_in_batch)
            return (loss.detach(), *torch.autograd.grad(loss, weights))

        order = _longest_first(inputs)
        with workers() as each:
            computed = list(each(gradient, [_alone(inputs, row) for row in order]))
        loss, *gradients = (torch.stack(parts).sum(dim=0) for parts in zip(*computed, strict=True))
        for weight, gradient_of_batch in zip(weights, gradients, strict=True):
            weight.grad = gradient_of_batch
        self._report(inputs, dict(zip(order, (part[0] for part in computed), strict=True)))
        return loss

    def _report(
        self, inputs: Mapping[str, torch.Tensor], shares: Mapping[int, torch.Tensor]
    ) -> None:
        """Nats per completion token of each sequence, from its share of the batch's loss."""
        counts = (inputs["labels"] != -100).sum(dim=1)
        self._watch.each = [shares[row] * counts.sum() / counts[row] for row in sorted(shares)]


def _longest_first(inputs: Mapping[str, torch.Tensor]) -> list[int]:
    """The rows of a batch, the longest first: a short one ends last."""
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


def _alone(inputs: Mapping[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    """A sequence of a batch without its padding."""
    length = int(inputs["attention_mask"][row].sum())
    return {name: values[row : row + 1, :length] for name, values in inputs.items()}
