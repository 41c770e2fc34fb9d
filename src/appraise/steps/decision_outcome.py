"""What the adapters of a decision's policies scored, and which differences are more than chance.

The held-out loss of a policy is Σ nats / Σ tokens over the items of the target's test split. Two
policies are compared on the same items, resampled in pairs: one is better when the interval of the
difference leaves out zero; otherwise there is no detectable difference, and that is said.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tqdm import tqdm

from appraise.errors import ArtifactError
from appraise.numerics.comparison import mean_interval, paired_difference
from appraise.numerics.kernel import Floats
from appraise.project import Project, Recipe
from appraise.records.adapter import EvaluationMetrics, ItemsTable
from appraise.records.decision import Decision
from appraise.records.outcome import Comparison, LossTable, Outcome, OutcomeMetrics, PolicyScore
from appraise.settings.training import DecisionOutcomeParams
from appraise.steps.step import Step, each_target

NO_DIFFERENCE = "no detectable difference"


@dataclass(frozen=True)
class Scored:
    """One policy's evaluation.

    Attributes:
        metrics: of all items.
        items: component and id of each.
        nats: (n,) negative log-likelihoods of the completions.
        tokens: (n,) of the completions.
    """

    metrics: EvaluationMetrics
    items: list[tuple[str, str]]
    nats: Floats
    tokens: Floats

    @classmethod
    def of(cls, metrics: EvaluationMetrics, table: ItemsTable) -> Self:
        """With the items in an order that is the same for all policies."""
        ordered = table.in_order()
        return cls(metrics, ordered.items(), ordered.numbers("nats"), ordered.numbers("tokens"))


def verdict(a: str, b: str, low: float, high: float) -> str:
    """What the interval of loss(a) − loss(b) says."""
    if high < 0:
        return f"{a} is better"
    return f"{b} is better" if low > 0 else NO_DIFFERENCE


def outcome(
    decision: Decision, scored: Mapping[str, Scored], params: DecisionOutcomeParams
) -> Outcome:
    """Every policy's loss with its interval, and the decision's own against each of the others.

    Raises:
        ArtifactError: two evaluations were made on different items.
    """
    settings = (params.resamples, params.confidence, params.seed)
    pivot = decision.policy
    ours = scored[pivot]
    _check_same_items(decision, scored)
    policies = {}
    for policy, one in scored.items():
        interval = mean_interval(one.nats, one.tokens, *settings)
        policies[policy] = PolicyScore(
            loss=interval.estimate,
            low=interval.low,
            high=interval.high,
            accuracy=one.metrics.accuracy,
            accuracy_stderr=one.metrics.accuracy_stderr,
            reward=one.metrics.reward,
            datasets=decision.policies[policy].datasets,
            cost=decision.policies[policy].cost,
        )
    comparisons = []
    for policy, other in scored.items():
        if policy != pivot:
            difference = paired_difference(ours.nats, other.nats, ours.tokens, *settings)
            low, high = difference.low, difference.high
            comparisons.append(
                Comparison(
                    a=pivot,
                    b=policy,
                    difference=difference.estimate,
                    low=low,
                    high=high,
                    verdict=verdict(pivot, policy, low, high),
                )
            )
    return Outcome(
        decision_id=decision.decision_id,
        policy=pivot,
        items=len(ours.items),
        confidence=params.confidence,
        policies=policies,
        comparisons=tuple(comparisons),
    )


def _check_same_items(decision: Decision, scored: Mapping[str, Scored]) -> None:
    ours = scored[decision.policy]
    for policy, one in scored.items():
        if one.items != ours.items or (one.tokens != ours.tokens).any():
            raise ArtifactError(
                f"evaluation of {decision.target}: expected the same items for every policy, found "
                f"others for {policy} than for {decision.policy}; run `appraise evaluation` again"
            )


def _scored(project: Project, target: str, policy: str) -> Scored:
    folder = project.open("evaluation", f"{target}/{policy}")
    return Scored.of(EvaluationMetrics.read(folder), ItemsTable.read(folder))


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {f"valuation_decision/{key}": project.content("valuation_decision", key)}
    for policy in project.params.policies():
        part = f"{key}/{policy}"
        inputs[f"evaluation/{part}"] = project.content("evaluation", part)
    settings = {"decision_outcome": project.params.decision_outcome.model_dump(mode="json")}
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in tqdm(keys, desc="decision_outcome", unit="target", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            decision = Decision.read(project.open("valuation_decision", key))
            scored = {policy: _scored(project, key, policy) for policy in sorted(decision.policies)}
            found = outcome(decision, scored, project.params.decision_outcome)
            for record in (found, OutcomeMetrics.of(found), LossTable.of(found)):
                record.write(folder)


STEP = Step(
    noun="decision_outcome",
    needs=("evaluation", "valuation_decision"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: says by which policy the decision is
)
