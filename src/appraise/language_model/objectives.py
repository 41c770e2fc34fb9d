"""What is trained for, as the gradient engine sees it: sequences of tokens, each with a weight.

At the base model the policy is the reference, so that the gradient of every objective here is a
weighted sum of gradients of log-likelihoods, and one engine serves all of them:

    ∇ loss = Σ weight · ∇ Σ_t −log π(y_t | x, y_<t)

    SFT    weight 1/|y|: the mean over the completion's tokens.
    DPO    β/2 for the chosen answer and −β/2 for the rejected one: the derivative of
           −log σ(β(Δ_chosen − Δ_rejected)) at Δ = 0 (Rafailov et al. 2023, Eq. 7).
    GRPO   A_g/(G·|o_g|) for each of G completions sampled from the base model: the surrogate at
           ratio 1, where the KL term's gradient is 0 (Shao et al. 2024, Eq. 3 and 21).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ModelError
from appraise.language_model.prompts import Encoded, TooLong, encode
from appraise.settings.model import BaseModelParams
from appraise.settings.objectives import Dpo, Objective, Sft

Row = Mapping[str, Any]  # id, prompt, completion; rejected for DPO
MIN_SPREAD = 1e-6  # of a group's rewards; below it there is nothing to prefer


@dataclass(frozen=True)
class Term:
    """A sequence, and how much the negative log-likelihood of its completion counts."""

    encoded: Encoded
    weight: float


@dataclass(frozen=True)
class Prepared:
    """An example as weighted sequences.

    Attributes:
        terms: at least one; all weights are 0 where a group's rewards are equal.
        records: what was sampled for it, to be kept: {completion, reward, advantage} each.
    """

    terms: tuple[Term, ...]
    records: tuple[dict[str, Any], ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(len(term.encoded.ids) for term in self.terms)

    @property
    def truncated(self) -> int:
        """Tokens cut from the prompts' starts."""
        return sum(term.encoded.truncated for term in self.terms)


Prepare = Callable[[Row], Prepared]


def preparation(objective: Objective, model: Any, tokenizer: Any, base: BaseModelParams) -> Prepare:
    """The function that turns a row into weighted sequences.

    Args:
        model: completions are sampled from it; only GRPO needs one.

    The function raises `TooLong` for a row that leaves no room for its prompt, and ModelError for a
    row that lacks what the objective needs or a reward that is none.
    """
    if isinstance(objective, Sft):
        return lambda row: sft(tokenizer, base, row)
    if isinstance(objective, Dpo):
        return lambda row: dpo(tokenizer, base, objective.beta, row)
    from appraise.language_model.rollouts import Sampler

    sampler = Sampler(model, tokenizer, base, objective)
    return lambda row: grpo(sampler(row))


def fits(tokenizer: Any, base: BaseModelParams, row: Row) -> bool:
    """Whether the row's completions leave room for its prompt, as `preparation` asks."""
    answers = [row["completion"], *([row["rejected"]] if row.get("rejected") else [])]
    try:
        for answer in answers:
            encode(tokenizer, base, row["prompt"], answer)
    except TooLong:
        return False
    return True


def sft(tokenizer: Any, base: BaseModelParams, row: Row) -> Prepared:
    """The completion, each of its tokens alike."""
    encoded = encode(tokenizer, base, row["prompt"], row["completion"])
    return Prepared((Term(encoded, 1 / encoded.n_completion),))


def dpo(tokenizer: Any, base: BaseModelParams, beta: float, row: Row) -> Prepared:
    """The chosen and the rejected answer to one prompt."""
    if not row.get("rejected"):
        raise ModelError(
            f"objective dpo: expected a rejected answer in row {row['id']}, found none; give the "
            "source a template `rejected`, or `choices` to take a wrong one from"
        )
    answers = ((row["completion"], beta / 2), (row["rejected"], -beta / 2))
    return Prepared(
        tuple(
            Term(encode(tokenizer, base, row["prompt"], answer), weight)
            for answer, weight in answers
        )
    )


@dataclass(frozen=True)
class Rollout:
    """A completion sampled from the base model, and its reward."""

    encoded: Encoded
    completion: str
    reward: float


def grpo(group: tuple[Rollout, ...]) -> Prepared:
    """The completions of one group, by their advantages."""
    advantage = advantages(np.array([one.reward for one in group]))
    terms, records = [], []
    for one, value in zip(group, advantage.tolist(), strict=True):
        terms.append(Term(one.encoded, value / len(group) / one.encoded.n_completion))
        kept = {"completion": one.completion, "reward": one.reward, "advantage": value}
        records.append(kept)
    return Prepared(tuple(terms), tuple(records))


def advantages(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r − mean) / standard deviation (n − 1) of a group's rewards (G,); zeros where all are equal.

    Shao et al. 2024, section 4.1.2.
    """
    spread = float(rewards.std(ddof=1))
    if spread < MIN_SPREAD:
        return np.zeros(len(rewards))
    return np.asarray((rewards - rewards.mean()) / spread)
