"""From sketches to a purchase: kernel, weights, subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from appraise.settings.section import Name, Positive, Section


class CandidatesParams(Section):
    """How large a kernel matrix may become; of a larger pool those that can have a weight go on."""

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


class DatasetValuesParams(Section):
    """Which methods value the datasets, and how their values are resampled."""

    methods: tuple[Name, ...] | None = None
    """Names of `appraise.methods`; None for those whose values the policies read."""

    bootstraps: Annotated[int, Field(ge=0)] = 100
    """How often the sketches' rows are resampled for intervals; 0 for none."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Of the intervals."""

    seed: int = 0
    """Of the resampling."""

    @field_validator("methods")
    @classmethod
    def _each_once(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if methods is not None and (not methods or len(set(methods)) != len(methods)):
            raise ValueError("must name at least one method, and each once")
        return methods


class KmmWeightsParams(Section):
    """The method `kmm`: the convex program, how λ is chosen and how exact its solution must be.

    `rule: absolute` takes λ as `absolute_lambda` of the target's squared norm; `relative` as
    `relative_lambda` of λ_max; `number` the smallest λ at which at most `number` datasets have a
    weight. `cap` and `owner_cap` are the largest weights of a dataset and of all of an owner's
    together, `caps` those of datasets that have another one; `total` is what all weights add up
    to: 1 for shares of a mixture.
    """

    GONE: ClassVar[Mapping[str, str]] = {
        "penalty": "no setting any more: prices do not enter the weights; they matter to "
        "selected_subset.budget and selected_subset.exchange_rate; leave it out",
        "budget": "no setting any more: money is spent by selected_subset.budget; leave it out",
    }

    rule: Literal["absolute", "relative", "number"] = "absolute"
    """How λ is chosen: by `absolute_lambda`, `relative_lambda` or `number`."""
    absolute_lambda: Annotated[float, Field(gt=0)] = 0.05
    """λ as a part of the target's squared norm. With unit gradients it is a cosine: what others
    leave uncovered of a dataset's alignment must exceed it. Larger: fewer have a weight."""
    number: Positive | None = None
    """The most datasets that may have a weight. Small numbers come down to ranking by alignment."""
    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.2
    """λ as a fraction of λ_max, at which nothing has a weight. It follows the pool: a dataset that
    is aligned better than all others raises what is asked of each."""
    ridge: Annotated[float, Field(ge=0)] = 0.0
    """γ. Above 0 the optimum is unique, but splitting and copying datasets pays off."""
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

    @model_validator(mode="after")
    def _rule_has_its_number(self) -> KmmWeightsParams:
        if self.rule == "number" and self.number is None:
            raise ValueError("rule is number, but number is not given")
        return self


class SelectedSubsetParams(Section):
    """Which policies are compared, and which of them decides."""

    GONE: ClassVar[Mapping[str, str]] = {
        "time_limit": "no setting any more: a search ends after `search_limit` nodes, on every "
        "machine; leave it out"
    }

    policies: tuple[Name, ...] = ("none", "kmm", "one_step", "random")
    """The policies to compare; each different purchase costs an adapter and an evaluation."""
    decide_by: Name = "kmm"
    """The policy, one of `policies`, whose purchase is the decision."""
    k: Positive = 3
    """Most datasets to buy."""
    budget: Annotated[float, Field(ge=0)] | None = None
    """Most to spend, in the pool's currency; None: no limit."""
    exchange_rate: Annotated[float, Field(gt=0)] | None = None
    """What it would be worth to match the whole target, in the pool's currency: nothing is bought
    that adds less than it costs. None: money matters by the budget alone."""
    search_limit: Positive = 5000
    """Most nodes of the search for the best set; then the best so far, with its bound."""
    seed: int = 0
    """Of the policy random."""

    @field_validator("policies")
    @classmethod
    def _each_once(cls, policies: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(policies)) != len(policies):
            raise ValueError("must name each policy once")
        return policies
