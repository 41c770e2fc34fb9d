"""The subcommand of a step: it makes what is missing, and says what was done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

from appraise.errors import ParamsError, SetAside
from appraise.project import Project
from appraise.records.offers import Offers
from appraise.records.set_aside import WhySetAside
from appraise.steps.asked import check
from appraise.steps.executors import VARIABLE, Executor, executor
from appraise.steps.flow import step
from appraise.steps.recorder import By, discovered
from appraise.steps.recording import not_recorded
from appraise.steps.runner import Made, run
from appraise.steps.step import Step

ADDED_TO = ("offers", "target_sets")  # steps whose subcommand has one of its own, `add`
IN_A_STAGE = "DVC_STAGE"  # set by DVC for the command of a stage


def set_aside(project: Project, one: Step) -> dict[str, str]:
    """Datasets that this step left out, with the reason."""
    if Offers in one.writes:
        return {item.id: item.reason for item in project.read(Offers, one.noun).set_aside}
    if WhySetAside not in one.writes:
        return {}
    reasons = {key: project.set_aside(one.noun, key) for key in project.partitions(one.noun)}
    return {key: reason for key, reason in reasons.items() if reason}


def show(project: Project, made: Made, aside: dict[str, str], as_json: bool) -> None:
    """Print what a run of a step did."""
    if as_json:
        present = {key: project.content(made.noun, key) for key in (*made.made, *made.current)}
        fields = {"made": made.made, "current": made.current, "removed": made.removed}
        click.echo(json.dumps({"noun": made.noun, **fields, "set_aside": aside, "sha256": present}))
        return
    for key, reason in aside.items():
        click.secho(f"{made.noun}: set aside {key}: {reason}", err=True, fg="yellow")
    for name, recorded in made.recorded.items():
        if recorded.left_out:
            left_out = f"{made.noun}: not recorded by {name}: {recorded.left_out}"
            click.secho(left_out, err=True, fg="yellow")
    counts = f"{len(made.made)} made, {len(made.current)} already up to date"
    click.echo(
        f"{made.noun}: {counts}" + (f", {len(made.removed)} removed" if made.removed else "")
    )


def command(noun: str) -> click.Command:
    """The subcommand of a step."""
    one = step(noun)
    doc = (sys.modules[one.make.__module__].__doc__ or "").strip()

    @click.option("--key", "keys", multiple=True, help="Only this partition; may be repeated.")
    @click.option("--force", is_flag=True, help="Compute even what is up to date.")
    @click.option("--executor", "where", default="here", show_default=True, envvar=VARIABLE,
                  help="Where partitions are made: here, or processes:N.")  # fmt: skip
    @click.option("--workers", type=int, help="Short for --executor processes:N.")
    @click.option("--record/--no-record", default=True, show_default=True,
                  help="Whether DVC, MLflow and lineage, where set up, record it.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.option("--allow-set-aside", is_flag=True, help="Exit 0 when datasets were set aside.")
    @click.pass_obj
    def call(
        project: Project,
        keys: tuple[str, ...],
        force: bool,
        where: str,
        workers: int | None,
        record: bool,
        as_json: bool,
        allow_set_aside: bool,
    ) -> None:
        check(project, noun)
        made = run(
            one,
            project,
            keys or None,
            force,
            executor(where) if workers is None else _processes(workers),
            discovered() if record else (),
            by(),
        )
        aside = set_aside(project, one)
        show(project, made, aside, as_json)
        refuse_unrecorded({noun: made.unrecorded})
        if aside and not allow_set_aside:
            raise SetAside(f"{noun}: {len(aside)} set aside; the others went on")

    keys_help = f"\n\nA key is the name of a {one.partitions}." if one.partitions else ""
    if "/" in one.partitions:
        keys_help = f"\n\nA key is {one.partitions}."
    needs = f"\n\nReads: {', '.join(one.needs) or 'params.yaml only'}."
    text = doc + keys_help + needs
    if noun not in ADDED_TO:
        return click.command(noun.replace("_", "-"), help=text)(call)
    return _with_add(noun, text, call)


def _with_add(noun: str, text: str, call: Callable[..., None]) -> click.Group:
    """A step's subcommand that runs it unless `add` follows."""

    @click.pass_context
    def run_or_add(ctx: click.Context, /, **given: Any) -> None:
        if ctx.invoked_subcommand is None:
            ctx.invoke(call, **given)

    options = click.command()(call).params
    group = click.Group(
        noun.replace("_", "-"), params=options, callback=run_or_add, help=text,
        invoke_without_command=True, no_args_is_help=False,
    )  # fmt: skip
    group.add_command(getattr(import_module("appraise.cli.adding"), noun), "add")
    return group


def refuse_unrecorded(missed: Mapping[str, Mapping[str, str]]) -> None:
    """End a command with 2 where a recorder has no record of what was made.

    It is no reason for DVC to count a stage as not made, and to stop: under `dvc repro` it is said,
    and the next step's record makes up for it.

    Args:
        missed: step → recorder → why.
    """
    if not any(missed.values()):
        return
    error = not_recorded(missed)
    if by() == "command":
        raise error
    click.secho(f"appraise: {error}", err=True, fg="red")


def _processes(workers: int) -> Executor:
    try:
        return executor(f"processes:{workers}")
    except ParamsError as error:
        raise ParamsError(f"--workers {workers}: {error}") from None


def by() -> By:
    """Who runs the steps of this process."""
    return "dvc" if IN_A_STAGE in os.environ else "command"
