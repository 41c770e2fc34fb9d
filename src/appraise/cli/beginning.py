"""The subcommand that makes a project of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from appraise.authoring.new_project import MODEL, write_project
from appraise.authoring.version_control import put_under


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", default=MODEL, show_default=True,
              help="A folder with a model, a GGUF file, or a hub id (owner/name).")  # fmt: skip
def init(folder: Path, model: str) -> None:
    """Make a project of your own in FOLDER: settings, steps, an empty pool, git and DVC.

    Nothing is overwritten. Git and DVC are set up where they are installed; the project works
    without them.
    """
    files = write_project(folder, model)
    click.echo(f"{folder}: {', '.join(files)}")
    for line in put_under(folder.resolve(), files):
        click.echo(line)
    click.echo(
        f"\nNext, in {folder}:\n"
        "  appraise target-sets add FILE    the task: rows like those the model is to be good at\n"
        "  appraise offers add FILE …       the datasets on offer\n"
        "  appraise run --until valuation_decision\n"
        "README.md says more; params.yaml holds the model and every other setting."
    )
