"""What an objective is: settings, and how they become gradients, a trainer and a reward."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from appraise.examples.example import Example
from appraise.language_model.mixes import Draw
from appraise.language_model.prepared import Prepare
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.settings.model import BaseModelParams
from appraise.settings.section import Section

if TYPE_CHECKING:
    from appraise.language_model.trainers import Curve, Run

Rewarding = Callable[[Example], float]


class Objective(Section):
    """What datasets are valued for and adapters trained for.

    The gradient that values a dataset must be the one that training follows: `preparation` and
    `train` are of the same loss, at the base model and along the way.
    """

    pairs: ClassVar[bool] = False
    """Whether it compares a better answer with a worse one, which every example must then have."""
    rewarded: ClassVar[bool] = False
    """Whether completions are rewarded, so that adapters are evaluated by their reward too."""
    task_vectors: ClassVar[bool] = False
    """Whether a fine-tune on the sequences of `preparation` follows it."""

    kind: str
    """Its name in `objectives.OBJECTIVES`."""

    @property
    def logit_temperature(self) -> float:
        """By which logits are divided, in gradients and training."""
        return 1.0

    @property
    def sampled(self) -> int:
        """Most tokens of a completion that it samples; 0 where it samples none."""
        return 0

    def check(self) -> None:
        """Look whether there is what it names, before anything is computed.

        Raises:
            ParamsError: there is not.
        """

    def described(self) -> str:
        """Its settings, as JSON: sketches of other ones are not compared."""
        return self.model_dump_json()

    @abstractmethod
    def preparation(
        self, model: LanguageModel, tokenizer: Tokenizer, base: BaseModelParams
    ) -> Prepare:
        """The function that turns an example into weighted sequences (`language_model.prepared`).

        It raises `TooLong` for an example that leaves no room for its prompt, and ModelError for
        one that lacks what the objective needs, or a reward that is none.

        Args:
            model: the base model, for an objective that samples from it.
        """

    @abstractmethod
    def train(self, run: Run, draws: Stream[Draw], base: BaseModelParams) -> Curve:
        """Train an adapter on what a mix draws, by TRL.

        Raises:
            TooLong: the completion of an example leaves no room for its prompt.
            ModelError: an example lacks what is needed; a reward or the loss is no number.
        """

    def rewarding(
        self,
        model: LanguageModel,  # noqa: ARG002
        tokenizer: Tokenizer,  # noqa: ARG002
        base: BaseModelParams,  # noqa: ARG002
    ) -> Rewarding | None:
        """What rewards the model's greedy completion of an example's prompt; None without rewards.

        It raises as the function of `preparation` does.
        """
        return None
