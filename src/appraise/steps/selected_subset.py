"""The datasets that each policy buys: at most k, within budget, in the order of its scores.

`kmm` by weight, `one_step` by cosine alignment, `random` by a seeded draw, `all` everything,
`none` and `target_only` nothing. What costs more than is left of the budget is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.artifacts import read_json, read_table, write_json
from appraise.project import Project, Recipe
from appraise.steps.step import Step

if TYPE_CHECKING:
    from appraise.numerics.selection import Selection

WEIGHTS = "weights.parquet"


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
    name = f"kmm_weights/{target}/{WEIGHTS}"
    return Recipe(STEP.version, settings, {name: project.content("kmm_weights", target, WEIGHTS)})


def _make(project: Project, keys: Sequence[str]) -> None:
    from appraise.numerics.selection import select

    params = project.params.selected_subset
    for key in keys:
        target, policy = key.split("/")
        with STEP.writing(project, key) as folder:
            table = read_table(project.open("kmm_weights", target) / WEIGHTS)
            selection = select(
                policy,
                ids=list(table["id"]),
                weights=table["weight"].to_numpy("float64"),
                alignment=table["cosine"].to_numpy("float64"),
                prices=table["price"].to_numpy("float64"),
                k=params.k,
                budget=params.budget,
                seed=params.seed,
            )
            write_json(folder / "subset.json", _subset(project, list(table["id"]), selection))


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
    needs=("kmm_weights", "offers"),
    partitions="target/policy",
    keys=_keys,
    recipe=_recipe,
    make=_make,
)
