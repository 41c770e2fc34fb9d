"""What recorders know of a decision, such as the ids of its runs: reported by them, for lineage.

A report is a JSON file in `.appraise/reported/<decision_id>/`, named by its recorder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appraise.project import Project
from appraise.storage.files import read_object, write_json

Report = Mapping[str, object]
DECIDED = ("valuation_decision", "lora_adapter", "evaluation", "decision_outcome", "report")
"""The steps from which a decision, or what came of it, is known."""


def decision_id(project: Project, target: str) -> str:
    """The id of a target's present decision."""
    path = project.folder("valuation_decision", target) / "decision.json"
    return str(read_object(path).get("decision_id"))


def report(project: Project, recorder: str, decision: str, known: Report) -> None:
    """Say what a recorder knows of a decision."""
    folder = _folder(project, decision)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{recorder}.json", known)


def reported(project: Project, decision: str) -> dict[str, Report]:
    """Name of the recorder → what it knows of a decision."""
    files = sorted(_folder(project, decision).glob("*.json"))
    return {path.stem: read_object(path) for path in files}


def _folder(project: Project, decision: str) -> Path:
    return project.root / ".appraise" / "reported" / decision
