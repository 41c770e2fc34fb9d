"""`offers add` and `target-sets add`: files are looked at, shown, and written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import click

from appraise.authoring.entries import Entry, add_components, add_offers, settings, targets
from appraise.authoring.look import Look, identity, look
from appraise.authoring.model_view import view
from appraise.authoring.shown import COMPLETION, PROMPT, WORSE, lines
from appraise.authoring.yaml_text import dumped
from appraise.errors import AppraiseError, OfferError, ParamsError
from appraise.examples.licences import UNKNOWN
from appraise.project import Project

COLOURS = {PROMPT: "bright_black", COMPLETION: "green", WORSE: "red"}
Command = Callable[..., None]


def _of_files(command: Command) -> Command:
    """The arguments and options of whatever comes from files."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show all of it and change nothing."),
        click.option("--revision", help="Of a hub id: the commit that pins it."),
        click.option("--delimiter", help="Between the columns of CSV, if not a comma."),
        click.option("--field", help="Of a JSON object: the key under which its rows are."),
        click.option("--split", help="Of a hub id or of a folder."),
        click.option("--config", help="Of a hub id or of a folder with several."),
        click.option("--messages", help="A column of conversations, in place of the two."),
        click.option("--rejected", help="Template of a worse answer, for preferences."),
        click.option("--choices", help="Template of the answers to choose from."),
        click.option("--completion", help='Template of what it is to write: "{answer}".'),
        click.option("--prompt", help='Template of what the model is given: "{question}".'),
        click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    ):
        command = option(command)
    return command


def _looks(
    project: Project,
    files: Sequence[str],
    given: Mapping[str, str | None],
    group: str | None = None,
) -> list[Look]:
    """Look at each file and print what was seen.

    Raises:
        OfferError: some cannot be used; all of them are named.
    """
    as_read, lacking = view(project.root, settings(project.root))
    looks, errors = [], []
    for file in files:
        try:
            found = look(file, project.root, given, group)
        except AppraiseError as error:
            errors.append(str(error))
            continue
        for line in lines(found, as_read):
            click.secho(line, fg=COLOURS.get(line[:2]))
        click.echo()
        looks.append(found)
    if lacking:
        click.echo(lacking)
    if errors:
        raise OfferError(*(f"{error}; nothing was added" for error in errors))
    return looks


def _names(files: Sequence[str], name: str | None) -> list[str]:
    """What the files are called: as it is said of one, else after themselves."""
    if name is not None and len(files) > 1:
        raise ParamsError(
            f"expected one file for the name {name}, found {len(files)}; add them one by one, or "
            "let each be named after itself"
        )
    return [name] if name is not None else [identity(file) for file in files]


@click.command()
@click.option("--id", "name", help="Your name for it; after the file by default.")
@click.option("--title", help="What people see in reports; after the file by default.")
@click.option("--price", type=float, help="In the pool's currency; 0 for what costs nothing.")
@click.option("--provider", help="Who sells it.")
@click.option("--licence", default=UNKNOWN, show_default=True,
              help="An SPDX expression; as it is: the terms are unknown.")  # fmt: skip
@click.option("--version", default="1", show_default=True, help="The provider's version.")
@_of_files
@click.pass_obj
def offers(
    project: Project,
    /,
    files: tuple[str, ...],
    name: str | None,
    title: str | None,
    price: float | None,
    provider: str | None,
    licence: str,
    version: str,
    dry_run: bool,
    **given: str | None,
) -> None:
    """Look at files and add each to the pool as an offer.

    Shows columns, the templates that suit them, and three rows as the model will see them. A FILE
    is a file, a folder, an archive's member (zip://member::archive), a URL or a hub id.
    """
    names = _names(files, name)
    looks = _looks(project, files, given)
    stated = {"provider": provider, "version": version, "licence": licence, "price": _short(price)}
    missing = [f"--{field}" for field in ("price", "provider") if stated[field] is None]
    entries = [
        {"id": each, "title": title or _title(each), **stated, **found.fields}
        for each, found in zip(names, looks, strict=True)
    ]
    if dry_run:
        click.echo(dumped(entries))
        return
    if missing:
        raise OfferError(
            f"nothing was added: expected {' and '.join(missing)} too, found none; run it again "
            "with them (--price 0 for what costs nothing)"
        )
    pool = add_offers(project.root, entries)
    click.echo(f"Added to {pool}: {', '.join(names)}")
    if licence == UNKNOWN:
        click.echo("Its terms are not known (--licence): find out before you train on it.")


@click.command()
@click.option("--target", help="Its name; needed where there are several, or a new one.")
@click.option("--title", help="What people see in reports; after the target by default.")
@click.option("--name", help="Of the component; after the file by default.")
@click.option("--group", help="Template: rows for which it is the same stay in one split.")
@_of_files
@click.pass_obj
def target_sets(
    project: Project,
    /,
    files: tuple[str, ...],
    target: str | None,
    title: str | None,
    name: str | None,
    group: str | None,
    dry_run: bool,
    **given: str | None,
) -> None:
    """Look at files and add each to a target as a component; a new target is made.

    A target is the task that the model is to be good at: rows like those that it will meet. Some of
    them give its gradient (`value`), the others measure what a purchase brought (`test`).
    """
    names = _names(files, name)
    known = targets(project.root)
    chosen = target or (known[0] if len(known) == 1 else names[0])
    if target is None and len(known) > 1:
        raise ParamsError(f"--target: expected one of {', '.join(known)} or a new name, found none")
    looks = _looks(project, files, given, group)
    grouped: Entry = {} if group is None else {"group": group}
    entries = [
        {"name": each, **found.fields, **grouped} for each, found in zip(names, looks, strict=True)
    ]
    if dry_run:
        click.echo(dumped({chosen: {"components": entries}}))
        return
    section, made = add_components(project.root, chosen, title or _title(chosen), entries)
    done = "Made" if made else "Added to"
    click.echo(f"{done} target {chosen} in params.yaml: {', '.join(names)}")
    wanted = section.value + section.train + section.test
    for each, found in zip(names, looks, strict=True):
        if found.all_of_them and len(found.examples) < wanted:
            click.echo(
                f"{each} has {len(found.examples)} rows for {section.value} value, {section.train} "
                f"train and {section.test} test examples: lower these in params.yaml"
            )


def _short(price: float | None) -> float | None:
    """A whole amount without a decimal point."""
    return int(price) if price is not None and price.is_integer() else price


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
