"""Rows and arguments as a project: files, a pool and `params.yaml` in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appraise.api.rows import SPLIT, written
from appraise.authoring.entries import SETTINGS
from appraise.authoring.look import Look, identity, look
from appraise.authoring.new_project import POOL
from appraise.authoring.yaml_text import dumped
from appraise.errors import AppraiseError, OfferError, ParamsError
from appraise.examples.identity import prompt_id
from appraise.examples.licences import UNKNOWN
from appraise.settings.section import NAME
from appraise.storage.files import write_bytes

OURS = "# Written by appraise.value_datasets, anew in each of its calls.\n"
ROWS = "rows"
Templates = Mapping[str, Any]  # field of a source → template; or name of rows → these


def begin(root: Path) -> None:
    """Make the folder, or see that it is one of ours.

    Raises:
        ParamsError: it holds another project.
    """
    settings = root / SETTINGS
    if settings.is_file() and not settings.read_text(encoding="utf-8").startswith(OURS):
        raise ParamsError(
            f"{root}: expected a folder of its own, found a project that was written by hand; name "
            "another folder"
        )
    root.mkdir(parents=True, exist_ok=True)


def is_parts(target: Any) -> bool:
    """Whether a target is a mapping from a name to the rows of a part of it."""
    return isinstance(target, Mapping) and type(target).__name__ not in SPLIT


def ids_of(names: Mapping[str, Any], what: str) -> dict[str, str]:
    """Name → the id under which a project keeps it.

    Raises:
        ParamsError: there are none, one is no text, or two come to the same id.
    """
    if not isinstance(names, Mapping) or not names:
        raise ParamsError(
            f"{what}: expected a mapping from a name to rows, found "
            f"{'an empty one' if isinstance(names, Mapping) else type(names).__name__}"
        )
    ids: dict[str, str] = {}
    for name in names:
        own = identity(name) if isinstance(name, str) else ""
        if not NAME.fullmatch(own):
            raise ParamsError(f"{what}: expected names with letters or digits, found {name!r}")
        if own in ids.values():
            raise ParamsError(
                f"{what}: expected names that differ in letters and digits, found {name!r} and "
                f"{next(other for other in ids if ids[other] == own)!r}"
            )
        ids[name] = own
    return ids


def looks(
    root: Path, rows: Mapping[str, Any], ids: Mapping[str, str], templates: Templates
) -> dict[str, Look]:
    """Write rows into the folder and look at them; by name.

    Raises:
        OfferError: some cannot be used; all of them are named.
    """
    found, errors = {}, []
    for name, given in rows.items():
        kept = root / ROWS / f"{ids[name]}.parquet"
        try:
            source = written(name, given, kept)
            found[name] = look(source, root, _of(templates, name))
        except AppraiseError as error:
            said = str(error).removeprefix(f"{name}: ").replace(f"{kept}: ", "")
            errors.append(f"{name}: {said}")
    if errors:
        raise OfferError(*errors)
    return found


def _of(templates: Templates, name: str) -> Mapping[str, str | None]:
    own = templates.get(name, templates)
    return {field: text for field, text in own.items() if isinstance(text, str)}


def offers_of(
    found: Mapping[str, Look], ids: Mapping[str, str], prices: Mapping[str, float]
) -> list[dict[str, object]]:
    """Offers, each by a provider of its own."""
    stated = {"version": "1", "licence": UNKNOWN}
    return [
        {"id": ids[name], "title": name, "provider": name, **stated, "price": prices[name]}
        | seen.fields
        for name, seen in found.items()
    ]


def target_of(found: Mapping[str, Look], ids: Mapping[str, str], value: int) -> dict[str, object]:
    """A target with so many value examples of each part, or as many as there are.

    One is left for the test split, which only training would need.
    """
    distinct = [
        len({prompt_id(one.prompt, one.choices) for one in seen.examples})
        for seen in found.values()
    ]
    return {
        "title": "The target",
        "value": max(1, min(value, *(count - 1 for count in distinct))),
        "test": 1,
        "components": [{"name": ids[name], **seen.fields} for name, seen in found.items()],
    }


def write(root: Path, pool: Mapping[str, object], params: Mapping[str, object]) -> None:
    """Write pool and settings."""
    write_bytes(root / POOL, (OURS + dumped(dict(pool))).encode())
    write_bytes(root / SETTINGS, (OURS + dumped(dict(params))).encode())
