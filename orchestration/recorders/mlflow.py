"""MLflow as a recorder: one run for each decision, in it one for each adapter.

It is a view, which can be made again. A run is found by its tags and logged part by part; the
SHA-256 of each part is tagged last, so that what is logged whole is left alone and what a kill
interrupted is logged again. Which run belongs to which decision is reported, for lineage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from appraise.orchestration.checkout import git_commit
from appraise.orchestration.recorders.mlflow_checks import look
from appraise.orchestration.reported import DECIDED, report
from appraise.project import Project
from appraise.project.finding import Finding, ok
from appraise.steps.recorder import By, Recorded

if TYPE_CHECKING:
    from appraise.orchestration.recorders.mlflow_runs import DecisionRuns

SETTINGS = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Mlflow:
    """Logs decisions, adapters and outcomes.

    Attributes:
        tracking_uri: where; "" for MLFLOW_TRACKING_URI, or without that the project's folder.
    """

    tracking_uri: str = ""
    name: str = "mlflow"

    def applies(self, project: Project, noun: str, by: By) -> bool:  # noqa: ARG002
        """From the decision on, where MLflow is installed, whoever runs the step."""
        return noun in DECIDED and find_spec("mlflow") is not None

    def record(self, project: Project, noun: str, run_id: str) -> Recorded:
        """Log what is there and not yet logged.

        Raises:
            RecorderError: MLflow cannot be reached or refuses.
        """
        tags = {"mlflow.source.name": "appraise"}
        commit = git_commit(project.root)
        if commit:
            tags["mlflow.source.git.commit"] = commit
        if run_id:
            tags["dagster_run_id"] = run_id
        ids: dict[str, str] = {}
        with self._decisions(project) as decisions:
            for decision in decisions:
                runs = decision.log(tags)
                report(project, self.name, decision.id, runs.as_json())
                if noun in ("lora_adapter", "evaluation"):
                    ids |= {f"{decision.target}/{name}": run for name, run in runs.adapters.items()}
                else:
                    ids[decision.target] = runs.run_id
        return Recorded({key: {"mlflow_run_id": run} for key, run in ids.items()})

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Mark the runs of the decisions that a failed step belongs to as FAILED.

        Raises:
            RecorderError: MLflow cannot be reached or refuses.
        """
        if noun == DECIDED[0]:
            return  # the decision that failed has no run yet
        with self._decisions(project) as decisions:
            for decision in decisions:
                decision.fail(noun, error)

    def check(self, project: Project, by: By) -> list[Finding]:  # noqa: ARG002
        """See `Recorder.check`; the database is looked into, a server is only knocked at."""
        if find_spec("mlflow") is None:
            return [ok(self.name, "not installed: no decision is logged")]
        return look(self._uri(project), self.name)

    def _uri(self, project: Project) -> str:
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        return uri or f"sqlite:///{project.root / '.appraise' / 'mlflow.db'}"

    @contextmanager
    def _decisions(self, project: Project) -> Iterator[list[DecisionRuns]]:
        """The runs of each target's present decision, one process at a time."""
        uri = self._uri(project)
        with project.alone("mlflow"), _environment():
            from appraise.orchestration.recorders.mlflow_runs import decisions

            with decisions(project, uri) as opened:
                yield opened


@contextmanager
def _environment() -> Iterator[None]:
    """MLflow's settings while we use it, as far as the user has not set them."""
    ours = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
