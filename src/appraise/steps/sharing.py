"""Partitions that are made from the same are made once.

For steps whose partitions do not depend on their own key (`Step.alike`): an adapter is what it is
trained on, whichever policy buys that. A partition with an equal recipe, of another key or of an
earlier time, is copied and gets a manifest of its own; its bytes are those that it would have had.
What is replaced or removed is kept for a while, since budgets go back and forth.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appraise.errors import ArtifactError
from appraise.project import Project, Recipe
from appraise.project.keys import name_of, target_of
from appraise.project.manifest import Manifest
from appraise.steps.step import Step
from appraise.storage.files import TEMPORARY, sha256_json

KEPT = 10  # earlier partitions of a step, beside those that a run replaces


@dataclass(frozen=True)
class _Finished:
    """A partition that is whole on disk, or was once."""

    manifest: Manifest
    folder: Path
    earlier: bool


def unlike(one: Step, project: Project, keys: Sequence[str]) -> list[str]:
    """Of keys whose partitions are made from the same only the first; else all.

    Raises:
        ArtifactError: something that a partition reads has not been made.
    """
    if not one.alike:
        return list(keys)
    firsts: dict[str, str] = {}
    for key in keys:
        firsts.setdefault(_identity(one.recipe(project, key), key), key)
    return list(firsts.values())


def take_over(
    one: Step, project: Project, keys: Sequence[str], among: Sequence[str] | None = None
) -> list[str]:
    """Make partitions of what is there already, where it was made from the same.

    Args:
        among: the partitions to look at; None for all that are there, or were before.

    Returns:
        The keys that are left.

    Raises:
        ArtifactError: something that a partition reads has not been made.
    """
    if not one.alike:
        return list(keys)
    there = list(_finished(one, project, among))
    left = []
    with contextlib.ExitStack() as writing:  # all at its end: two may change places
        for key in keys:
            recipe = one.recipe(project, key)
            same = _identity(recipe, key)
            source = next((each for each in there if _made_from(each, same, key)), None)
            if source is None:
                left.append(key)
                continue
            folder = writing.enter_context(
                project.writing(one.noun, key, recipe, schemas=one.schemas)
            )
            for name in source.manifest.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source.folder / name, folder / name)
            print(f"{one.noun} {key}: {_said(one, key, source)}: taken over", file=sys.stderr)
    return left


def keep(one: Step, project: Project, keys: Iterable[str]) -> None:
    """Keep copies of partitions that are about to be replaced or removed, and the latest before."""
    if not one.alike:
        return
    store = project.earlier(one.noun)
    latest = sorted(store.glob("*"), key=lambda folder: folder.stat().st_mtime_ns)
    for folder in latest[:-KEPT]:
        shutil.rmtree(folder)
    for each in _finished(one, project, list(keys)):
        folder = store / _identity(each.manifest.recipe, each.manifest.key)[:16]
        aside = store / f"{TEMPORARY}{folder.name}"
        for old in (aside, folder):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(each.folder, aside)
        os.utime(aside)
        aside.rename(folder)


def _finished(one: Step, project: Project, among: Sequence[str] | None) -> Iterator[_Finished]:
    """Partitions made by this code, those on disk before earlier ones; nothing is hashed yet."""
    keys = project.partitions(one.noun) if among is None else among
    folders = [project.folder(one.noun, key) for key in keys]
    before = sorted(project.earlier(one.noun).glob("[!.]*")) if among is None else []
    for folder in (*folders, *before):
        try:
            manifest = Manifest.read(folder)
        except ArtifactError:
            continue
        if manifest.version == one.version and one.written_as_now(manifest):
            yield _Finished(manifest, folder, folder in before)


def _made_from(each: _Finished, same: str, key: str) -> bool:
    """Whether it is whole, not this very partition, and made from what has this identity."""
    other = each.manifest.key
    itself = other == key and not each.earlier
    return (
        not itself
        and _identity(each.manifest.recipe, other) == same
        and each.manifest.describes(each.folder)
    )


def _identity(recipe: Recipe, key: str) -> str:
    """SHA-256 of a recipe in which the partition's own key and target have no names."""
    own = {key: "own key", target_of(key): "own target"}
    inputs = {
        replace(each, key=own.get(each.key, each.key)): sha256
        for each, sha256 in recipe.inputs.items()
    }
    return sha256_json(replace(recipe, inputs=inputs).as_json())


def _said(one: Step, key: str, source: _Finished) -> str:
    other = source.manifest.key
    name = name_of(other) if target_of(other) == target_of(key) else other
    return (
        f"same {one.alike} as {name} had before"
        if source.earlier
        else f"same {one.alike} as {name}"
    )
