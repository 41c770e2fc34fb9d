"""The program that a written valuation solves, put together again from its records."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appraise.errors import ArtifactError
from appraise.numerics.limits import Limits, limits
from appraise.numerics.program import Program
from appraise.records.kernel import Kernel
from appraise.records.values import STEP, ProgramCertificate, StatedLimits, WeightsTable


def stated_program(
    kernel: Kernel, target: str, weights: WeightsTable, certificate: ProgramCertificate
) -> Program:
    """The program of one target, whose solution `weights` are.

    Raises:
        ArtifactError: the weights are those of another kernel.
    """
    if weights.ids != list(kernel.ids) or target not in kernel.targets:
        raise ArtifactError(
            f"{STEP} {target}: expected the kernel's datasets, found others; "
            f"run `appraise {STEP.replace('_', '-')}` again"
        )
    row = kernel.row(target)
    return Program(
        kernel.K,
        kernel.C[row],
        float(kernel.tau[row]),
        weights.numbers("penalty"),
        certificate.ridge,
        certificate.nonnegative,
        bounds(weights.ids, weights.texts("owner"), certificate.limits),
    )


@dataclass(frozen=True)
class Solved:
    """A program with its solution, as they were written.

    Attributes:
        program: over the kernel's datasets.
        weights: a row for each of them.
        certificate: that the weights solve the program.
    """

    program: Program
    weights: WeightsTable
    certificate: ProgramCertificate

    @property
    def lam(self) -> float:
        """λ."""
        return self.certificate.lam

    @classmethod
    def of(
        cls, kernel: Kernel, target: str, weights: WeightsTable, certificate: ProgramCertificate
    ) -> Solved:
        """Put them together; ArtifactError where the weights are those of another kernel."""
        program = stated_program(kernel, target, weights, certificate)
        return cls(program, weights, certificate)


def bounds(ids: list[str], owners: list[str], asked: StatedLimits) -> Limits | None:
    """The limits that were asked for, on these datasets; ids that are not there do not count."""
    caps = [asked.caps.get(name, asked.cap or math.inf) for name in ids]
    some = any(map(math.isfinite, caps))
    return limits(owners, caps if some else None, asked.owner_cap, asked.total)
