"""The subcommands that run a whole project: all steps in this process, and the web pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import click

from appraise.cli.steps import by, refuse_unrecorded, set_aside, show
from appraise.errors import ParamsError, SetAside
from appraise.project import Project
from appraise.review.summary import summary
from appraise.steps.asked import check
from appraise.steps.executors import VARIABLE, executor
from appraise.steps.flow import NOUNS, step
from appraise.steps.flow import until as steps_until
from appraise.steps.recorder import discovered
from appraise.steps.runner import run as run_step

DECIDED = "valuation_decision"


@click.command()
@click.option("--until", "last", metavar="STEP", default=NOUNS[-1],
              help="This step and those it rests on.")  # fmt: skip
@click.option("--executor", "where", default="here", show_default=True, envvar=VARIABLE,
              help="Where partitions are made: here, or processes:N.")  # fmt: skip
@click.option("--record/--no-record", default=True, show_default=True,
              help="Whether DVC, MLflow and lineage, where set up, record it.")  # fmt: skip
@click.pass_obj
def run(project: Project, last: str, where: str, record: bool) -> None:
    """Bring all steps up to date, one after the other, then print the decision.

    `--until valuation_decision` values the datasets and decides what to buy; without it an adapter
    is trained on what each policy buys, evaluated, and the report written, which takes much longer.
    It needs neither Dagster nor DVC; where they are set up, DVC and MLflow record each step.
    """
    nouns, aside = steps_until(last.replace("-", "_")), 0
    missed: dict[str, Mapping[str, str]] = {}
    for fault in check(project):
        click.secho(f"will be set aside: {fault.says}", err=True, fg="yellow")
    recorders = discovered() if record else ()
    for noun in nouns:
        one = step(noun)
        made = run_step(one, project, executor=executor(where), recorders=recorders, by=by())
        reasons = set_aside(project, one)
        show(project, made, reasons, as_json=False)
        aside += len(reasons)
        missed[noun] = made.unrecorded
    if DECIDED in nouns:
        for target in project.params.target_sets:
            click.echo("\n" + summary(project, target))
    refuse_unrecorded(missed)
    if aside:
        raise SetAside(f"{aside} set aside; the others went on")


@click.command()
@click.pass_obj
def ui(project: Project) -> None:
    """Start Dagster on http://127.0.0.1:3000 and MLflow on http://127.0.0.1:5000.

    For this project, on this machine only; Ctrl-C ends both. DAGSTER_PORT and MLFLOW_PORT name
    other ports.
    """
    missing = [name for name in ("dagster_webserver", "mlflow") if find_spec(name) is None]
    if missing:
        raise ParamsError(
            f"ui: expected Dagster and MLflow installed, found no {' and no '.join(missing)}; "
            "run `pip install 'appraise[dagster]'`"
        )
    beside = str(Path(sys.executable).parent)  # their programs, whether or not it is activated
    environment = os.environ | {
        "APPRAISE_PROJECT": str(project.root),
        "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]),
    }
    script = files("appraise") / "orchestration" / "ui.sh"
    os.execvpe("bash", ["bash", str(script)], environment)
