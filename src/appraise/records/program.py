"""The program that a written valuation solves, put together again from its records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appraise.errors import ArtifactError
from appraise.numerics.limits import Limits, limits
from appraise.numerics.program import Program
from appraise.records.certificate import ProgramCertificate, StatedLimits
from appraise.records.kernel import Kernel
from appraise.records.values import STEP, WeightsTable


@dataclass(frozen=True)
class SolvedProgram:
    """A target's program with its solution, as they were written.

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
    def read(cls, folder: Path, kernel: Kernel, target: str) -> SolvedProgram:
        """Of a partition of values.

        Raises:
            ArtifactError: there is no certificate, or the weights are those of another kernel.
        """
        weights, certificate = WeightsTable.read(folder), ProgramCertificate.read(folder)
        return cls.of(kernel, target, weights, certificate)

    @classmethod
    def of(
        cls, kernel: Kernel, target: str, weights: WeightsTable, certificate: ProgramCertificate
    ) -> SolvedProgram:
        """Put them together; ArtifactError where the weights are those of another kernel."""
        if weights.ids != list(kernel.ids) or target not in kernel.targets:
            raise ArtifactError(
                f"{STEP} {target}: expected the kernel's datasets, found others; "
                f"run `appraise {STEP.replace('_', '-')}` again"
            )
        row = kernel.row(target)
        program = Program(
            kernel.K,
            kernel.C[row],
            float(kernel.tau[row]),
            np.ones(len(kernel.ids)),
            certificate.ridge,
            certificate.nonnegative,
            bounds(weights.ids, weights.texts("owner"), certificate.limits),
        )
        return cls(program, weights, certificate)


def bounds(ids: Sequence[str], owners: Sequence[str], asked: StatedLimits) -> Limits | None:
    """The limits that were asked for, on these datasets; ids that are not there do not count."""
    caps = [asked.caps.get(name, asked.cap or math.inf) for name in ids]
    some = any(map(math.isfinite, caps))
    return limits(owners, caps if some else None, asked.owner_cap, asked.total)
