"""The datasets that each policy buys: at most k, within budget, in the order of its scores.

`kmm` by weight; `greedy` and `best_subset` by the objective of the set itself, one after the other
with refit or the best of all sets; `one_step` by cosine alignment; `random` by a seeded draw;
`all` everything; `none` and `target_only` nothing. What costs more than is left of the budget is
skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.artifacts import read_arrays, read_json, read_table, write_json
from appraise.errors import ArtifactError
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.step import Step

if TYPE_CHECKING:
    import pandas as pd

    from appraise.numerics.program import Program
    from appraise.numerics.selection import Selection

WEIGHTS, CERTIFICATE = "weights.parquet", "certificate.json"
BY_OBJECTIVE = ("greedy", "best_subset")


def _keys(project: Project) -> list[str]:
    targets = sorted(project.params.target_sets)
    return [f"{target}/{policy}" for target in targets for policy in project.params.policies()]


def _currency(project: Project) -> str:
    return str(read_json(project.open("offers") / "offers.json")["currency"])


def _recipe(project: Project, key: str) -> Recipe:
    target, policy = key.split("/")
    params = project.params.selected_subset
    settings = {
        "policy": policy,
        "k": params.k,
        "budget": params.budget,
        "seed": params.seed if policy == "random" else None,
        "currency": _currency(project),
    }
    files = (WEIGHTS, CERTIFICATE) if policy in BY_OBJECTIVE else (WEIGHTS,)
    inputs = {f"kmm_weights/{target}/{f}": project.content("kmm_weights", target, f) for f in files}
    if policy in BY_OBJECTIVE:
        inputs[f"kernel_matrix/{KERNEL}"] = project.content("kernel_matrix", file=KERNEL)
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in keys:
        target, policy = key.split("/")
        with STEP.writing(project, key) as folder:
            table = read_table(project.open("kmm_weights", target) / WEIGHTS)
            selection = _selection(project, target, policy, table)
            write_json(folder / "subset.json", _subset(project, list(table["id"]), selection))


def _selection(project: Project, target: str, policy: str, table: pd.DataFrame) -> Selection:
    from appraise.numerics.selection import select, select_by_objective

    params = project.params.selected_subset
    common: dict[str, Any] = {
        "ids": list(table["id"]),
        "prices": table["price"].to_numpy("float64"),
        "k": params.k,
        "budget": params.budget,
    }
    if policy in BY_OBJECTIVE:
        program, lam = _program(project, target, table)
        return select_by_objective(policy, program, lam, **common)
    weights, alignment = (table[name].to_numpy("float64") for name in ("weight", "cosine"))
    return select(policy, weights=weights, alignment=alignment, seed=params.seed, **common)


def _program(project: Project, target: str, table: pd.DataFrame) -> tuple[Program, float]:
    """The program whose weights these are, and λ."""
    from appraise.numerics.program import Program

    arrays, meta = read_arrays(project.open("kernel_matrix") / KERNEL)
    stated = read_json(project.open("kmm_weights", target) / CERTIFICATE)
    if list(table["id"]) != meta["ids"] or target not in meta["targets"]:
        raise ArtifactError(
            f"kmm_weights {target}: expected the kernel's datasets, found others; "
            "run `appraise kmm-weights` again"
        )
    row = meta["targets"].index(target)
    penalties, tau = table["penalty"].to_numpy("float64"), float(arrays["tau"][row])
    program = Program(arrays["K"], arrays["C"][row], tau, penalties, float(stated["ridge"]))
    return program, float(stated["lambda"])


def _subset(project: Project, ids: Sequence[str], selection: Selection) -> dict[str, Any]:
    """The content of subset.json."""
    params = project.params.selected_subset
    return {
        "policy": selection.policy,
        "k": params.k,
        "budget": params.budget,
        "datasets": [ids[i] for i in selection.chosen],
        "cost": selection.cost,
        "currency": _currency(project),
        "ranking": [
            {
                "id": ids[i],
                "score": float(selection.scores[i]),
                "eligible": selection.reasons[i] != "ineligible",
                "reason": selection.reasons[i],
            }
            for i in selection.ranking
        ],
    }


STEP = Step(
    noun="selected_subset",
    needs=("kmm_weights", "kernel_matrix", "offers"),
    partitions="target/policy",
    keys=_keys,
    recipe=_recipe,
    make=_make,
)
