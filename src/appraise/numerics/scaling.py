"""A program brought to unit diagonal for OSQP, and what counts as exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appraise.numerics.kernel import Floats
from appraise.numerics.program import Program

GOOD = 1e-9  # relative error at which OSQP need not be asked
HAIR = 1e-9  # a weight below this part of the largest is 0: the dataset stands at its threshold
OSQP_SETTINGS = {
    "eps_abs": 1e-9,
    "eps_rel": 1e-9,
    "max_iter": 100_000,
    "polishing": True,
    "eps_prim_inf": 1e-9,
    "eps_dual_inf": 1e-9,
    "verbose": False,
}


@dataclass(frozen=True)
class Scaled:
    """The program with unit diagonal and alignments of at most 1: w = size · u / d."""

    H: Floats
    c: Floats
    threshold: Floats
    d: Floats
    size: float


def scaled_program(program: Program, lam: float) -> Scaled:
    """The program at this λ, scaled."""
    d = np.sqrt(np.maximum(np.diag(program.H), 0.0))
    d[d == 0] = 1.0
    size = float(np.abs(program.c / d).max(initial=0.0)) or 1.0
    threshold = lam * program.penalties / (d * size)
    return Scaled(program.H / np.outer(d, d), program.c / (d * size), threshold, d, size)
