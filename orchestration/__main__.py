"""`python -m appraise.orchestration`: the main job in this process, then the decision in short."""

from __future__ import annotations

import os
from pathlib import Path

import click
from dagster import DagsterInstance
from dagster._core.execution.plan.objects import StepFailureData

from appraise.cli.main import errors_in_one_line, only_our_lines_in_a_log
from appraise.errors import AppraiseError, RecorderError
from appraise.orchestration.definitions import pipeline_of
from appraise.orchestration.jobs import RECORDED, everything
from appraise.project import Project
from appraise.review.summary import summary

SETTINGS = Path(__file__).with_name("dagster.yaml")  # a link to infra/; in a wheel the file itself


def prepare_home(root: Path) -> Path:
    """DAGSTER_HOME, with the project's `infra/dagster.yaml` or ours unless it has one."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(root / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").is_file():
        own = root / "infra" / "dagster.yaml"
        settings = own if own.is_file() else SETTINGS
        (home / "dagster.yaml").write_bytes(settings.read_bytes())
    return home


def run_everything(root: Path) -> None:
    """Run the job `everything` in this process.

    Raises:
        AppraiseError: a step failed; with the line and the exit code of its own error.
        RecorderError: all steps were run, but a recorder has no record of some.
    """
    with DagsterInstance.get() as instance:
        result = everything(pipeline_of(root)).execute_in_process(
            instance=instance,
            run_config={"loggers": {"progress": {"config": {}}}},
            raise_on_error=False,
        )
        failures = [event for event in result.all_events if event.is_step_failure]
    if failures:
        raise _failure(str(failures[0].node_name), failures[0].step_failure_data)
    if not result.success:
        raise RuntimeError("the run failed outside of its steps; see Dagster's pages (`make ui`)")


def _failure(node: str, data: StepFailureData) -> Exception:
    """The error of a failed step as it was said; a defect of ours where Dagster itself failed."""
    said = data.user_failure_data
    if said is None:
        return RuntimeError(data.error.to_string() if data.error else "a step failed, without why")
    error = (RecorderError if node == RECORDED else AppraiseError)(str(said.description))
    code = said.metadata.get("exit_code")
    error.exit_code = int(str(code.value)) if code else 1
    return error


@click.command()
@click.option(
    "--project",
    "root",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=".",
    show_default=True,
    help="The folder with params.yaml.",
)
def main(root: Path) -> None:
    """Bring every asset up to date, record it in Dagster, DVC and MLflow, print the decision.

    Exit codes: 0 done, 2 something given is wrong (one line says what, and what to do),
    130 stopped, 1 a defect of ours.
    """
    only_our_lines_in_a_log()
    root = root.resolve()
    with errors_in_one_line(root):
        prepare_home(root)
        try:
            run_everything(root)
        except RecorderError:
            _say_decisions(root)
            raise
        _say_decisions(root)


def _say_decisions(root: Path) -> None:
    project = Project(root)
    for target in project.params.target_sets:
        click.echo(summary(project, target))


if __name__ == "__main__":
    main()
