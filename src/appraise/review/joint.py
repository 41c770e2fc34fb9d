"""One purchase for several targets: their weighted combination, and the worst served of them.

Reads the kernel that the targets share, and computes on the spot; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from appraise.errors import ParamsError
from appraise.project import Project
from appraise.storage.files import read_arrays, read_json

if TYPE_CHECKING:
    from appraise.numerics.kernel import Floats


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
        ParamsError: a share is of no target, or negative, or all are 0.
        SolverError: a program is ill-posed.
    """
    import numpy as np

    from appraise.numerics.kmm import Solution, solve_program
    from appraise.numerics.program import Program
    from appraise.numerics.targets import Targets, worst_case

    arrays, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    names, ids, params = meta["targets"], meta["ids"], project.params.kmm_weights
    wanted = _shares(names, shares)
    penalties = _penalties(project, ids)
    targets = Targets(arrays["K"], arrays["C"], arrays["T"] @ arrays["T"].T)

    def solved(program: Program) -> Solution:
        lam = params.relative_lambda * program.lambda_max()
        return solve_program(program, lam, params.tolerance)

    each = {
        name: solved(targets.combined(np.eye(len(names))[row], penalties, params.ridge))
        for row, name in enumerate(names)
    }
    alpha = np.array([wanted[name] for name in names])
    each["combined"] = solved(targets.combined(alpha, penalties, params.ridge))
    worst = worst_case(
        targets,
        relative_lambda=params.relative_lambda,
        penalties=penalties,
        ridge=params.ridge,
        tolerance=params.tolerance,
    )
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
    strangers = sorted(set(shares or {}) - set(names))
    if strangers:
        raise ParamsError(
            f"share: expected targets of the kernel ({', '.join(names)}), found "
            f"{', '.join(strangers)}; see target_sets in params.yaml"
        )
    return {name: 1.0 if shares is None else float(shares.get(name, 0.0)) for name in names}


def _penalties(project: Project, ids: list[str]) -> Floats | None:
    """Those of `kmm_weights`: the prices over their mean, or 1."""
    from appraise.numerics.kmm import price_penalties

    if project.params.kmm_weights.penalty == "uniform":
        return None
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    prices = {offer["id"]: float(offer["price"]) for offer in offers}
    return price_penalties([prices[name] for name in ids], ids)[0]
