"""The datasets that each policy buys: at most k, within budget, in the order of its scores.

`kmm` by weight; `kmm_bagged` by the average weight over resamples; `greedy` and `best_subset` by
the objective of the set itself, one after the other with refit or the best of all sets; `one_step`
by cosine alignment; `random` by a seeded draw; `all` everything; `none` and `target_only` nothing.
What costs more than is left of the budget is skipped; bundles are bought whole, and of two datasets
that exclude each other one.

Whatever the policy, the set is refitted: its objective, and a bound that no set within k and budget
can beat. For `kmm` also what every other budget would buy, and what would have to change for each
refused dataset to be bought.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.errors import ParamsError
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.kmm_weights import CERTIFICATE, RESAMPLES, WEIGHTS, solved
from appraise.steps.step import Step, each_target
from appraise.storage.files import read_arrays, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

    from appraise.numerics.kernel import Floats
    from appraise.numerics.lots import Lots
    from appraise.numerics.program import Program
    from appraise.numerics.selection import Selection
    from appraise.numerics.subsets import Subset


def _keys(project: Project) -> list[str]:
    policies = project.params.policies()
    return [f"{target}/{policy}" for target in each_target(project) for policy in policies]


def _offers(project: Project) -> dict[str, Any]:
    """What of the offers matters here: the currency, and what is sold with or without what."""
    pool = read_json(project.open("offers") / "offers.json")
    sold = {
        name: {offer["id"]: offer[name] for offer in pool["offers"] if offer.get(name)}
        for name in ("bundle", "excludes")
    }
    return {"currency": str(pool["currency"]), **sold}


def _recipe(project: Project, key: str) -> Recipe:
    target, policy = key.split("/")
    params = project.params.selected_subset
    settings = {
        "policy": policy,
        "k": params.k,
        "budget": params.budget,
        "seed": params.seed if policy == "random" else None,
        "time_limit": params.time_limit if policy == "best_subset" else None,
        "confidence": project.params.kmm_weights.confidence if policy == "kmm" else None,
        **_offers(project),
    }
    files = (WEIGHTS, CERTIFICATE, RESAMPLES) if policy == "kmm" else (WEIGHTS, CERTIFICATE)
    inputs = {f"kmm_weights/{target}/{f}": project.content("kmm_weights", target, f) for f in files}
    inputs[f"kernel_matrix/{KERNEL}"] = project.content("kernel_matrix", file=KERNEL)
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    for key in tqdm(keys, desc="selected_subset", unit="subset", disable=None, file=sys.stderr):
        target, policy = key.split("/")
        with STEP.writing(project, key) as folder:
            buyer = _Buyer(project, target)
            write_json(folder / "subset.json", buyer.subset(policy))


class _Buyer:
    """Everything that a purchase for one target rests on."""

    def __init__(self, project: Project, target: str) -> None:
        self.project, self.target = project, target
        self.params, self.offers = project.params.selected_subset, _offers(project)
        program, table, stated = solved(project, target)
        self.program: Program = program
        self.table: pd.DataFrame = table
        self.certificate: dict[str, Any] = stated
        self.lam = float(stated["lambda"])
        self.ids = list(table["id"])
        self.prices: Floats = table["price"].to_numpy("float64")
        self.weights: Floats = table["weight"].to_numpy("float64")
        self.lots = self._lots()

    def _lots(self) -> Lots:
        """Bundles and exclusions among the datasets that were valued."""
        from appraise.numerics.lots import lots

        place = {name: i for i, name in enumerate(self.ids)}
        bundles: dict[str, list[int]] = {}
        for name, bundle in self.offers["bundle"].items():
            if name in place:
                bundles.setdefault(bundle, []).append(place[name])
        pairs = [
            (place[name], place[other])
            for name, others in self.offers["excludes"].items()
            for other in others
            if name in place and other in place
        ]
        whole = Counter(self.offers["bundle"].values())
        barred = [  # sold only with one that was set aside: what all of it costs is not known here
            i for name, found in bundles.items() if len(found) < whole[name] for i in found
        ]
        try:
            return lots(len(self.ids), list(bundles.values()), pairs, barred)
        except ParamsError:
            both = [
                f"{self.ids[a]} and {self.ids[b]}"
                for a, b in pairs
                if any({a, b} <= set(members) for members in bundles.values())
            ]
            raise ParamsError(
                f"offers: expected no exclusion within a bundle, found one of {both[0]}; "
                "mend the pool"
            ) from None

    def subset(self, policy: str) -> dict[str, Any]:
        """The content of subset.json."""
        selection, found = self.bought(policy)
        params = self.params
        content = {
            "policy": policy,
            "k": params.k,
            "budget": params.budget,
            "datasets": [self.ids[i] for i in selection.chosen],
            "cost": selection.cost,
            "currency": self.offers["currency"],
            **self.reached(selection, found),
            "ranking": [
                {
                    "id": self.ids[i],
                    "score": float(selection.scores[i]),
                    "eligible": selection.reasons[i] != "ineligible",
                    "reason": self._said(self.ids[i], selection.reasons[i]),
                }
                for i in selection.ranking
            ],
        }
        return content | self.alternatives(selection) if policy == "kmm" else content

    def _said(self, dataset: str, reason: str) -> str:
        if reason != "ineligible":
            return reason
        bundle = self.offers["bundle"][dataset]
        return f"it is sold only with the whole of bundle {bundle}, of which a part was set aside"

    def bought(self, policy: str) -> tuple[Selection, Subset | None]:
        """What a policy buys; with its proof where it goes by the objective."""
        from appraise.numerics.selection import BY_OBJECTIVE, select_by_objective

        if policy not in BY_OBJECTIVE:
            limits = self.params.k, self.params.budget
            return self.rule(self.weights, self.prices, *limits, policy), None
        return select_by_objective(
            policy,
            self.program,
            self.lam,
            ids=self.ids,
            prices=self.prices,
            k=self.params.k,
            budget=self.params.budget,
            lots=self.lots,
            seconds=self.params.time_limit,
        )

    def rule(
        self,
        weights: Floats,
        prices: Floats,
        k: int | None,
        budget: float | None,
        policy: str = "kmm",
    ) -> Selection:
        """What a policy that ranks by scores buys, at these prices and with this much."""
        from appraise.numerics.selection import select

        return select(
            policy,
            ids=self.ids,
            weights=weights,
            mean_weights=self.table["mean_weight"].to_numpy("float64"),
            alignment=self.table["cosine"].to_numpy("float64"),
            prices=prices,
            k=k,
            budget=budget,
            seed=self.params.seed,
            lots=self.lots,
        )

    def reached(self, selection: Selection, found: Subset | None) -> dict[str, Any]:
        """Objective of the set with weights of its own, and how much better one could be."""
        from appraise.numerics.subsets import refit

        objective, _ = refit(self.program, self.lam, sorted(selection.chosen))
        everything = range(len(self.ids))
        bound = refit(self.program, self.lam, everything)[0] if found is None else found.bound
        return {
            "objective": objective,
            "bound": min(bound, objective),
            "gap": max(0.0, objective - bound),
            "proof": "relaxation" if found is None else found.method,
        }

    def alternatives(self, selection: Selection) -> dict[str, Any]:
        """Other budgets, what would have to change, and whether the cut is settled."""
        from appraise.numerics.counterfactual import changes, frontier, shadow_prices

        weights, k, budget = self.weights, self.params.k, self.params.budget
        points = frontier(self.program, self.lam, weights, self.prices, k, self.rule)
        more, less = shadow_prices(points, budget)
        rate = self.certificate["exchange_rate"]
        scale = None if rate is None else float(self.certificate["penalty_scale"])
        found = changes(
            self.program, self.lam, weights, self.prices, k, budget, self.rule, scale, points
        )
        return {
            "exchange_rate": rate,
            "shadow_price": {"more": more, "less": less},
            "frontier": [
                {
                    "budget": point.budget,
                    "cost": point.cost,
                    "datasets": [self.ids[i] for i in point.chosen],
                    "objective": point.objective,
                    "matched": point.matched,
                }
                for point in points
            ],
            "changes": {
                self.ids[one.index]: {"price": one.price, "k": one.k, "budget": one.budget}
                for one in found
            },
            "separations": self.separated(selection),
        }

    def separated(self, selection: Selection) -> dict[str, Any]:
        """For each dataset, whether other preview rows might have turned the choice round."""
        from appraise.numerics.stability import separations

        folder = self.project.open("kmm_weights", self.target)
        draws = read_arrays(folder / RESAMPLES)[0]["weights"]
        confidence = self.project.params.kmm_weights.confidence
        rows = int(self.table["rows"].max())
        return {
            self.ids[one.index]: {
                "rival": self.ids[one.rival],
                "difference": one.difference,
                "low": one.low,
                "high": one.high,
                "tied": one.tied,
                "more_rows": one.more_rows,
            }
            for one in separations(draws, selection.chosen, rows, confidence)
        }


STEP = Step(
    noun="selected_subset",
    needs=("kmm_weights", "kernel_matrix", "offers"),
    partitions="target/policy",
    keys=_keys,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: objective and bound of every set; other budgets, changes, bundles
)
