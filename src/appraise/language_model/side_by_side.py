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

from appraise.language_model.trunk import Inputs, Trunk
from appraise.language_model.workers import workers

LOOK_AHEAD = 32  # sequences, about


class SideBySide(SFTTrainer):
    """The sequences of a batch on all cores, without padding, each computed by one thread.

    The model is the trunk's top. The trunk needs no order, so it is run for many steps at once.
    """

    def __init__(self, trunk: Trunk, **given: Any) -> None:
        super().__init__(**given)
        self._trunk = trunk
        self._ahead: dict[tuple[int, ...], Inputs] = {}  # what the trunk makes of coming sequences

    def _look_ahead(self) -> None:
        """Run the trunk for the sequences of this step and some that follow."""
        size, step = self.args.per_device_train_batch_size, self.state.global_step
        steps = max(1, LOOK_AHEAD // size)
        if step % steps:
            return
        data: Any = self.train_dataset
        coming = data[size * step : size * (step + steps)]["input_ids"]
        new = sorted({tuple(ids) for ids in coming}, key=len, reverse=True)
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

        with workers() as each:
            loss, *gradients = (
                torch.stack(parts).sum(dim=0)
                for parts in zip(*each(gradient, _apart(inputs)), strict=True)
            )
        for weight, found in zip(weights, gradients, strict=True):
            weight.grad = found
        return loss


def _apart(inputs: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """Each sequence of a batch without its padding, the longest first: a short one ends last."""
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    return [
        {name: one[row : row + 1, : lengths[row]] for name, one in inputs.items()}
        for row in sorted(range(len(lengths)), key=lambda row: -lengths[row])
    ]
