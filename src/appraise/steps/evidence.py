"""What a decision rests on: every partition it read, and what those were made from."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from appraise.project import Project

SHA256 = re.compile(r"[0-9a-f]{64}")


def evidence(project: Project, parts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Content of what is read and, as their manifests have it, of what that was made from.

    Args:
        parts: noun and key of each partition that is read.

    Returns:
        `<noun>/<key>`, or whatever else a manifest names → SHA-256, sorted.
    """
    found: dict[str, str] = {}
    through: dict[str, str] = {}
    for noun, key in parts:
        manifest = project.manifest(noun, key)
        found[f"{noun}/{key}".rstrip("/")] = manifest["content"]
        through |= {n: sha for n, sha in manifest["inputs"].items() if SHA256.fullmatch(sha)}
    # a file of a partition that is named as a whole needs no line of its own
    beyond = {n: sha for n, sha in through.items() if not _within(n, found)}
    return dict(sorted({**beyond, **found}.items()))


def _within(name: str, partitions: Container[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:end]) in partitions for end in range(1, len(parts)))
