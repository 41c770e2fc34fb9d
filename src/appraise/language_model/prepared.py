"""An example as the gradient engine sees it: sequences of tokens, each with a weight.

At the base model the policy is the reference, so that the gradient of every objective that we know
is a weighted sum of gradients of log-likelihoods, and one engine serves all of them:

    ∇ loss = Σ weight · ∇ Σ_t −log π(y_t | x, y_<t)

What the weights are is the objective's (`appraise.objectives`, which lies above this room).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appraise.examples.example import Example
from appraise.language_model.prompts import Encoded
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.records.sketch import SampledCompletion
from appraise.settings.model import BaseModelParams


@dataclass(frozen=True)
class Term:
    """A sequence, and how much the negative log-likelihood of its completion counts."""

    encoded: Encoded
    weight: float


@dataclass(frozen=True)
class Prepared:
    """An example as weighted sequences.

    Attributes:
        terms: at least one; all weights are 0 where the example teaches nothing.
        completions: what was sampled for it, to be kept.
    """

    terms: tuple[Term, ...]
    completions: tuple[SampledCompletion, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(len(term.encoded.ids) for term in self.terms)

    @property
    def truncated(self) -> int:
        """Tokens cut from the prompts' starts."""
        return sum(term.encoded.truncated for term in self.terms)


Prepare = Callable[[Example], Prepared]


class Preparing(Protocol):
    """What a sketcher asks of an objective."""

    @property
    def logit_temperature(self) -> float:
        """By which logits are divided, as where completions were sampled."""
        ...

    def described(self) -> str:
        """Its settings, as JSON: sketches of other ones are not compared."""
        ...

    def preparation(
        self, model: LanguageModel, tokenizer: Tokenizer, base: BaseModelParams
    ) -> Prepare:
        """The function that turns an example into weighted sequences."""
        ...
