"""The command line: one subcommand for each step, and a few that look at what is there.

A subcommand's module is imported when it is called: this is the border behind which everything
else of the library is.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from appraise.errors.edge import as_ours, said
from appraise.steps.flow import NOUNS

STEPS = {noun.replace("_", "-"): noun for noun in NOUNS}
LOOKING = ("agreement", "costs", "fetch", "joint", "schema", "status", "summary", "verify")
OTHERS = {  # name → module
    "init": "appraise.cli.beginning",
    "run": "appraise.cli.running",
    "ui": "appraise.cli.running",
    **dict.fromkeys(LOOKING, "appraise.cli.looking"),
}


@contextmanager
def errors_in_one_line(root: Path) -> Iterator[None]:
    """Print any error, or that we were stopped, on one line, and exit with its code.

    Args:
        root: the project's folder, where the traceback of a defect is kept.
    """
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise  # click's own: usage, an end, a reader such as `head` that has gone
    except Exception as error:
        ours = as_ours(error, root)
        click.secho(f"appraise: {said(ours)}", err=True, fg="red")
        sys.exit(ours.exit_code)
    except KeyboardInterrupt:
        click.echo("appraise: stopped; run the same command again to go on", err=True)
        sys.exit(130)


def only_our_lines_in_a_log() -> None:
    """Where standard error is no terminal, the bars of other libraries are off: they would be
    thousands of lines. tqdm reads this when it is imported, here and in the processes we start."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class Commands(click.Group):
    """Subcommands in the order in which data flows; errors on one line, without traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Steps first, in their order, then the others."""
        return [*STEPS, *OTHERS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the subcommand."""
        if cmd_name in STEPS:
            command: click.Command = import_module("appraise.cli.steps").command(STEPS[cmd_name])
            return command
        if cmd_name in OTHERS:
            other: click.Command = getattr(import_module(OTHERS[cmd_name]), cmd_name)
            return other
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The first sentence of each; nothing is imported for it."""
        with formatter.section("Steps, in the order of the data"):
            formatter.write_dl([(name, _of_step(noun)) for name, noun in STEPS.items()])
        with formatter.section("Other commands"):
            formatter.write_dl([(name, _of_other(name)) for name in OTHERS])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; exit 2 on a user's error, 3 when datasets were set aside."""
        with errors_in_one_line(Path(ctx.params["root"])):
            return super().invoke(ctx)


def _of_step(noun: str) -> str:
    """The first sentence of a step's module."""
    return _first_sentence(ast.get_docstring(_read(f"appraise.steps.{noun}")) or "")


def _of_other(name: str) -> str:
    """The first sentence of the function of another command."""
    functions = (node for node in _read(OTHERS[name]).body if isinstance(node, ast.FunctionDef))
    return _first_sentence(
        next(ast.get_docstring(each) or "" for each in functions if each.name == name)
    )


def _read(module: str) -> ast.Module:
    """A module's source, which is not imported."""
    spec = find_spec(module)
    assert spec is not None  # it is ours
    return ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".:") + "."


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--project",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The folder with params.yaml.",
)
@click.version_option(package_name="appraise")
@click.pass_context
def main(ctx: click.Context, root: Path) -> None:
    """Which datasets to buy for a target task, what each is worth, and why.

    Each step reads the outputs of the steps before it and computes what is missing or out of
    date, nothing else; a killed run goes on where it stopped. `dvc repro` runs them all in order.

    Exit codes: 0 done, 2 something given is wrong (one line says what, and what to do),
    3 done, but datasets were set aside, 130 stopped, 1 a defect of ours.
    """
    only_our_lines_in_a_log()
    from appraise.project import Project

    ctx.obj = Project(root)
