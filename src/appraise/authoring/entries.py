"""Offers and components of a target, put into the files in which people keep them.

A file is written once, when all of it was checked; what does not fit leaves it as it was.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from appraise.authoring.new_project import DEMO, TEMPLATE
from appraise.authoring.yaml_text import added, dumped, replaced
from appraise.errors import OfferError, ParamsError
from appraise.settings.data import TargetParams
from appraise.settings.section import NAME, describe
from appraise.steps.entries import checked_offer
from appraise.storage.files import write_bytes
from appraise.storage.yaml_files import parse_yaml

SETTINGS, STAGES = "params.yaml", "dvc.yaml"
Entry = dict[str, JsonValue]


def read(root: Path, name: str) -> str:
    """The text of a file of the project.

    Raises:
        ParamsError: there is none, or it is no text.
    """
    try:
        return (root / name).read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ParamsError(
            f"{root / name}: expected a file of the project, found none; run inside a project "
            "folder (`appraise init FOLDER` makes one) or name one with --project"
        ) from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{root / name}: expected UTF-8, found {error}") from None


def settings(root: Path) -> Mapping[str, Any]:
    """What `params.yaml` says, as far as it is a mapping; not checked any further."""
    content = parse_yaml(read(root, SETTINGS), SETTINGS, ParamsError)
    return content if isinstance(content, dict) else {}


def pool_name(root: Path) -> str:
    """The file with the offers."""
    offers = settings(root).get("offers")
    name = offers.get("pool") if isinstance(offers, dict) else None
    if not isinstance(name, str):
        raise ParamsError(f"{SETTINGS}: expected offers.pool to name a file, found {name!r}")
    return name


def targets(root: Path) -> list[str]:
    """The names of the targets that there are."""
    return list(settings(root).get("target_sets") or {})


def add_offers(root: Path, entries: Sequence[Entry]) -> str:
    """Put offers at the end of the pool; gives the pool's name.

    Raises:
        OfferError: an offer cannot be used, or its id is taken.
        ParamsError: nothing can be added to the pool.
    """
    name = pool_name(root)
    text = read(root, name)
    for entry in entries:
        if entry["id"] in _ids(parse_yaml(text, name, ParamsError)):
            raise OfferError(
                f"{name}: expected an id that is not taken, found {entry['id']}, which is; give "
                "another with --id"
            )
        checked_offer(entry, root)
        text = added(text, ["offers"], [entry], name)
    write_bytes(root / name, text.encode())
    return name


def _ids(pool: Any) -> list[Any]:
    """The ids that are taken, in a pool that may be anything yet."""
    offers = pool.get("offers") if isinstance(pool, dict) else None
    entries = offers if isinstance(offers, list) else []
    return [entry.get("id") for entry in entries if isinstance(entry, dict)]


def add_components(
    root: Path, target: str, title: str, entries: Sequence[Entry]
) -> tuple[TargetParams, bool]:
    """Put components at the end of a target, which is made if there is none of this name.

    Returns:
        The target, and whether it was made.

    Raises:
        ParamsError: the target would be none, or nothing can be added to the files.
    """
    text, new = read(root, SETTINGS), target not in targets(root)
    if new:
        section = _section(target, title, entries)
        meant = parse_yaml(section, SETTINGS, ParamsError)
        text = added(text, ["target_sets"], meant, SETTINGS, section)
    else:
        for entry in entries:
            text = added(text, ["target_sets", target, "components"], [entry], SETTINGS)
    made = _target(parse_yaml(text, SETTINGS, ParamsError)["target_sets"][target], target)
    if new and (root / STAGES).is_file():
        write_bytes(root / STAGES, _with_outcome(read(root, STAGES), target).encode())
    write_bytes(root / SETTINGS, text.encode())
    return made, new


def _section(target: str, title: str, entries: Sequence[Entry]) -> str:
    """A target as YAML, with the comments that `params.yaml` has beside the demo's."""
    lines = (TEMPLATE / "settings.yaml").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"  {DEMO}:") + 1
    end = lines.index("    components:", start)
    head = replaced(textwrap.dedent("\n".join(lines[start:end])), ["title"], title, SETTINGS)
    parts = textwrap.indent(dumped(list(entries)), "  ")
    return f"{target}:\n" + textwrap.indent(f"{head}\ncomponents:\n{parts}", "  ")


def _target(section: Any, target: str) -> TargetParams:
    if not NAME.fullmatch(target):
        raise ParamsError(
            f"--target: expected lower case letters, digits and underscores, found {target!r}"
        )
    try:
        return TargetParams.model_validate(section)
    except ValidationError as error:
        raise ParamsError(f"{SETTINGS}: target_sets.{target}: {describe(error)}") from None


def _with_outcome(stages: str, target: str) -> str:
    """`dvc.yaml` that shows what comes of a target among metrics and plots, where it has these."""
    outcome, content = f"data/decision_outcome/{target}", parse_yaml(stages, STAGES, ParamsError)
    loss: Entry = {f"{outcome}/loss.csv": "loss"}
    plot: Entry = {"x": "policy", "y": loss, "template": "bar_horizontal"}
    additions: Entry = {
        "metrics": f"{outcome}/metrics.json",
        "plots": {f"Held-out loss of each policy for {target}": plot},
    }
    for name, addition in additions.items():
        if isinstance(content.get(name), list):
            stages = added(stages, [name], [addition], STAGES)
    return stages
