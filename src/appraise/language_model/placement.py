"""Where the model lies and in which precision: the same for gradients, training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from appraise.settings.sketches import AUTO, CPU, SPREAD, precision


@dataclass(frozen=True)
class Placement:
    """Where a model lies, and in which precision.

    Attributes:
        device: one of PyTorch's, or `spread`: over all GPUs, by accelerate.
        dtype: of the weights; a quantised model keeps its own.
    """

    device: str = CPU
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(cls, device: str, dtype: str | None) -> Placement:
        """What the settings of these names mean on this machine.

        The precision is `settings.sketches.precision`; where that leaves it to the machine it is
        bfloat16 on a GPU, else float32.
        """
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else CPU
        return cls(device, getattr(torch, precision(device, dtype)))

    @property
    def spread(self) -> bool:
        """Whether accelerate decides what lies where."""
        return self.device == SPREAD
