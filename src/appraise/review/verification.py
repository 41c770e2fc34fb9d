"""Check a finished project without recomputing it: files, inputs, decisions, certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appraise.errors import AppraiseError
from appraise.numerics.kmm import Certificate, certify_program
from appraise.project import Project
from appraise.project.keys import target_of
from appraise.records.certificate import ProgramCertificate
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel
from appraise.records.program import SolvedProgram
from appraise.records.record import read_if_there
from appraise.steps.flow import NOUNS, step

VALUES = "dataset_values"


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
                files += len(project.manifest(noun, key).files)
                if not one.current(project, key):
                    faults.append(
                        f"{noun} {key}: expected to be made from what is there now, is not"
                    )
                if noun in _LOOKS:
                    faults += _LOOKS[noun](project, key, folder)
            except AppraiseError as error:
                faults.append(str(error))
    return Verification(files, partitions, tuple(faults))


def _decision(project: Project, key: str, folder: Path) -> list[str]:  # noqa: ARG001
    decision = Decision.read(folder)
    found = decision.own_id()
    if found == decision.decision_id:
        return []
    return [f"decision of {decision.target}: expected id {decision.decision_id}, found {found}"]


def _certificate(project: Project, key: str, folder: Path) -> list[str]:
    stated = read_if_there(ProgramCertificate, folder)
    if stated is None:
        return []
    found = recertified(project, key)[1]
    if found.relative_error <= stated.tolerance:
        return []
    return [
        f"{VALUES} {key}: expected an error within {stated.tolerance:g}, "
        f"found {found.relative_error:g}"
    ]


_LOOKS: Mapping[str, Callable[[Project, str, Path], list[str]]] = {
    "valuation_decision": _decision,
    VALUES: _certificate,
}


def recertified(project: Project, key: str) -> tuple[ProgramCertificate, Certificate]:
    """The certificate of values as stated, and the one that kernel and weights give now.

    Args:
        key: target and method.

    Raises:
        ArtifactError: the weights are those of another kernel, or have no certificate.
    """
    kernel = Kernel.read(project.open("kernel_matrix"))
    solved = SolvedProgram.read(project.open(VALUES, key), kernel, target_of(key))
    stated, weights = solved.certificate, solved.weights.numbers("weight")
    return stated, certify_program(solved.program, weights, stated.lam)
