"""What a decision rests on: every partition it read, and what those were made from."""

from __future__ import annotations

import re
from collections.abc import Container

from appraise.project import Project
from appraise.storage.files import read_json

SHA256 = re.compile(r"[0-9a-f]{64}")


def _parts(project: Project, target: str) -> list[tuple[str, str]]:
    """The partitions that are read."""
    parts = [
        ("offers", ""),
        ("near_copies", ""),
        ("candidates", ""),
        ("kernel_matrix", ""),
        ("target_sets", target),
        ("kmm_weights", target),
    ]
    parts += [("selected_subset", f"{target}/{policy}") for policy in project.params.policies()]
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    for dataset in sorted(offer["id"] for offer in offers):
        parts.append(("auxiliary_datasets", dataset))
        if project.set_aside("auxiliary_datasets", dataset) is None:
            parts.append(("gradient_sketches", dataset))
    return parts


def evidence(project: Project, target: str) -> dict[str, str]:
    """Content of what is read and, as their manifests have it, of what that was made from."""
    found: dict[str, str] = {}
    through: dict[str, str] = {}
    for noun, key in _parts(project, target):
        manifest = project.manifest(noun, key)
        found[f"{noun}/{key}".rstrip("/")] = manifest["content"]
        through |= {n: sha for n, sha in manifest["inputs"].items() if SHA256.fullmatch(sha)}
    # a file of a partition that is named as a whole needs no line of its own
    beyond = {n: sha for n, sha in through.items() if not _within(n, found)}
    return dict(sorted({**beyond, **found}.items()))


def _within(name: str, partitions: Container[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:end]) in partitions for end in range(1, len(parts)))
