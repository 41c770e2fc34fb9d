"""Direct preference optimisation (Rafailov et al. 2023, Eq. 7).

The loss of a pair is −log σ(β(Δ_chosen − Δ_rejected)), with Δ the log-likelihood of an answer minus
that under the base model. At the base model Δ = 0, so that the gradient weighs the negative
log-likelihood of the chosen answer by β/2 and that of the rejected one by −β/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model.mixes import Draw
from appraise.language_model.prepared import Prepare, Prepared, Term
from appraise.language_model.prompts import Encoded, encode
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.objectives.objective import Objective
from appraise.settings.model import BaseModelParams

if TYPE_CHECKING:
    import torch

    from appraise.language_model.trainers import Curve, Run, Watch


class Dpo(Objective):
    """Direct preference optimisation of pairs (chosen, rejected), the base model as reference."""

    pairs: ClassVar[bool] = True

    kind: Literal["dpo"] = "dpo"
    beta: Annotated[float, Field(gt=0)] = 0.1
    """β: how much a preference may move the model away from the base model; smaller moves more."""

    def preparation(
        self,
        model: LanguageModel,  # noqa: ARG002
        tokenizer: Tokenizer,
        base: BaseModelParams,
    ) -> Prepare:
        """The chosen answer with weight β/2, and the rejected one with −β/2."""

        def prepare(example: Example) -> Prepared:
            chosen, rejected = _pair(tokenizer, base, example)
            return Prepared((Term(chosen, self.beta / 2), Term(rejected, -self.beta / 2)))

        return prepare

    def train(self, run: Run, draws: Stream[Draw], base: BaseModelParams) -> Curve:
        """By DPOTrainer, pair by pair; the adapter switched off is the reference."""
        from trl.trainer.dpo_config import DPOConfig
        from trl.trainer.dpo_trainer import DPOTrainer

        from appraise.language_model.trainers import Tally, padded, train

        tally = Tally()
        pairs = draws.map(lambda draw: tally(*_pair(run.tokenizer, base, draw.example)))

        class Pairs(DPOTrainer):
            """Of pairs that are tokens already: TRL's own would end them as sketches do not."""

            watch: Watch

            def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
                return dataset

            def training_step(self, *given: Any, **named: Any) -> torch.Tensor:
                loss: torch.Tensor = super().training_step(*given, **named)  # type: ignore[no-untyped-call]
                self.watch.each.append(loss * self.current_gradient_accumulation_steps)
                return loss

        def collate(rows: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
            both = [pairs[row["number"]] for row in rows]
            return padded([pair[side] for side in (0, 1) for pair in both])

        def make(settings: Mapping[str, Any], parts: Mapping[str, Any], watch: Watch) -> Pairs:
            config = DPOConfig(**settings, beta=self.beta, disable_dropout=False)
            trainer = Pairs(args=config, data_collator=collate, **parts)
            trainer.watch = watch
            return trainer

        return train(run, pairs, ("number", int), make, tally)


def _pair(tokenizer: Tokenizer, base: BaseModelParams, example: Example) -> tuple[Encoded, Encoded]:
    """The chosen and the rejected answer to one prompt."""
    if not example.rejected:
        raise ModelError(
            f"objective dpo: expected a rejected answer in row {example.id}, found none; give the "
            "source a template `rejected`, or `choices` to take a wrong one from"
        )
    chosen = encode(tokenizer, base, example.prompt, example.completion)
    return chosen, encode(tokenizer, base, example.prompt, example.rejected)
