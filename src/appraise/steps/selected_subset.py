"""The datasets that each policy buys within the buyer's limits: k, budget, prices, lots.

Policies are those of `appraise.policies`. Whatever the policy, the set is refitted: its objective,
and a bound that no set within k and budget can beat. For the policy that decides also what every
other budget would buy, and what would have to change for each refused dataset to be bought.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from appraise.errors import ParamsError
from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import Point, changes, frontier, shadow_prices
from appraise.numerics.lots import Lots, lots_of
from appraise.numerics.selection import Given, Purchase
from appraise.numerics.stability import separations
from appraise.numerics.subsets import refit
from appraise.policies import POLICIES
from appraise.policies.policy import Policy
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.kmm_weights import CERTIFICATE, RESAMPLES, WEIGHTS, solved
from appraise.steps.step import Step, each_target
from appraise.storage.files import read_arrays, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd

    from appraise.numerics.kernel import Floats
    from appraise.numerics.program import Program

VALUES = {"kmm": "weight", "alignment": "cosine"}  # method → its column in the table of weights
SOLVED = "kmm"  # the method whose values are the optimum of a program, and are resampled


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
    depends_on, decides = POLICIES[policy].depends_on, policy == params.decide_by
    settings = {
        "policy": policy,
        "k": params.k,
        "budget": params.budget,
        "seed": params.seed if "seed" in depends_on else None,
        "time_limit": params.time_limit if "time_limit" in depends_on else None,
        "confidence": project.params.kmm_weights.confidence if decides else None,
        **_offers(project),
    }
    files = (WEIGHTS, CERTIFICATE, RESAMPLES) if decides else (WEIGHTS, CERTIFICATE)
    inputs = {f"kmm_weights/{target}/{f}": project.content("kmm_weights", target, f) for f in files}
    inputs[f"kernel_matrix/{KERNEL}"] = project.content("kernel_matrix", file=KERNEL)
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    for key in tqdm(keys, desc="selected_subset", unit="subset", disable=None, file=sys.stderr):
        target, policy = key.split("/")
        with STEP.writing(project, key) as folder:
            buyer = _Buyer(project, target)
            write_json(folder / "subset.json", buyer.subset(POLICIES[policy]))


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
        prices: Floats = table["price"].to_numpy("float64")
        k, budget = self.params.k, self.params.budget
        self.limits = buyer_limits(
            len(self.ids), prices, k=k, budget=budget, lots=self._lots(), ids=self.ids
        )

    def _lots(self) -> Lots:
        """Bundles and exclusions among the datasets that were valued."""
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
            return lots_of(len(self.ids), list(bundles.values()), pairs, barred)
        except ParamsError:
            both = [
                f"{self.ids[a]} and {self.ids[b]}"
                for a, b in pairs
                if any({a, b} <= set(members) for members in bundles.values())
            ]
            raise ParamsError(
                f"offers: expected no exclusion within a bundle, found one of {both[0]}; "
                "correct the pool"
            ) from None

    def given(self, policy: Policy) -> Given:
        """What a policy may look at."""
        values = None
        if policy.method is not None:
            if policy.method not in VALUES:
                raise ParamsError(
                    f"policy {policy.name}: expected values of one of the methods "
                    f"{', '.join(VALUES)}, found it to read those of {policy.method}; "
                    "take it out of selected_subset.policies"
                )
            values = self.table[VALUES[policy.method]].to_numpy("float64")
        given = Given(
            tuple(self.ids),
            self.limits,
            values,
            seed=self.params.seed,
            time_limit=self.params.time_limit,
        )
        if policy.method != SOLVED:
            return given
        mean_values = self.table["mean_weight"].to_numpy("float64")
        return replace(given, mean_values=mean_values, program=self.program, lam=self.lam)

    def subset(self, policy: Policy) -> dict[str, Any]:
        """The content of subset.json."""
        given = self.given(policy)
        purchase = policy.choose(given)
        content = {
            "policy": policy.name,
            "k": self.params.k,
            "budget": self.params.budget,
            "datasets": [self.ids[i] for i in purchase.chosen],
            "cost": purchase.cost,
            "currency": self.offers["currency"],
            **self.reached(purchase),
            "ranking": [
                {
                    "id": self.ids[i],
                    "score": float(purchase.scores[i]),
                    "eligible": purchase.reasons[i] != "ineligible",
                    "reason": self._said(self.ids[i], purchase.reasons[i]),
                }
                for i in purchase.ranking
            ],
        }
        if policy.name != self.params.decide_by:
            return content
        return content | self.alternatives(policy, given, purchase)

    def _said(self, dataset: str, reason: str) -> str:
        if reason != "ineligible":
            return reason
        bundle = self.offers["bundle"][dataset]
        return f"it is sold only with the whole of bundle {bundle}, of which a part was set aside"

    def reached(self, purchase: Purchase) -> dict[str, Any]:
        """Objective of the set with weights of its own, and how much better one could be."""
        objective, _ = refit(self.program, self.lam, sorted(purchase.chosen))
        bound, proof = refit(self.program, self.lam, range(len(self.ids)))[0], "relaxation"
        if purchase.proof is not None:
            bound, proof = purchase.proof.bound, purchase.proof.method
        return {
            "objective": objective,
            "bound": min(bound, objective),
            "gap": max(0.0, objective - bound),
            "proof": proof,
        }

    def alternatives(self, policy: Policy, given: Given, purchase: Purchase) -> dict[str, Any]:
        """Other budgets, what would have to change, and whether the cut is settled."""
        points = frontier(policy.choose, given)
        slopes = shadow_prices(points, self.limits)
        rate = self.certificate["exchange_rate"]
        scale = None if rate is None else float(self.certificate["penalty_scale"])
        return {
            "exchange_rate": rate,
            "shadow_price": slopes and {"more": slopes[0], "less": slopes[1]},
            "frontier": [self._point(point) for point in points],
            "changes": {
                self.ids[change.index]: {
                    "price": change.price,
                    "k": change.k,
                    "budget": change.budget,
                }
                for change in changes(policy.choose, given, points, scale)
            },
            "separations": self.separated(purchase),
        }

    def _point(self, point: Point) -> dict[str, Any]:
        return {
            "budget": point.budget,
            "cost": point.cost,
            "datasets": [self.ids[i] for i in point.chosen],
            "objective": point.objective,
            "matched": point.matched,
        }

    def separated(self, purchase: Purchase) -> dict[str, Any]:
        """For each dataset, whether other preview rows might have turned the choice round."""
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
            for one in separations(draws, purchase.chosen, rows, confidence)
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
