"""From sketches to a purchase: kernel, weights, subsets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

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


class KernelMatrixParams(Section):
    """Whether gradients are scaled to unit length, and how exact K must be."""

    normalize: Literal["unit", "none"] = "unit"
    tolerance: Annotated[float, Field(gt=0)] = 1e-8


class TransferMatrixParams(Section):
    """The programs with each dataset as the target, and how many datasets take part at most."""

    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.1
    largest: Positive = 200


class KmmWeightsParams(Section):
    """The convex program, how λ is chosen, its intervals and how exact its solution must be.

    `rule: relative` takes λ as `relative_lambda` of λ_max; `number` the smallest λ at which at most
    `number` datasets have a weight; `budget` at which those with a weight cost at most `budget`.
    `cap` and `owner_cap` are the largest weights of a dataset and of all of an owner's together,
    `caps` those of datasets that have another one;
    `total` is what all weights add up to: 1 for shares of a mixture.
    """

    rule: Literal["relative", "number", "budget"] = "relative"
    number: Positive | None = None
    budget: Annotated[float, Field(gt=0)] | None = None
    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.2
    penalty: Literal["uniform", "price"] = "uniform"
    ridge: Annotated[float, Field(ge=0)] = 0.0
    bootstraps: Annotated[int, Field(ge=0)] = 100
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    tolerance: Annotated[float, Field(gt=0)] = 1e-7
    cap: Annotated[float, Field(gt=0)] | None = None
    caps: dict[Name, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    owner_cap: Annotated[float, Field(gt=0)] | None = None
    total: Annotated[float, Field(gt=0)] | None = None
    family_cosine: Annotated[float, Field(gt=0, le=1)] = 0.8
    seed: int = 0

    @model_validator(mode="after")
    def _rule_has_its_number(self) -> KmmWeightsParams:
        if self.rule != "relative" and getattr(self, self.rule) is None:
            raise ValueError(f"rule is {self.rule}, but {self.rule} is not given")
        return self


class SelectedSubsetParams(Section):
    """What is bought by which policy; `time_limit` is in seconds, of a mixed-integer program.

    The purchase of policy `decide_by` is the decision; the others are what it is compared with.
    """

    policies: tuple[Policy, ...] = ("none", "kmm", "one_step", "random")
    decide_by: str = "kmm"
    k: Positive = 3
    budget: Annotated[float, Field(gt=0)] | None = None
    time_limit: Annotated[float, Field(gt=0)] = 60.0
    seed: int = 0

    @model_validator(mode="after")
    def _each_once(self) -> SelectedSubsetParams:
        if len(set(self.policies)) != len(self.policies) or self.decide_by not in self.policies:
            raise ValueError(
                f"policies must name each policy once, {self.decide_by} (decide_by) among them"
            )
        return self
