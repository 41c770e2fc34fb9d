"""The runs of decisions in MLflow: found, written, closed. The only module that imports MLflow."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from appraise.errors import ArtifactError, RecorderError
from appraise.errors.foreseen import one_line
from appraise.orchestration.recorders import mlflow_content
from appraise.orchestration.recorders.mlflow_checks import remedy
from appraise.orchestration.recorders.mlflow_content import DatasetUse, RunContent
from appraise.orchestration.reported import decision_id
from appraise.project import Project

DIGEST = 36  # MLflow's limit; the whole SHA-256 is a tag


@dataclass
class Runs:
    """The runs of one target's present decision."""

    experiment: str
    run_id: str
    adapters: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """As lineage has it."""
        return {"experiment": self.experiment, "run_id": self.run_id, "adapters": self.adapters}


@contextmanager
def decisions(project: Project, uri: str) -> Iterator[list[DecisionRuns]]:
    """The runs of each target's present decision, on the server or in the database at `uri`.

    Raises:
        RecorderError: MLflow cannot be reached or refuses.
    """
    for name in ("mlflow", "alembic"):  # they announce every table that they create
        logging.getLogger(name).setLevel(logging.WARNING)
    (project.root / ".appraise").mkdir(exist_ok=True)
    place = project.root / ".appraise" / "mlartifacts" if uri.startswith("sqlite:") else None
    try:
        client = MlflowClient(tracking_uri=uri)
        targets = project.partitions("valuation_decision")
        yield [DecisionRuns(client, project, target, place) for target in targets]
    except MlflowException as error:
        raise RecorderError(
            f"MLflow at {uri}: expected to log there, found {one_line(error)}; {remedy(uri)}"
        ) from error


