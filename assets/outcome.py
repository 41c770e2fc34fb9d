"""What came of a decision, and the page for somebody who buys data."""

from __future__ import annotations

from typing import Any

from dagster import MetadataValue

from appraise.assets.tables import picture, table
from appraise.orchestration.pipeline import Shown
from appraise.project import Project
from appraise.storage.files import read_json


def describe_outcome(project: Project, key: str) -> dict[str, Any]:
    """The policies' losses with intervals, and the verdicts."""
    import numpy as np

    from appraise.presentation.pictures import outcome_bar

    found = read_json(project.open("decision_outcome", key) / "outcome.json")
    policies = found["policies"]
    loss, low, high = (
        np.array([one[name] for one in policies.values()]) for name in ("loss", "low", "high")
    )
    columns = ("loss", "low", "high", "accuracy", "reward", "cost")
    return {
        "outcome": picture(outcome_bar(list(policies), loss, low, high), "Held-out loss by policy"),
        "policies": table(
            {
                "policy": name,
                **{column: one[column] for column in columns if column in one},
                "datasets": ", ".join(one["datasets"]),
            }
            for name, one in policies.items()
        ),
        "comparisons": table(found["comparisons"]),
        "decision_id": found["decision_id"],
    }


def describe_report(project: Project, key: str) -> dict[str, Any]:
    """Where the page lies."""
    page = project.open("report", key) / "report.html"
    return {
        "report": MetadataValue.path(str(page)),
        "open_with": MetadataValue.url(page.as_uri()),
        "bytes": page.stat().st_size,
    }


SHOWN = (
    Shown("decision_outcome", "evidence", ("json",), "ml", describe_outcome),
    Shown("report", "evidence", ("html",), "purchasing", describe_report),
)
