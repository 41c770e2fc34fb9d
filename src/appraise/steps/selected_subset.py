"""The datasets that each policy buys: at most k, within budget, in the order of its scores.

`kmm` by weight; `greedy` and `best_subset` by the objective of the set itself, one after the other
with refit or the best of all sets; `one_step` by cosine alignment; `random` by a seeded draw;
`all` everything; `none` and `target_only` nothing. What costs more than is left of the budget is
skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.artifacts import read_json, read_table, write_json
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.kmm_weights import CERTIFICATE, WEIGHTS, solved
from appraise.steps.step import Step, each_target

if TYPE_CHECKING:
    import pandas as pd

    from appraise.numerics.selection import Selection


def _keys(project: Project) -> list[str]:
    policies = project.params.policies()
    return [f"{target}/{policy}" for target in each_target(project) for policy in policies]


def _currency(project: Project) -> str:
    return str(read_json(project.open("offers") / "offers.json")["currency"])


def _recipe(project: Project, key: str) -> Recipe:
    from appraise.numerics.selection import BY_OBJECTIVE

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
    from appraise.numerics.selection import BY_OBJECTIVE, select, select_by_objective

    params = project.params.selected_subset
    common: dict[str, Any] = {
        "ids": list(table["id"]),
        "prices": table["price"].to_numpy("float64"),
        "k": params.k,
        "budget": params.budget,
    }
    if policy in BY_OBJECTIVE:
        program, _, stated = solved(project, target)
        return select_by_objective(policy, program, stated["lambda"], **common)
    weights, alignment = (table[name].to_numpy("float64") for name in ("weight", "cosine"))
    return select(policy, weights=weights, alignment=alignment, seed=params.seed, **common)


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
