"""The base language model, its tokenizer and the LoRA initialisation, fingerprinted together.

The source is a GGUF file (also inside a zip or wheel), a local folder in the hub's layout, or a
hub id. Sketches and adapters are comparable only when this is the same: weights, tokenizer, chat
template, LoRA shape and A, and the prompt's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from appraise.project.reads import Given, Reads
from appraise.records.base_model import BaseModelFingerprint
from appraise.settings.model import BaseModelParams
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole

# What later steps read of the section: the prompt's format, and all that decides a gradient.
FORMAT = tuple(f"base_model.{name}" for name in ("prompt", "completion", "chat", "max_length"))
USED = (*FORMAT, "base_model.lora")


@dataclass(frozen=True)
class _Model:
    """A model that is fetched and prepared while it is written: half a gigabyte and more."""

    params: BaseModelParams
    root: Path

    def write(self, folder: Path) -> None:
        from appraise.language_model.base import prepare

        prepare(self.params, self.root, folder)


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        yield Output(given.key, (_Model(given.params.base_model, given.root),))


STEP = Step(
    noun="base_model",
    partitions="",
    keys=whole,
    reads=Reads(settings=("base_model",)),
    writes=(BaseModelFingerprint,),
    make=_make,
    version="2",  # 2: a dequantised model does not call itself quantised
)
