"""What is trained for: SFT, DPO or GRPO."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from appraise.settings.section import Positive, Section


class Sft(Section):
    """Supervised fine-tuning: the mean negative log-likelihood of a completion's tokens."""

    kind: Literal["sft"] = "sft"


class Dpo(Section):
    """Direct preference optimisation of pairs (chosen, rejected), the base model as reference."""

    kind: Literal["dpo"]
    beta: Annotated[float, Field(gt=0)] = 0.1


class Grpo(Section):
    """Group-relative policy optimisation: completions sampled from the base model, with a reward.

    `reward` is a rule of ours (`rewards.RULES`) or a function of one's own, `module:function`, that
    is given the completion and the right answer and returns a number.
    """

    kind: Literal["grpo"]
    reward: str = "exact_number"
    generations: Annotated[int, Field(ge=2)] = 4
    max_new_tokens: Positive = 64
    temperature: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0


Objective = Annotated[Sft | Dpo | Grpo, Field(discriminator="kind")]
