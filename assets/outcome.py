"""What came of a decision, and the page for somebody who buys data."""

from __future__ import annotations

from dagster import MetadataValue

from appraise.assets.tables import Metadata, picture, table
from appraise.orchestration.pipeline import Shown
from appraise.presentation.valuation_pictures import outcome_picture
from appraise.project import Project
from appraise.records.outcome import Outcome


def describe_outcome(project: Project, key: str) -> Metadata:
    """The policies' losses with intervals, and the verdicts."""
    outcome = Outcome.read(project.open("decision_outcome", key))
    columns = ("loss", "low", "high", "accuracy", "cost", *(["reward"] if outcome.rewarded else []))
    return {
        "outcome": picture(outcome_picture(outcome), "Held-out loss by policy"),
        "policies": table(
            {
                "policy": name,
                **{column: getattr(score, column) for column in columns},
                "datasets": ", ".join(score.datasets),
            }
            for name, score in outcome.policies.items()
        ),
        "comparisons": table(pair.as_json() for pair in outcome.comparisons),
        "decision_id": outcome.decision_id,
    }


def describe_report(project: Project, key: str) -> Metadata:
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
