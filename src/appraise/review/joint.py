"""One purchase for several targets: their weighted combination, and the worst served of them.

Asks of the kernel that the targets share what `kmm_weights` says, limits included, and
computes on the spot; nothing is written. Of a pool too large for a kernel only the candidates take
part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from appraise.errors import ParamsError
from appraise.methods.questions import question_of
from appraise.numerics.kmm import Solution, solve_program
from appraise.numerics.program import Program
from appraise.numerics.question import Question
from appraise.numerics.targets import Targets, worst_case
from appraise.project import Project
from appraise.records.kernel import Kernel
from appraise.records.record import Json
from appraise.steps.dataset_values import REMEDY
from appraise.steps.offered import offered


@dataclass(frozen=True)
class Shares:
    """What each target counts, adding up to 1.

    Attributes:
        combined: in the combination, as asked.
        worst_case: in the combination whose optimum serves the worst served target best.
    """

    combined: dict[str, float]
    worst_case: dict[str, float]


@dataclass(frozen=True)
class Joint:
    """Weights for all targets together, with what proves them.

    Attributes:
        targets: of the kernel.
        shares: of the targets.
        weights: dataset → its weight for each target alone by the target's name, for the
            `combined` one, and in the `worst_case`.
        objectives: of the worst case, for each target.
        gaps: how far each optimum may be from what is proven, by the same names.
    """

    targets: list[str]
    shares: Shares
    weights: dict[str, dict[str, float]]
    objectives: dict[str, float]
    gaps: dict[str, float]

    def as_json(self) -> Json:
        """For programs."""
        return asdict(self)


def joint(project: Project, shares: Mapping[str, float] | None = None) -> Joint:
    """Weigh the datasets for all targets together.

    Args:
        project: with a kernel matrix.
        shares: target → its share in the combination; None for equal shares.

    Raises:
        ParamsError: a share is of no target, or negative, or all are 0; λ's rule needs a path.
        SolverError: a program is ill-posed.
    """
    kernel = project.read(Kernel, "kernel_matrix")
    names, ids = list(kernel.targets), list(kernel.ids)
    alpha = _shares(names, shares)
    _, owners = offered(project, ids, REMEDY).of(ids)
    question = question_of(project.params.kmm_weights, ids, owners)
    if question.rule.needs_path:
        raise ParamsError(
            "joint: expected kmm_weights.rule absolute or relative, because several targets "
            f"together have no path on which a {question.rule.name} could be counted, found "
            f"{question.rule.name}; set it to absolute"
        )
    targets = Targets(kernel.K, kernel.C, kernel.T @ kernel.T.T)
    worst = worst_case(targets, question)
    alone = np.eye(len(names))
    solutions = {
        name: _solved(targets.combined(alone[row], question), question)
        for row, name in enumerate(names)
    }
    solutions["combined"] = _solved(targets.combined(alpha, question), question)
    weights = {name: one.weights for name, one in solutions.items()}
    weights["worst_case"] = worst.weights
    gaps = {name: one.certificate.gap for name, one in solutions.items()}
    return Joint(
        names,
        Shares(_by_name(names, alpha / alpha.sum()), _by_name(names, worst.shares)),
        {
            dataset: {name: float(column[i]) for name, column in weights.items()}
            for i, dataset in enumerate(ids)
        },
        _by_name(names, worst.objectives),
        gaps | {"worst_case": worst.gap},
    )


def _solved(program: Program, question: Question) -> Solution:
    """At the λ that the question asks for."""
    lam = question.rule.at(0.0, program.lambda_max(), program.tau)
    return solve_program(program, lam.value, question.tolerance)


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _shares(names: Sequence[str], shares: Mapping[str, float] | None) -> np.ndarray:
    unknown = sorted(set(shares or {}) - set(names))
    if unknown:
        raise ParamsError(
            f"share: expected targets of the kernel ({', '.join(names)}), found "
            f"{', '.join(unknown)}; see target_sets in params.yaml"
        )
    return np.array([1.0 if shares is None else shares.get(name, 0.0) for name in names])
