"""What a decision rests on: every partition it read, and what those were made from."""

from __future__ import annotations

from collections.abc import Container

from appraise.project.reads import Given


def evidence(given: Given) -> dict[str, str]:
    """Content of what is read and, as their manifests have it, of what that was made from.

    Returns:
        `<noun>/<key>`, with a file where only that was read, or the name of a file outside of
        `data/` → SHA-256, sorted.
    """
    read = {part.name: sha256 for part, sha256 in given.recipe.inputs.items()}
    through: dict[str, str] = {}
    for part in given.recipe.inputs:
        recipe = given.made_from(part.noun, part.key)
        through |= {each.name: sha256 for each, sha256 in recipe.inputs.items()} | recipe.outside
    # a file of a partition that is named as a whole needs no line of its own
    beyond = {name: sha256 for name, sha256 in through.items() if not _within(name, read)}
    return dict(sorted({**beyond, **read}.items()))


def _within(name: str, partitions: Container[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:end]) in partitions for end in range(1, len(parts) + 1))
