"""The certificate of a solved program, as it is stated: what proves the weights."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from appraise.numerics.kmm import Solution
from appraise.numerics.rule import Lambda, RuleName
from appraise.numerics.valuation import Weighing
from appraise.records.record import Json, JsonRecord, Part, number
from appraise.records.values import STEP


class StatedLimits(Part):
    """The limits on the weights that were asked for; None for no such limit.

    Attributes:
        cap: largest weight of a dataset.
        caps: the same of datasets that have another one.
        owner_cap: largest weight of all of an owner's together.
        total: what all weights add up to.
    """

    cap: float | None = None
    caps: dict[str, float] = Field(default_factory=dict)
    owner_cap: float | None = None
    total: float | None = None


class StatedCertificate(Part):
    """Proof that weights solve their program, with what the solver says of itself.

    Attributes:
        lam: λ.
        lambda_max: the smallest λ at which all weights are 0.
        relative_lambda: λ as a part of it.
        rule: how λ was chosen.
        ridge: γ.
        nonnegative: whether the program asks for w ≥ 0.
        limits: on the weights.
        primal: of the program at these weights, plus half the target's squared norm.
        dual: a bound that no weights get below.
        gap: primal − dual: no other weights are better by more than this.
        kkt_violation: largest violation of the optimality conditions, in units of alignment.
        residual_norm: squared length of what the weighted mixture leaves of the target.
        relative_error: the larger of gap and violation, free of units.
        tolerance: what the relative error was held to.
        tau: the target's squared norm.
        condition_number: of K + γI; None where it is singular to working precision.
        min_eigenvalue: of K + γI.
        status, iterations, primal_residual, dual_residual: of the solver.
    """

    lam: float = Field(validation_alias="lambda", serialization_alias="lambda")
    lambda_max: float
    relative_lambda: float | None
    rule: str
    ridge: float
    nonnegative: bool
    limits: StatedLimits
    primal: float
    dual: float
    gap: float
    kkt_violation: float
    residual_norm: float
    relative_error: float
    tolerance: float
    tau: float
    condition_number: float | None
    min_eigenvalue: float
    status: str
    iterations: int
    primal_residual: float
    dual_residual: float


class ProgramCertificate(StatedCertificate, JsonRecord):
    """The content of `certificate.json`: of the program with w ≥ 0, and of the signed one."""

    FILE: ClassVar[str] = "certificate.json"
    SCHEMA: ClassVar[int] = 4
    STEP: ClassVar[str] = STEP

    signed: StatedCertificate

    @classmethod
    def stated(cls, weighing: Weighing, rule: str, limits: StatedLimits) -> ProgramCertificate:
        """What two solutions say of themselves.

        Args:
            weighing: both.
            rule: how λ was chosen.
            limits: that were asked for.
        """
        common: Json = {
            "rule": rule,
            "limits": limits.as_json(),
            "relative_lambda": weighing.lam.relative,
        }
        signed = _measured(weighing.signed) | common
        return cls.model_validate(_measured(weighing.solution) | common | {"signed": signed})

    def chosen_lambda(self) -> Lambda:
        """λ, with what it is a part of: resamples take theirs by the same rule."""
        relative = 1.0 if self.relative_lambda is None else self.relative_lambda
        rule: RuleName = "absolute" if self.rule == "absolute" else "relative"
        return Lambda(self.lam, self.lambda_max, self.tau, relative, rule)

    @property
    def proven(self) -> bool:
        """Whether what was measured is within the tolerance."""
        return self.relative_error <= self.tolerance


def _measured(solution: Solution) -> Json:
    proof, run = solution.certificate, solution.run
    named = (
        "lam", "lambda_max", "ridge", "nonnegative", "primal", "dual", "gap", "kkt_violation",
        "residual_norm", "relative_error", "tau", "min_eigenvalue",
    )  # fmt: skip
    return {
        **{name: getattr(proof, name) for name in named},
        "condition_number": number(proof.condition_number),
        "tolerance": solution.tolerance,
        "status": run.status,
        "iterations": run.iterations,
        "primal_residual": run.primal_residual,
        "dual_residual": run.dual_residual,
    }
