"""What each policy buys, and the decision."""

from __future__ import annotations

from typing import Any

from appraise.assets import checks
from appraise.assets.tables import picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.project import Project
from appraise.storage.files import read_json


def describe_subset(project: Project, key: str) -> dict[str, Any]:
    """What a policy buys, at what price, and its ranking."""
    subset = read_json(project.open("selected_subset", key) / "subset.json")
    return {
        "datasets": ", ".join(subset["datasets"]) or "none",
        "cost": float(subset["cost"]),
        **{name: float(subset[name]) for name in ("objective", "bound", "gap")},
        "proof": subset["proof"],
        "currency": subset["currency"],
        "ranking": table(subset["ranking"]),
        **_beyond(subset),
    }


def _beyond(subset: dict[str, Any]) -> dict[str, Any]:
    """What other budgets would buy, and what would have to change: of `kmm` only."""
    if "frontier" not in subset:
        return {}
    from appraise.presentation.pictures import frontier_plot

    points = subset["frontier"]
    had: list[set[str]] = [set(), *(set(point["datasets"]) for point in points[:-1])]
    steps = [
        "\n".join(f"+ {name}" for name in point["datasets"] if name not in before)
        for point, before in zip(points, had, strict=True)
    ]
    drawn = frontier_plot(
        [point["budget"] for point in points], [point["matched"] for point in points], steps,
        float(subset["cost"]), subset["currency"],
    )  # fmt: skip
    return {
        "frontier": picture(drawn, "What every budget would buy"),
        "changes": table({"id": name, **one} for name, one in subset["changes"].items()),
        "ties": table(
            {"id": name, **one} for name, one in subset["separations"].items() if one["tied"]
        ),
    }


def describe_decision(project: Project, key: str) -> dict[str, Any]:
    """What was bought and refused, with the reasons."""
    decision = read_json(project.open("valuation_decision", key) / "decision.json")
    columns = ("id", "price", "weight", "reason")
    return {
        "decision_id": decision["decision_id"],
        "title": decision["title"],
        **{
            name: table({column: one.get(column) for column in columns} for one in decision[name])
            for name in ("bought", "refused")
        },
        "set_aside": table(decision["set_aside"]),
        "currency": decision["currency"],
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
