"""What the adapters of a decision's policies scored, and which differences are more than chance.

The held-out loss of a policy is Σ nats / Σ tokens over the items of the target's test split. Two
policies are compared on the same items, resampled in pairs: one is better when the interval of the
difference leaves out zero; otherwise there is no detectable difference, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from appraise.errors import ArtifactError
from appraise.numerics.comparison import mean_interval, paired_difference
from appraise.numerics.kernel import Floats
from appraise.project import Project
from appraise.project.keys import joined
from appraise.project.reads import Given, Part, Reads, same
from appraise.records.adapter import EvaluationMetrics, ItemsTable
from appraise.records.decision import Decision
from appraise.records.outcome import Comparison, LossTable, Outcome, OutcomeMetrics, PolicyScore
from appraise.settings.training import DecisionOutcomeParams
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, each_target

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


def _scored(given: Given, policy: str) -> Scored:
    part = ("evaluation", joined(given.key, policy))
    return Scored.of(given.read(EvaluationMetrics, *part), given.read(ItemsTable, *part))


def _evaluated(project: Project, key: str) -> list[str]:
    """The policies of the decision."""
    decision = project.read(Decision, "valuation_decision", key)
    return [joined(key, policy) for policy in sorted(decision.policies)]


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        decision = given.read(Decision, "valuation_decision", given.key)
        scored = {policy: _scored(given, policy) for policy in sorted(decision.policies)}
        compared = outcome(decision, scored, given.params.decision_outcome)
        records = (compared, OutcomeMetrics.of(compared), LossTable.of(compared))
        yield Output(given.key, records)


STEP = Step(
    noun="decision_outcome",
    partitions="target",
    keys=each_target,
    reads=Reads(
        settings=("decision_outcome",),
        parts=(
            Part("valuation_decision", (Decision,), same),
            Part("evaluation", (EvaluationMetrics, ItemsTable), _evaluated),
        ),
    ),
    writes=(Outcome, OutcomeMetrics, LossTable),
    make=_make,
    version="2",  # 2: says by which policy the decision is
)