class DecisionRuns:
    """One target's present decision, and what belongs to it, in MLflow.

    Args:
        place: where the artifacts of a new experiment go; None for the server's own place.
    """

    def __init__(
        self, client: MlflowClient, project: Project, target: str, place: Path | None
    ) -> None:
        self.target, self.id = target, decision_id(project, target)
        self._client, self._project, self._place = client, project, place
        self._experiment, self._tags = f"appraise/{target}", {"appraise.decision_id": self.id}

    def log(self, tags: Mapping[str, str]) -> Runs:
        """Log what is not yet logged.

        Args:
            tags: of the runs that are made anew.
        """
        project, target = self._project, self.target
        self._tags |= {"appraise.target": target, **tags}
        wanted = {"decision_id": self.id, "kind": "decision"}
        run_id = self._run(wanted, self.id[:12])
        runs = Runs(self._experiment, run_id)
        with self._writing(run_id) as done:
            if "decision" not in done:
                self._write(run_id, mlflow_content.decision(project, target))
        for policy in mlflow_content.trained_policies(project, target):
            runs.adapters[policy] = self._log_adapter(run_id, policy)
        with self._writing(run_id) as done:
            for part, noun, read in (
                ("outcome", "decision_outcome", mlflow_content.outcome),
                ("report", "report", mlflow_content.report),
            ):
                if not self._made(noun, target, "valuation_decision"):
                    continue
                if done.get(part) != project.content(noun, target):
                    self._write(run_id, read(project, target))
        return runs

    def fail(self, noun: str, error: Exception) -> None:
        """Mark the decision's run, if it has one, as FAILED by a step."""
        experiment = self._client.get_experiment_by_name(self._experiment)
        wanted = {"decision_id": self.id, "kind": "decision"}
        run = experiment and _newest(self._client, experiment.experiment_id, wanted)
        if run:
            self._client.set_tag(run.info.run_id, "appraise.failed_step", noun)
            self._client.set_tag(run.info.run_id, "appraise.error", str(error)[:500])
            self._client.set_terminated(run.info.run_id, "FAILED")

    @cached_property
    def _experiment_id(self) -> str:
        """The experiment of the target's decisions, made if there is none."""
        known = self._client.get_experiment_by_name(self._experiment)
        if known:
            if known.lifecycle_stage == "deleted":  # its name stays taken, and it takes no runs
                self._client.restore_experiment(known.experiment_id)
            return str(known.experiment_id)
        place = (self._place / self.target).as_uri() if self._place else None
        return str(self._client.create_experiment(self._experiment, artifact_location=place))

    def _log_adapter(self, parent: str, policy: str) -> str:
        project, key = self._project, f"{self.target}/{policy}"
        content = project.content("lora_adapter", key)
        wanted = {
            "decision_id": self.id,
            "kind": "adapter",
            "policy": policy,
            "adapter_sha256": content,
        }
        run_id = self._run(wanted, policy, parent)
        with self._writing(run_id) as done:
            if "adapter" not in done:
                self._write(run_id, mlflow_content.adapter(project, self.target, policy))
            if self._made("evaluation", key, "lora_adapter") and (
                done.get("evaluation") != project.content("evaluation", key)
            ):
                self._write(run_id, mlflow_content.evaluation(project, self.target, policy))
        return run_id

    def _made(self, noun: str, key: str, need: str) -> bool:
        """Whether a partition is there, made from what is there of `need` under the same key."""
        try:
            inputs = self._project.manifest(noun, key).inputs
            used = [each for each in inputs if (each.noun, each.key) == (need, key)]
            return bool(used) and all(
                self._project.content(need, key, each.file) == each.sha256 for each in used
            )
        except ArtifactError:
            return False  # not made yet

    def _run(self, wanted: dict[str, str], name: str, parent: str | None = None) -> str:
        """The run with these tags, made if there is none."""
        run = _newest(self._client, self._experiment_id, wanted)
        if run is None:
            tags = self._tags | {f"appraise.{key}": value for key, value in wanted.items()}
            if parent:
                tags["mlflow.parentRunId"] = parent
            run = self._client.create_run(self._experiment_id, run_name=name, tags=tags)
        return str(run.info.run_id)

    @contextmanager
    def _writing(self, run_id: str) -> Iterator[dict[str, str]]:
        """The parts that are logged already; afterwards the run is FINISHED, or FAILED."""
        run = self._client.get_run(run_id)
        prefix = "appraise.logged."
        tags = run.data.tags
        try:
            yield {n.removeprefix(prefix): v for n, v in tags.items() if n.startswith(prefix)}
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        if run.info.status != "FINISHED":
            for name in ("appraise.failed_step", "appraise.error"):
                if name in tags:
                    self._client.delete_tag(run_id, name)
            self._client.set_terminated(run_id, "FINISHED")

    def _write(self, run_id: str, content: RunContent) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(_name(n), value, now, step) for n, value, step in content.metrics],
            params=[Param(_name(n), str(value)[:6000]) for n, value in content.params.items()],
        )
        if content.datasets:
            self._client.log_inputs(run_id, [_dataset_input(use) for use in content.datasets])
        for path in content.files:
            self._client.log_artifact(run_id, str(path))
        with tempfile.TemporaryDirectory() as folder:
            for name, png in content.pictures.items():
                (Path(folder) / name).write_bytes(png)
                self._client.log_artifact(run_id, str(Path(folder) / name), "figures")
        if content.model:
            self._log_model(run_id, content.model, next(iter(content.sha256.values())))
        for part, sha256 in content.sha256.items():
            self._client.set_tag(run_id, f"appraise.logged.{part}", sha256)

    def _log_model(self, run_id: str, folder: Path, sha256: str) -> None:
        """The adapter as a model: a folder which PEFT reads."""
        model = self._client.create_logged_model(
            self._experiment_id,
            name=f"{self.target}-{folder.name}",
            source_run_id=run_id,
            tags={"appraise.decision_id": self.id, "sha256": sha256},
            model_type="LoRA adapter (PEFT)",
        )
        status = LoggedModelStatus.FAILED
        try:
            for name in ("adapter_model.safetensors", "adapter_config.json"):
                self._client.log_model_artifact(model.model_id, str(folder / name))
            status = LoggedModelStatus.READY
        finally:
            self._client.finalize_logged_model(model.model_id, status)
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def _newest(client: MlflowClient, experiment_id: str, wanted: dict[str, str]) -> Run | None:
    """The newest run with these tags."""
    query = " and ".join(f"tags.`appraise.{name}` = '{value}'" for name, value in wanted.items())
    return next(iter(client.search_runs([experiment_id], query, max_results=1)), None)


def _name(name: str) -> str:
    """A name that MLflow takes."""
    return "".join(char if char.isalnum() or char in "_-./ " else "_" for char in name)


def _dataset_input(use: DatasetUse) -> DatasetInput:
    source = json.dumps({**use.source, "sha256": use.sha256})
    dataset = Dataset(use.name, use.sha256[:DIGEST], "appraise", source)
    tags = [InputTag("mlflow.data.context", use.context), InputTag("sha256", use.sha256)]
    return DatasetInput(dataset, tags)
