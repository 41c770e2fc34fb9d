"""Group-relative policy optimisation (Shao et al. 2024, Eq. 3 and 21).

For each prompt a group of G completions is sampled and rewarded; the clipped surrogate weighs each
by its advantage A_g within the group. At the base model the ratio is 1 and the KL term's gradient
is 0, so that the gradient weighs the log-likelihood of a completion by A_g/(G·|o_g|).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from appraise.language_model.mixes import Draw
from appraise.language_model.prepared import Prepare, Prepared, Term
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.rewards import reward_of
from appraise.language_model.streams import Stream
from appraise.objectives.objective import Objective, Rewarding
from appraise.records.sketch import SampledCompletion
from appraise.settings.model import BaseModelParams
from appraise.settings.section import Positive

if TYPE_CHECKING:
    from trl.trainer.grpo_trainer import GRPOTrainer

    from appraise.language_model.rollouts import Rollout, Sampler
    from appraise.language_model.trainers import Curve, Run, Watch

MIN_SPREAD = 1e-6  # of a group's rewards; below it there is nothing to prefer


class Grpo(Objective):
    """Group-relative policy optimisation: completions sampled from the model, with a reward."""

    rewarded: ClassVar[bool] = True

    kind: Literal["grpo"] = "grpo"
    reward: str = "exact_number"
    """A rule of `language_model.rewards.RULES`, or a function of your own, `module:function`, that
    is given the completion and the right answer and returns a number."""
    generations: Annotated[int, Field(ge=2)] = 4
    """G: completions of each prompt."""
    max_new_tokens: Positive = 64
    """Of each completion."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """By which logits are divided in sampling, in gradients and in training."""
    seed: int = 0
    """Of the completions; each example has a random stream of its own."""

    @property
    def logit_temperature(self) -> float:
        """As completions are sampled."""
        return self.temperature

    @property
    def sampled(self) -> int:
        """As many as it may."""
        return self.max_new_tokens

    def check(self) -> None:
        """There is such a reward."""
        reward_of(self.reward)

    def preparation(
        self, model: LanguageModel, tokenizer: Tokenizer, base: BaseModelParams
    ) -> Prepare:
        """A group sampled from the base model, each completion with weight A_g/(G·|o_g|)."""
        sample = self._sampler(model, tokenizer, base)
        return lambda example: weighted(example.id, sample(example))

    def rewarding(
        self, model: LanguageModel, tokenizer: Tokenizer, base: BaseModelParams
    ) -> Rewarding:
        """The reward of the model's greedy completion."""
        sample = self._sampler(model, tokenizer, base)
        return lambda example: sample.greedy(example)[1]

    def train(self, run: Run, draws: Stream[Draw], base: BaseModelParams) -> Curve:
        """By GRPOTrainer, on completions sampled from the model as it learns."""
        from trl.trainer.grpo_config import GRPOConfig
        from trl.trainer.grpo_trainer import GRPOTrainer

        from appraise.language_model.trainers import Tally, train

        model = run.adapted.get_base_model()
        sample, tally = self._sampler(model, run.tokenizer, base), Tally()

        def rollouts(prompts: Sequence[str], _: GRPOTrainer) -> dict[str, object]:
            """For each prompt, which comes once for each completion, as TRL wants it."""
            model.eval()
            numbers = [int(prompt) for prompt in prompts[:: self.generations]]
            group = [one for number in numbers for one in sample(draws[number].example)]
            tally(*(rollout.encoded for rollout in group))
            return {
                "prompt_ids": [list(r.encoded.ids[: r.encoded.n_prompt]) for r in group],
                "completion_ids": [list(r.encoded.ids[r.encoded.n_prompt :]) for r in group],
                "logprobs": None,
                "rewards": [rollout.reward for rollout in group],
            }

        def make(settings: Mapping[str, Any], parts: Mapping[str, Any], _: Watch) -> GRPOTrainer:
            config = GRPOConfig(
                **{**settings, "per_device_train_batch_size": self.generations},
                num_generations=self.generations,
                max_completion_length=self.max_new_tokens,
                temperature=self.temperature,
                loss_type="grpo",  # the mean of a completion's tokens, then of a group
                beta=0.0,
                shuffle_dataset=False,
            )
            given = {**parts, "processing_class": _with_padding(run.tokenizer)}
            return GRPOTrainer(args=config, reward_funcs=_known, rollout_func=rollouts, **given)

        return train(run, draws, ("prompt", str), make, tally)

    def _sampler(
        self, model: LanguageModel, tokenizer: Tokenizer, base: BaseModelParams
    ) -> Sampler:
        from appraise.language_model.rollouts import Sampler, Sampling

        sampling = Sampling(self.generations, self.max_new_tokens, self.temperature, self.seed)
        return Sampler(model, tokenizer, base, sampling, reward_of(self.reward))


def weighted(identity: str, group: Sequence[Rollout]) -> Prepared:
    """The completions sampled for an example, by their advantages."""
    values = advantages(np.array([rollout.reward for rollout in group])).tolist()
    terms, kept = [], []
    for rollout, value in zip(group, values, strict=True):
        encoded = rollout.encoded
        terms.append(Term(encoded, value / len(group) / encoded.n_completion))
        kept.append(SampledCompletion(identity, rollout.completion, rollout.reward, value))
    return Prepared(tuple(terms), tuple(kept))


def advantages(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r − mean) / standard deviation (n − 1) of a group's rewards (G,); zeros where all are equal.

    Shao et al. 2024, section 4.1.2.
    """
    spread = float(rewards.std(ddof=1))
    if spread < MIN_SPREAD:
        return np.zeros(len(rewards))
    return np.asarray((rewards - rewards.mean()) / spread)


def _known(rewards: list[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the completions."""
    return rewards


def _with_padding(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that surely has a token to pad with, one that the model has an embedding of."""
    padding: Any = copy.deepcopy(tokenizer)
    padding.pad_token = padding.convert_ids_to_tokens(0)  # any will do: it is masked
    return padding
