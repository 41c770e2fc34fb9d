"""From sketches to a purchase: kernel, weights, subsets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from appraise.settings.section import Name, Positive, Section

Policy = Literal[
    "none",
    "kmm",
    "kmm_bagged",
    "greedy",
    "best_subset",
    "one_step",
    "random",
    "target_only",
    "all",
]


class CandidatesParams(Section):
    """Of how many datasets the kernel matrix is made at most; of a larger pool those that count."""

    largest: Annotated[int, Field(ge=100)] = 2000
    """Datasets in the kernel matrix; of a larger pool those that can have a weight go on, with
    proof for the others. Memory and time grow with its square."""


class KernelMatrixParams(Section):
    """Whether gradients are scaled to unit length, and how exact K must be."""

    normalize: Literal["unit", "none"] = "unit"
    """unit: gradients are scaled to length 1. none: long gradients get most of the weight."""
    tolerance: Annotated[float, Field(gt=0)] = 1e-8
    """How far below 0 the smallest eigenvalue of K may lie, as a fraction of the largest K_ii."""


class TransferMatrixParams(Section):
    """The programs with each dataset as the target, and how many datasets take part at most."""

    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.1
    """λ as a fraction of λ_max, for each dataset as the target. Smaller: more pairs have a
    weight."""
    largest: Positive = 200
    """Datasets that take part: those most aligned with a target, either way."""


class KmmWeightsParams(Section):
    """The convex program, how λ is chosen, its intervals and how exact its solution must be.

    `rule: relative` takes λ as `relative_lambda` of λ_max; `number` the smallest λ at which at most
    `number` datasets have a weight; `budget` at which those with a weight cost at most `budget`.
    `cap` and `owner_cap` are the largest weights of a dataset and of all of an owner's together,
    `caps` those of datasets that have another one;
    `total` is what all weights add up to: 1 for shares of a mixture.
    """

    rule: Literal["relative", "number", "budget"] = "relative"
    """How λ is chosen: by `relative_lambda`, or by the field of the rule's name."""
    number: Positive | None = None
    """The most datasets that may have a weight. Small numbers come down to ranking by alignment."""
    budget: Annotated[float, Field(gt=0)] | None = None
    """The most that all datasets with a weight may cost together, in the pool's currency."""
    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.2
    """λ as a fraction of λ_max, at which nothing has a weight. Larger: fewer datasets have one."""
    penalty: Literal["uniform", "price"] = "uniform"
    """price: a dataset that costs more must add more (prices above 0). uniform: Eq. 31 of the
    paper."""
    ridge: Annotated[float, Field(ge=0)] = 0.0
    """γ. Above 0 the optimum is unique, but splitting and copying datasets pays off."""
    bootstraps: Annotated[int, Field(ge=0)] = 100
    """Resamples of the previews behind the intervals; 0: no intervals. Time in proportion."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Nominal coverage of the intervals."""
    tolerance: Annotated[float, Field(gt=0)] = 1e-7
    """Largest relative error of a solution, by its certificate; beyond it there is an error."""
    cap: Annotated[float, Field(gt=0)] | None = None
    """Largest weight of one dataset; None: no limit."""
    caps: dict[Name, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Dataset → its own largest weight, in place of `cap`."""
    owner_cap: Annotated[float, Field(gt=0)] | None = None
    """Largest weight of all datasets of one provider together; None: no limit."""
    total: Annotated[float, Field(gt=0)] | None = None
    """What all weights add up to: 1 for shares of a mixture; None: whatever is optimal."""
    family_cosine: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Cosine, corrected for sampling noise, from which datasets are one family. Changes no
    weight."""
    seed: int = 0
    """Of the resamples."""

    @model_validator(mode="after")
    def _rule_has_its_number(self) -> KmmWeightsParams:
        if self.rule != "relative" and getattr(self, self.rule) is None:
            raise ValueError(f"rule is {self.rule}, but {self.rule} is not given")
        return self


class SelectedSubsetParams(Section):
    """What is bought by which policy; `time_limit` is in seconds, of a mixed-integer program."""

    policies: tuple[Policy, ...] = ("none", "kmm", "one_step", "random")
    k: Positive = 3
    budget: Annotated[float, Field(gt=0)] | None = None
    time_limit: Annotated[float, Field(gt=0)] = 60.0
    seed: int = 0

    @field_validator("policies")
    @classmethod
    def _bought_first(cls, policies: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(policies)) != len(policies) or "kmm" not in policies:
            raise ValueError("must name each policy once, kmm among them")
        return policies
