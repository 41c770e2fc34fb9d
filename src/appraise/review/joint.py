"""One purchase for several targets: their weighted combination, and the worst served of them.

Reads the kernel that the targets share, and computes on the spot; nothing is written. The question
is that of the targets' own valuations: penalties, ridge, limits, and λ as a part of λ_max. Of a
pool too large for a kernel matrix only the candidates take part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from appraise.errors import OfferError, ParamsError, SolverError
from appraise.project import Project
from appraise.storage.files import read_arrays, read_json

if TYPE_CHECKING:
    from appraise.numerics.question import Question


def joint(project: Project, shares: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Weights for all targets together, with what proves them.

    Args:
        project: with a kernel matrix.
        shares: target → its share in the combination; None for equal shares.

    Returns:
        "targets"; "shares" of the combination and of the worst case; "weights": dataset → one for
        each target alone by its name, "combined" and "worst_case"; "objectives" of the worst case
        for each target; "gaps".

    Raises:
        ParamsError: a share is of no target, or negative, or all are 0; or λ is chosen on a path,
            which several targets together have not.
        OfferError: what is asked does not fit the offers.
        SolverError: a program is ill-posed.
    """
    import numpy as np

    from appraise.numerics.kmm import Solution, solve_program
    from appraise.numerics.program import Program
    from appraise.numerics.targets import Targets, worst_case

    arrays, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    names, ids = meta["targets"], meta["ids"]
    wanted, question = _shares(names, shares), _question(project, ids)
    targets = Targets(arrays["K"], arrays["C"], arrays["T"] @ arrays["T"].T)

    def solved(program: Program) -> Solution:
        lam = question.rule.relative * program.lambda_max()
        return solve_program(program, lam, question.tolerance)

    each = {
        name: solved(targets.combined(np.eye(len(names))[row], question))
        for row, name in enumerate(names)
    }
    alpha = np.array([wanted[name] for name in names])
    each["combined"] = solved(targets.combined(alpha, question))
    worst = worst_case(targets, question)
    columns = {name: one.weights for name, one in each.items()} | {"worst_case": worst.weights}
    return {
        "targets": list(names),
        "shares": {
            "combined": dict(zip(names, (alpha / alpha.sum()).tolist(), strict=True)),
            "worst_case": dict(zip(names, worst.shares.tolist(), strict=True)),
        },
        "weights": {
            name: {column: float(weights[i]) for column, weights in columns.items()}
            for i, name in enumerate(ids)
        },
        "objectives": dict(zip(names, worst.objectives.tolist(), strict=True)),
        "gaps": {name: one.certificate.gap for name, one in each.items()}
        | {"worst_case": worst.gap},
    }


def _shares(names: list[str], shares: Mapping[str, float] | None) -> dict[str, float]:
    unknown = sorted(set(shares or {}) - set(names))
    if unknown:
        raise ParamsError(
            f"share: expected targets of the kernel ({', '.join(names)}), found "
            f"{', '.join(unknown)}; see target_sets in params.yaml"
        )
    return {name: 1.0 if shares is None else float(shares.get(name, 0.0)) for name in names}


def _question(project: Project, ids: list[str]) -> Question:
    """That of `kmm_weights`, where it can be asked of several targets together."""
    from appraise.methods.questions import question_of

    settings = project.params.kmm_weights
    if settings.rule != "relative":
        raise ParamsError(
            f"joint: expected kmm_weights.rule relative, because several targets together have no "
            f"path on which a {settings.rule} could be counted, found {settings.rule}; set it to "
            "relative"
        )
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    offered = {offer["id"]: (float(offer["price"]), str(offer["provider"])) for offer in offers}
    missing = [name for name in ids if name not in offered]
    if missing:
        raise OfferError(
            f"offers: expected an offer for every dataset of the kernel, found none for "
            f"{', '.join(missing)}; run `appraise kernel-matrix`"
        )
    prices, owners = [offered[name][0] for name in ids], [offered[name][1] for name in ids]
    try:
        return question_of(settings, ids, prices, owners)
    except SolverError as error:
        raise OfferError(f"offers: {error}") from None
