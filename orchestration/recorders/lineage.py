"""Lineage as a recorder: which run of which tool belongs to which decision, kept in DVC.

`lineage/<decision_id>.json` joins what the other recorders report of a decision with the Dagster
run and the git commit; the folder is tracked by `lineage.dvc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appraise.orchestration.checkout import git_commit, obstacle
from appraise.orchestration.recorders.dvc import is_set_up
from appraise.orchestration.recorders.dvc_lock import LINEAGE
from appraise.orchestration.reported import DECIDED, Report, decision_id, reported
from appraise.project import Project
from appraise.project.finding import Finding, ok, warning
from appraise.steps.recorder import By, Recorded
from appraise.storage.files import read_object, write_json


@dataclass(frozen=True)
class Lineage:
    """Keeps a file for each decision."""

    name: str = "lineage"

    def applies(self, project: Project, noun: str, by: By) -> bool:  # noqa: ARG002
        """From the decision on, in a DVC project, whoever runs the step."""
        return noun in DECIDED and is_set_up(project)

    def record(self, project: Project, noun: str, run_id: str) -> Recorded:  # noqa: ARG002
        """Write what is new, and track it."""
        from appraise.orchestration.recorders.dvc_commit import track

        for target in project.partitions("valuation_decision"):
            decision = decision_id(project, target)
            _join(project, target, decision, reported(project, decision), run_id)
        if (project.root / LINEAGE).is_dir():
            track(project.root, LINEAGE)
        return Recorded({})

    def check(self, project: Project, by: By) -> list[Finding]:  # noqa: ARG002
        """See `Recorder.check`; without a commit a decision is recorded all the same."""
        found = obstacle(project.root)
        if found is not None:
            return [warning("git", found)]
        commit = git_commit(project.root)
        if commit is None:
            return [ok("git", "not a checkout: decisions name no commit")]
        return [ok("git", f"decisions name commit {commit[:12]}")]

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Nothing: what is joined stays true."""


def _join(
    project: Project, target: str, decision: str, new: Mapping[str, Report], run_id: str
) -> None:
    """Write a decision's file, unless it has all of this. What it had from other recorders stays:
    they may not be set up here."""
    path = project.root / LINEAGE / f"{decision}.json"
    known: Report = read_object(path) if path.is_file() else {}
    if known and all(known.get(name) == value for name, value in new.items()):
        return
    lineage = {
        "decision_id": decision,
        "target": target,
        "dagster": {"run_id": run_id or None},
        "git": {"commit": git_commit(project.root)},
    }
    write_json(path, {**known, **new, **lineage})
