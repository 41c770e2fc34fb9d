"""MLflow: one run for each decision, in it one for each adapter. A view, which can be made again.

A run is found by its tags and logged part by part; the SHA-256 of each part is tagged last, so that
what is logged whole is left alone and what a kill interrupted is logged again. Which run belongs to
which decision is kept in `lineage/<decision_id>.json`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource

from appraise.errors import ArtifactError
from appraise.orchestration import mlflow_content
from appraise.orchestration.dvc_record import LINEAGE, record_lineage
from appraise.orchestration.mlflow_content import DatasetUse, RunContent
from appraise.project import Project
from appraise.storage.files import read_json, write_json

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

LOGGED = ("valuation_decision", "lora_adapter", "evaluation", "decision_outcome", "report")
DIGEST = 36  # MLflow's limit; the whole SHA-256 is a tag
SETTINGS = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass
class Runs:
    """The runs of one target's present decision."""

    decision_id: str
    experiment_id: str
    run_id: str
    adapters: dict[str, str] = field(default_factory=dict)


class MlflowLog(ConfigurableResource[Any]):
    """Logs decisions, adapters and outcomes; `tracking_uri` or MLFLOW_TRACKING_URI says where."""

    tracking_uri: str = ""

    def log(self, project: Project, noun: str, dagster_run_id: str) -> dict[str, str]:
        """Log what is there and not yet logged; key of the noun → id of the MLflow run.

        Raises:
            ArtifactError: MLflow cannot be reached or refuses.
        """
        if noun not in LOGGED:
            return {}
        found: dict[str, str] = {}
        with project.alone("mlflow"), self._client(project) as client:
            for target in project.partitions("valuation_decision"):
                runs = _Decision(client, project, target, dagster_run_id, self._uri(project)).log()
                if noun in ("lora_adapter", "evaluation"):
                    found |= {f"{target}/{policy}": run for policy, run in runs.adapters.items()}
                else:
                    found[target] = runs.run_id
        return found

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Mark the runs of the decisions that a failed step belongs to as FAILED."""
        if noun not in LOGGED[1:]:
            return
        with project.alone("mlflow"), self._client(project) as client:
            for target in project.partitions("valuation_decision"):
                decision_id = _decision_id(project, target)
                experiment = client.get_experiment_by_name(_experiment(target))
                run = experiment and _find(
                    client,
                    experiment.experiment_id,
                    {"decision_id": decision_id, "kind": "decision"},
                )
                if run:
                    client.set_tag(run.info.run_id, "appraise.failed_step", noun)
                    client.set_tag(run.info.run_id, "appraise.error", str(error)[:500])
                    client.set_terminated(run.info.run_id, "FAILED")

    def _uri(self, project: Project) -> str:
        given = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        return given or f"sqlite:///{project.root / '.appraise' / 'mlflow.db'}"

    @contextmanager
    def _client(self, project: Project) -> Iterator[MlflowClient]:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):  # they announce every table that they create
            logging.getLogger(name).setLevel(logging.WARNING)
        (project.root / ".appraise").mkdir(exist_ok=True)
        uri = self._uri(project)
        try:
            yield MlflowClient(tracking_uri=uri)
        except MlflowException as error:
            raise ArtifactError(
                f"MLflow at {uri}: expected to log there, found {' '.join(str(error).split())}; "
                "start that server, or unset MLFLOW_TRACKING_URI to log into the project's folder"
            ) from error


class _Decision:
    """One target's present decision, and what belongs to it, in MLflow."""

    def __init__(
        self, client: MlflowClient, project: Project, target: str, dagster_run_id: str, uri: str
    ) -> None:
        self._client, self._project, self._target = client, project, target
        self._decision_id = _decision_id(project, target)
        self._tags = {
            "appraise.decision_id": self._decision_id,
            "appraise.target": target,
            "dagster_run_id": dagster_run_id,
            "mlflow.source.name": "appraise",
        }
        commit = git_commit(project.root)
        if commit:
            self._tags["mlflow.source.git.commit"] = commit
        self._commit, self._dagster_run_id = commit, dagster_run_id
        self._experiment_id = self._experiment(uri)

    def _experiment(self, uri: str) -> str:
        name = _experiment(self._target)
        known = self._client.get_experiment_by_name(name)
        if known:
            return str(known.experiment_id)
        place = None
        if uri.startswith("sqlite:"):
            place = (self._project.root / ".appraise" / "mlartifacts" / self._target).as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def log(self) -> Runs:
        project, target = self._project, self._target
        wanted = {"decision_id": self._decision_id, "kind": "decision"}
        run_id = self._run(wanted, self._decision_id[:12])
        runs = Runs(self._decision_id, self._experiment_id, run_id)
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
        self._keep_lineage(runs)
        return runs

    def _log_adapter(self, parent: str, policy: str) -> str:
        project, key = self._project, f"{self._target}/{policy}"
        content = project.content("lora_adapter", key)
        wanted = {
            "decision_id": self._decision_id,
            "kind": "adapter",
            "policy": policy,
            "adapter_sha256": content,
        }
        run_id = self._run(wanted, policy, parent)
        with self._writing(run_id) as done:
            if "adapter" not in done:
                self._write(run_id, mlflow_content.adapter(project, self._target, policy))
            if self._made("evaluation", key, "lora_adapter") and (
                done.get("evaluation") != project.content("evaluation", key)
            ):
                self._write(run_id, mlflow_content.evaluation(project, self._target, policy))
        return run_id

    def _made(self, noun: str, key: str, need: str) -> bool:
        """Whether a partition is there, made from what is there of `need` under the same key."""
        try:
            inputs = self._project.manifest(noun, key)["inputs"]
            used = {n: sha for n, sha in inputs.items() if f"{n}/".startswith(f"{need}/{key}/")}
            files = [(n.removeprefix(f"{need}/{key}").strip("/"), sha) for n, sha in used.items()]
            return bool(files) and all(
                self._project.content(need, key, file or None) == sha for file, sha in files
            )
        except ArtifactError:
            return False  # not made yet

    def _run(self, wanted: dict[str, str], name: str, parent: str | None = None) -> str:
        """The run with these tags, made if there is none."""
        run = _find(self._client, self._experiment_id, wanted)
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
        from mlflow.entities import Metric, Param

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
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        model = self._client.create_logged_model(
            self._experiment_id,
            name=f"{self._target}-{folder.name}",
            source_run_id=run_id,
            tags={"appraise.decision_id": self._decision_id, "sha256": sha256},
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

    def _keep_lineage(self, runs: Runs) -> None:
        path = self._project.root / LINEAGE / f"{runs.decision_id}.json"
        known = read_json(path) if path.is_file() else {}
        mlflow = {
            "experiment": _experiment(self._target),
            "run_id": runs.run_id,
            "adapters": runs.adapters,
        }
        if known.get("mlflow") != mlflow:
            lineage = {
                "decision_id": runs.decision_id,
                "target": self._target,
                "mlflow": mlflow,
                "dagster": {"run_id": self._dagster_run_id},
                "git": {"commit": self._commit},
            }
            write_json(path, lineage)
        record_lineage(self._project.root)


def git_commit(root: Path) -> str | None:
    """The commit that is checked out, or None outside of git."""
    from dvc.scm import SCM, SCMError

    try:
        scm = SCM(str(root))
        try:
            return str(scm.get_rev())
        finally:
            scm.close()
    except SCMError:
        return None


def _experiment(target: str) -> str:
    return f"appraise/{target}"


def _decision_id(project: Project, target: str) -> str:
    path = project.folder("valuation_decision", target) / "decision.json"
    return str(read_json(path)["decision_id"])


def _find(client: MlflowClient, experiment_id: str, wanted: dict[str, str]) -> Run | None:
    """The newest run with these tags."""
    query = " and ".join(f"tags.`appraise.{name}` = '{value}'" for name, value in wanted.items())
    return next(iter(client.search_runs([experiment_id], query, max_results=1)), None)


def _name(name: str) -> str:
    """A name that MLflow takes."""
    return "".join(char if char.isalnum() or char in "_-./ " else "_" for char in name)


def _dataset_input(use: DatasetUse) -> DatasetInput:
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({**use.source, "sha256": use.sha256})
    dataset = Dataset(use.name, use.sha256[:DIGEST], "appraise", source)
    tags = [InputTag("mlflow.data.context", use.context), InputTag("sha256", use.sha256)]
    return DatasetInput(dataset, tags)
