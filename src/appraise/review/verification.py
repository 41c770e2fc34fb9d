"""Check a finished project without recomputing it: files, inputs, decisions, certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appraise.errors import AppraiseError
from appraise.project import Project
from appraise.steps.flow import NOUNS, step
from appraise.storage.files import read_json, sha256_json

if TYPE_CHECKING:
    from appraise.numerics.kmm import Certificate


@dataclass(frozen=True)
class Verification:
    """What was checked, and each fault in a line."""

    files: int
    partitions: int
    faults: tuple[str, ...]


def verify(project: Project) -> Verification:
    """Hash every file again and follow every reference; nothing is computed or written."""
    files = partitions = 0
    faults: list[str] = []
    for noun in NOUNS:
        one = step(noun)
        try:
            keys = one.keys(project)
        except AppraiseError as error:
            faults.append(str(error))
            continue
        for key in keys:
            partitions += 1
            try:
                folder = project.open(noun, key)
                files += len(project.manifest(noun, key)["files"])
                if not one.current(project, key):
                    faults.append(
                        f"{noun} {key}: expected to be made from what is there now, is not"
                    )
                if noun == "valuation_decision":
                    faults += _decision(read_json(folder / "decision.json"))
                if noun == "kmm_weights":
                    faults += _certificate(project, key)
            except AppraiseError as error:
                faults.append(str(error))
    return Verification(files, partitions, tuple(faults))


def _decision(decision: dict[str, object]) -> list[str]:
    found = sha256_json({name: value for name, value in decision.items() if name != "decision_id"})
    if found == decision["decision_id"]:
        return []
    return [
        f"decision of {decision['target']}: expected id {decision['decision_id']}, found {found}"
    ]


def _certificate(project: Project, target: str) -> list[str]:
    stated, found = recertified(project, target)
    if found.relative_error <= stated["tolerance"]:
        return []
    return [
        f"kmm_weights {target}: expected an error within {stated['tolerance']:g}, "
        f"found {found.relative_error:g}"
    ]


def recertified(project: Project, target: str) -> tuple[dict[str, Any], Certificate]:
    """A target's certificate as stated, and the one that the kernel and the weights give now.

    Raises:
        ArtifactError: the weights are those of another kernel.
    """
    from appraise.numerics.kmm import certify_program
    from appraise.steps.kmm_weights import solved

    program, table, stated = solved(project, target)
    return stated, certify_program(program, table["weight"].to_numpy("float64"), stated["lambda"])
