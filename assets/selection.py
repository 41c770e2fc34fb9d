"""What each policy buys, and the decision."""

from __future__ import annotations

from appraise.assets import checks
from appraise.assets.tables import Metadata, picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.presentation.valuation_pictures import frontier_picture, measure
from appraise.project import Project
from appraise.records.decision import Decision
from appraise.records.subset import Subset


def describe_subset(project: Project, key: str) -> Metadata:
    """What a policy buys, at what price, and its ranking."""
    subset = Subset.read(project.open("selected_subset", key))
    reached: Metadata = {**subset.reached.as_json()} if subset.reached else {}
    return {
        "datasets": ", ".join(subset.datasets) or "none",
        "cost": subset.cost,
        **reached,
        "currency": subset.currency,
        "ranking": table(item.as_json() for item in subset.ranking),
        **_beyond(subset),
    }


def _beyond(subset: Subset) -> Metadata:
    """What other budgets would buy, and what would have to change, where that is known."""
    found = subset.alternatives
    if found is None:
        return {}
    drawn = frontier_picture(found.frontier, {}, subset.cost, subset.currency)
    ties = {name: one for name, one in found.separations.items() if one.tied}
    shown: Metadata = {}
    if drawn is not None:
        shown["frontier"] = picture(drawn, "What every budget would buy")
    return shown | {
        "changes": table({"id": n, **one.as_json()} for n, one in found.changes.items()),
        "ties": table({"id": name, **one.as_json()} for name, one in ties.items()),
    }


def describe_decision(project: Project, key: str) -> Metadata:
    """What was bought and refused, with the reasons."""
    decision = Decision.read(project.open("valuation_decision", key))
    valued = {"bought": decision.bought, "refused": decision.refused}
    tables: Metadata = {
        name: table(
            {
                "id": item.id,
                "price": item.price,
                measure(decision): item.weight,
                "reason": item.reason,
            }
            for item in items
        )
        for name, items in valued.items()
    }
    return {
        "decision_id": decision.decision_id,
        "title": decision.title,
        "policy": decision.policy,
        **tables,
        "set_aside": table(item.as_json() for item in decision.set_aside),
        "currency": decision.currency,
    }


SHOWN = (
    Shown(
        "selected_subset",
        "valuation",
        ("json",),
        "purchasing",
        describe_subset,
        (
            Check(
                "no_overlap_with_test",
                "No example of what is bought asks what the target's test split asks.",
                checks.no_overlap_with_test,
            ),
        ),
    ),
    Shown("valuation_decision", "evidence", ("json",), "purchasing", describe_decision),
)
