"""MLflow's database with its tables and nothing in it: made once, since MLflow takes seconds."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

from appraise.project import Project


def with_database(project: Project) -> Project:
    """The project, with an empty database where MLflow would make one."""
    (project.root / ".appraise").mkdir(exist_ok=True)
    shutil.copy(_empty(), project.root / ".appraise" / "mlflow.db")
    return project


@functools.cache
def _empty() -> Path:
    from mlflow.tracking import MlflowClient

    path = Path(tempfile.mkdtemp(prefix="mlflow-")) / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
