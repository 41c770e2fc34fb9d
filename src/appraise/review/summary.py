"""The short form of a decision and its outcome, as plain text for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from appraise.errors import ArtifactError
from appraise.presentation.costs import total
from appraise.presentation.valuation_pictures import measure
from appraise.presentation.wording import listed, money, one_line, percent, scientific, signed
from appraise.project import Project
from appraise.records.decision import Decision
from appraise.records.outcome import Outcome
from appraise.records.valued import Refused
from appraise.review.sketch_costs import costs

WIDTH = 100


def summary(project: Project, target: str) -> str:
    """What was bought and refused for a target, why, and what came of it.

    Raises:
        ArtifactError: there is no decision on this target, or it is damaged.
    """
    decision = Decision.read(project.open("valuation_decision", target))
    blocks = [_answer(decision), _bought(decision), _refused(decision), _set_aside(decision)]
    if project.partitions("decision_outcome").count(target):
        outcome = Outcome.read(project.open("decision_outcome", target))
        if outcome.decision_id != decision.decision_id:
            raise ArtifactError(
                f"decision_outcome {target}: expected the outcome of decision "
                f"{decision.decision_id[:12]}, found that of {outcome.decision_id[:12]}; run "
                "`appraise decision-outcome` again"
            )
        blocks.append(_outcome(outcome, decision.currency))
    blocks.append(_proof(project, decision))
    return "\n\n".join(block for block in blocks if block)


def _answer(decision: Decision) -> str:
    cost = money(decision.cost, decision.currency)
    example = " (example prices)" if decision.prices_are_examples else ""
    names = [item.name for item in decision.bought]
    answer = f"Buy {listed(names)} for {cost}{example}." if names else "Buy nothing."
    return f"{one_line(decision.title)}: {answer}"


def _bought(decision: Decision) -> str:
    program = decision.certificate is not None
    uncertain = program or any(item.uncertainty for item in decision.bought)
    rows = []
    for item in decision.bought:
        spread = item.uncertainty
        chosen = spread.chosen_probability if spread else None
        interval = f"{spread.low:.3f} to {spread.high:.3f}" if spread else "-"
        rows.append(
            [
                item.id,
                money(item.price, decision.currency),
                f"{item.weight:.3f}",
                *([interval] if uncertain else []),
                *(["-" if chosen is None else percent(chosen)] if program else []),
                *([_up_to(item.walk_away_price, decision.currency)] if program else []),
            ]
        )
    head = [
        "bought",
        "price",
        measure(decision),
        *([f"{percent(decision.asked.confidence)} interval"] if uncertain else []),
        *(["chosen", "worth up to"] if program else []),
    ]
    return _table(head, rows, right=range(1, len(head))) if rows else ""


def _refused(decision: Decision) -> str:
    program, currency = decision.certificate is not None, decision.currency
    rows = [
        [
            item.id,
            money(item.price, currency),
            *([_up_to(item.walk_away_price, currency)] if program else []),
            _why(item),
        ]
        for item in decision.refused
    ]
    head = ["not bought", "price", *(["worth up to"] if program else []), "why"]
    return _table(head, rows, right=range(1, len(head) - 1)) if rows else ""


def _why(item: Refused) -> str:
    said = [
        item.reason,
        "Close call." if item.near_threshold else "",
        "A tie on these samples." if item.tied else "",
        item.remedy,
    ]
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
            "" if score.accuracy is None else percent(score.accuracy),
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
    page = project.folder("report", decision.target) / "report.html"
    if page.is_file():
        lines.append(f"Report {page.relative_to(project.root)}")
    return "\n".join(lines)


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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns side by side; the last one is wrapped to what is left of the line."""
    cells = [[one_line(cell, 400) for cell in row] for row in (head, *rows)]
    widths = [max(_wide(row[i]) for row in cells) for i in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in cells:
        pads = [" " * (width - _wide(cell)) for cell, width in zip(row[:-1], widths, strict=True)]
        front = "".join(
            (pad + cell if i in right else cell + pad) + "  "
            for i, (cell, pad) in enumerate(zip(row[:-1], pads, strict=True))
        )
        last = row[-1]
        if len(head) - 1 in right:
            last = last.rjust(max(_wide(other[-1]) for other in cells))
        wrapped = textwrap.wrap(last, max(WIDTH - indent, 30), drop_whitespace=True) or [""]
        if len(head) - 1 in right:
            wrapped = [last]
        lines.append((front + wrapped[0]).rstrip())
        lines += [" " * indent + more for more in wrapped[1:]]
    return "\n".join(lines)


def _wide(text: str) -> int:
    """Columns that text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
