"""The subcommands that look at a project, and the one that fetches what the demo reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from appraise.errors import ParamsError
from appraise.examples.downloads import fetch as download
from appraise.presentation.costs import total
from appraise.project import Project
from appraise.records.decision import json_schema_text
from appraise.review.agreement import agreement as compare
from appraise.review.agreement import lines
from appraise.review.joint import joint as weigh
from appraise.review.sketch_costs import costs as count
from appraise.review.status import next_step, states
from appraise.review.summary import summary as describe
from appraise.review.verification import verify as check


@click.command()
@click.argument("record", type=click.Choice(["decision"]), default="decision")
def schema(record: str) -> None:  # noqa: ARG001 - there is one so far
    """Print the JSON Schema of decision.json."""
    click.echo(json_schema_text(), nl=False)


@click.command()
@click.pass_obj
def fetch(project: Project) -> None:
    """Download the packages which hold the demo's model and data, and check their SHA-256."""
    for line in download(project.root):
        click.echo(line)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def status(project: Project, as_json: bool) -> None:
    """Say which partitions are up to date, out of date or missing; compute nothing.

    A partition is up to date only if all that it was made from is too: below a change it waits for
    the steps that are to be made first.
    """
    found = states(project)
    if as_json:
        words = {
            noun: {key: state.word for key, state in one.partitions.items()}
            for noun, one in found.items()
        }
        click.echo(json.dumps(words))
        return
    for noun, one in found.items():
        click.echo(f"{noun:20} {one}")
    click.echo(next_step(project, found))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def verify(project: Project, as_json: bool) -> None:
    """Hash every file again and check the chain of evidence; compute nothing.

    Passes when every file is what its manifest says, every manifest names the content of its
    inputs as it is now, every decision's id is the SHA-256 of the decision, and every certificate
    recomputed from K and c says the same. Exit code 2 otherwise, with a line for each fault.
    """
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


@click.command()
@click.argument("target", required=False)
@click.pass_obj
def summary(project: Project, target: str | None) -> None:
    """Print the short form of a target's decision and of its outcome."""
    for name in [target] if target else project.params.target_sets:
        click.echo(describe(project, name))


@click.command()
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def costs(project: Project, target: str | None, as_json: bool) -> None:
    """Say what looking at the datasets cost: examples, tokens, seconds, storage of each sketch."""
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


@click.command()
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
    found = compare(project, Project(other), target)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    for line in lines(found):
        click.echo(line)


@click.command()
@click.option("--share", "shares", multiple=True, help="target=number; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def joint(project: Project, shares: tuple[str, ...], as_json: bool) -> None:
    """Weigh the datasets for all targets together: combined by shares, and for the worst served.

    Reads the kernel matrix that the targets share and computes on the spot. Without --share all
    targets count alike; those that are not named then count nothing.
    """
    found = weigh(project, _given(shares) if shares else None)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    columns = [*found.targets, "combined", "worst_case"]
    click.echo("  ".join([f"{'dataset':24}", *(f"{name[:14]:>14}" for name in columns)]))
    ranked = sorted(found.weights.items(), key=lambda item: (-item[1]["worst_case"], item[0]))
    for name, weights in ranked:
        click.echo("  ".join([f"{name:24}", *(f"{weights[one]:14.3f}" for one in columns)]))
    parts = ", ".join(f"{name} {part:.2f}" for name, part in found.shares.worst_case.items())
    click.echo(f"Worst case: shares {parts}; gap {found.gaps['worst_case']:.1e}")


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
