"""Supervised fine-tuning: the mean negative log-likelihood of a completion's tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from appraise.examples.example import Example
from appraise.language_model.mixes import Draw
from appraise.language_model.prepared import Prepare, Prepared, Term
from appraise.language_model.prompts import encode
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.objectives.objective import Objective
from appraise.settings.model import BaseModelParams

if TYPE_CHECKING:
    from appraise.language_model.trainers import Curve, Run


class Sft(Objective):
    """Supervised fine-tuning: the mean negative log-likelihood of a completion's tokens."""

    task_vectors: ClassVar[bool] = True

    kind: Literal["sft"] = "sft"

    def preparation(
        self,
        model: LanguageModel,  # noqa: ARG002
        tokenizer: Tokenizer,
        base: BaseModelParams,
    ) -> Prepare:
        """The completion with weight 1/|y|: each of its tokens alike."""

        def prepare(example: Example) -> Prepared:
            encoded = encode(tokenizer, base, example.prompt, example.completion)
            return Prepared((Term(encoded, 1 / encoded.n_completion),))

        return prepare

    def train(self, run: Run, draws: Stream[Draw], base: BaseModelParams) -> Curve:
        """By SFTTrainer, on the mean over a batch's completion tokens, in nats."""
        from appraise.language_model.supervised import supervised

        return supervised(
            run,
            draws.map(
                lambda draw: encode(
                    run.tokenizer, base, draw.example.prompt, draw.example.completion
                )
            ),
        )
