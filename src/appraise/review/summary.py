"""The short form of a decision and its outcome, as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appraise.presentation.costs import total
from appraise.presentation.terminal import table as _table
from appraise.presentation.valuation_pictures import measure
from appraise.presentation.wording import listed, money, one_line, percent, scientific, signed
from appraise.project import Project
from appraise.project.manifest import Input
from appraise.records.decision import Decision
from appraise.records.outcome import Outcome
from appraise.records.valued import Bought, Refused
from appraise.review.sketch_costs import costs
from appraise.steps.report import Page

NOT_TRAINED = (
    "What came of it is not known yet. To train adapters on what each policy buys, and to evaluate "
    "them:\n  appraise run"
)

Side = tuple[str, Callable[[Bought | Refused], str]]  # of a table: its head, and its cells


def summary(project: Project, target: str) -> str:
    """What was bought and refused for a target, why, and what came of it, as far as that is known.

    Raises:
        ArtifactError: there is no decision on this target, or it is damaged.
    """
    decision = Decision.read(project.open("valuation_decision", target))
    outcome = _own_outcome(project, decision)
    blocks = [
        _answer(decision),
        _bought(decision),
        _refused(decision),
        _set_aside(decision),
        NOT_TRAINED if outcome is None else _outcome(outcome, decision.currency),
        _proof(project, decision),
    ]
    return "\n\n".join(block for block in blocks if block)


def _own_outcome(project: Project, decision: Decision) -> Outcome | None:
    """What came of this decision; None where that is not known yet."""
    if decision.target not in project.partitions("decision_outcome"):
        return None
    outcome = Outcome.read(project.open("decision_outcome", decision.target))
    return outcome if outcome.decision_id == decision.decision_id else None


def _answer(decision: Decision) -> str:
    cost = money(decision.cost, decision.currency)
    example = " (example prices)" if decision.prices_are_examples else ""
    names = [item.name for item in decision.bought]
    answer = f"Buy {listed(names)} for {cost}{example}." if names else "Buy nothing."
    lines = [f"{one_line(decision.title)}: {answer}"]
    if decision.unlicensed:
        lines.append(f"Licence unknown: {listed(decision.unlicensed)}. Ask before you buy.")
    return "\n".join(lines)


def _bought(decision: Decision) -> str:
    sides = _sides(decision.bought, decision)
    rows = [[item.id, *(cell(item) for _, cell in sides)] for item in decision.bought]
    head = ["bought", *(name for name, _ in sides)]
    return _table(head, rows, right=range(1, len(head))) if rows else ""


def _refused(decision: Decision) -> str:
    sides = _sides(decision.refused, decision)
    rows = [[item.id, *(cell(item) for _, cell in sides), _why(item)] for item in decision.refused]
    head = ["not bought", *(name for name, _ in sides), "why"]
    return _table(head, rows, right=range(1, len(head) - 1)) if rows else ""


def _sides(items: Sequence[Bought | Refused], decision: Decision) -> list[Side]:
    """The columns for which there is something to say: name, and what it says of a dataset."""
    currency = decision.currency

    def drawn(item: Bought | Refused) -> str:
        return "-" if item.bought_probability is None else percent(item.bought_probability)

    sides: list[Side] = [("price", lambda item: money(item.price, currency))]
    if any(item.adds is not None for item in items):
        sides.append(("adds", lambda item: f"{100 * item.adds.gain:.1f} %" if item.adds else "-"))
    else:
        sides.append((measure(decision), lambda item: f"{item.weight:.3f}"))
    if any(item.bought_probability is not None for item in items):
        sides.append(("bought in", drawn))
    if any(item.walk_away_price is not None for item in items):
        sides.append(("worth up to", lambda item: _up_to(item.walk_away_price, currency)))
    return sides


def _why(item: Refused) -> str:
    said = [item.reason, "A tie on these samples." if item.tied else "", item.remedy]
    return " ".join(sentence for sentence in said if sentence)


def _set_aside(decision: Decision) -> str:
    rows = [(item.id, item.step, item.reason) for item in decision.set_aside]
    return _table(("set aside", "at", "why"), rows) if rows else ""


def _outcome(outcome: Outcome, currency: str) -> str:
    rewarded = outcome.rewarded
    rows = [
        (
            policy,
            f"{score.loss:.3f}",
            f"{score.low:.3f} to {score.high:.3f}",
            "-" if score.accuracy is None else percent(score.accuracy),
            *([f"{score.reward:.3f}"] if rewarded else []),
            money(score.cost, currency),
            ", ".join(score.datasets) or "-",
        )
        for policy, score in sorted(outcome.policies.items(), key=lambda pair: pair[1].loss)
    ]
    level = percent(outcome.confidence)
    reward = ["reward"] if rewarded else []
    head = ("policy", "loss", f"{level} interval", "right", *reward, "cost", "datasets")
    lines = [_table(head, rows, right=range(1, len(head) - 1))]
    lines.append(f"Loss: held-out nats per completion token, {outcome.items} items.")
    for pair in outcome.comparisons:
        interval = f"{signed(pair.low)} to {signed(pair.high)}"
        difference = f"{signed(pair.difference)}, {level} interval {interval}"
        lines.append(f"  {pair.a} minus {pair.b}: {difference}: {pair.verdict}")
    return "\n".join(lines)


def _proof(project: Project, decision: Decision) -> str:
    certificate, reached = decision.certificate, decision.reached
    lines = []
    if reached is not None:
        lines.append(
            f"Objective of the set {reached.objective:.6f}, no set below {reached.bound:.6f} "
            f"({reached.proof})."
        )
    if certificate is not None:
        lines.append(
            f"Optimum certified: gap {scientific(certificate.gap)}, "
            f"KKT violation {scientific(certificate.kkt_violation)}, "
            f"tolerance {scientific(certificate.tolerance)}."
        )
    lines += [_gradients(project, decision.target), f"Decision {decision.decision_id}"]
    page = project.folder("report", decision.target) / Page.FILE
    if _shows(project, decision.target):
        lines.append(f"Report {page.relative_to(project.root)}")
    return "\n".join(lines)


def _shows(project: Project, target: str) -> bool:
    """Whether there is a report, and it shows this decision."""
    if target not in project.partitions("report"):
        return False
    now = project.content("valuation_decision", target, Decision.FILE)
    inputs = project.manifest("report", target).recipe.inputs
    return inputs.get(Input("valuation_decision", target, Decision.FILE)) == now


def _up_to(amount: float | None, currency: str) -> str:
    return "-" if amount is None else money(round(amount), currency)


def _gradients(project: Project, target: str) -> str:
    all_ = total(costs(project, target))
    took = f" in {all_.seconds:,.0f} s" if all_.seconds else ""
    speed = f", {all_.tokens_per_second:,.0f} a second" if all_.tokens_per_second else ""
    return (
        f"Gradients of {all_.examples:,} examples: {all_.tokens:,} tokens{took}{speed}; "
        f"sketches of {all_.stored / 1e6:,.1f} MB."
    )
