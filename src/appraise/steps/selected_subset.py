"""The datasets that each policy buys: at most k, within budget (`appraise.policies`).

Whatever the policy, the set is refitted where a method has a program: its objective, and a bound
that no set within k and budget can beat. For the policy that decides also what every other budget
would buy, and what would have to change for each refused dataset to be bought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import JsonValue

from appraise.errors import ParamsError
from appraise.methods import METHODS
from appraise.numerics import selection
from appraise.numerics.buying import BuyerLimits
from appraise.numerics.counterfactual import Point, changes, frontier, shadow_prices
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots, lots_of
from appraise.numerics.selection import Purchase
from appraise.numerics.stability import separations
from appraise.numerics.subsets import refit
from appraise.policies import POLICIES
from appraise.project import Project
from appraise.project.keys import joined, name_of, target_of
from appraise.project.reads import Fact, Given, Part, Reads
from appraise.records.certificate import ProgramCertificate
from appraise.records.kernel import Kernel
from appraise.records.program import SolvedProgram
from appraise.records.subset import (
    Alternatives,
    Change,
    FrontierPoint,
    Ranked,
    Reached,
    Separation,
    ShadowPrice,
    Subset,
)
from appraise.records.values import Resamples, WeightsTable
from appraise.steps.dataset_values import METHOD_NAMES, REMEDY, kernel_ids
from appraise.steps.offered import Offered, Sold, offered, sold
from appraise.steps.progress import Progress
from appraise.steps.step import Keys, Output, Step, targets

VALUES = "dataset_values"


def by_policy(project: Project) -> list[str]:
    """target/policy for every target and every policy that means something here."""
    policies = project.params.policies()
    return [joined(target, policy) for target in targets(project) for policy in policies]


def proving(project: Project, key: str) -> list[str]:
    """The values with a proof, whose program says how good any set is; none without such."""
    methods = [name for name in project.params.methods() if METHODS[name].proves]
    return [joined(target_of(key), name) for name in methods[:1]]


def _own(_: Project, key: str) -> list[str]:
    """The values that the policy reads; none where it reads none."""
    method = POLICIES[name_of(key)].method
    return [] if method is None else [joined(target_of(key), method)]


def _valued(project: Project, key: str) -> list[str]:
    return list(dict.fromkeys([*_own(project, key), *proving(project, key)]))


def _resampled(project: Project, key: str) -> list[str]:
    """Of the policy that decides: the values whose resamples say whether its cut is settled."""
    if not decides(project, key):
        return []
    return [
        own for own in _own(project, key) if Resamples.FILE in project.manifest(VALUES, own).files
    ]


def decides(project: Project, key: str) -> bool:
    """Whether the policy's purchase is the decision."""
    return name_of(key) == project.params.selected_subset.decide_by


def _offered(project: Project, _: str) -> JsonValue:
    return offered(project, kernel_ids(project), REMEDY).model_dump(mode="json")


def _sold(project: Project, _: str) -> JsonValue:
    return sold(project).model_dump(mode="json")


def _seed(project: Project, key: str) -> int | None:
    depends = "seed" in POLICIES[name_of(key)].depends_on
    return project.params.selected_subset.seed if depends else None


def _time_limit(project: Project, key: str) -> float | None:
    depends = "time_limit" in POLICIES[name_of(key)].depends_on
    return project.params.selected_subset.time_limit if depends else None


def _confidence(project: Project, key: str) -> float | None:
    return project.params.dataset_values.confidence if decides(project, key) else None


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        yield Output(given.key, (_Buyer(given).subset(),))


class _Buyer:
    """Everything that a policy's purchase for one target rests on."""

    def __init__(self, given: Given) -> None:
        self.given, self.policy = given, POLICIES[name_of(given.key)]
        self.kernel = given.read(Kernel, "kernel_matrix")
        self.ids, self.sold = list(self.kernel.ids), Sold.model_validate(given.fact("sold"))
        self.proof = self._proof()
        self.values, self.mean_values = self._values()
        self.question = self._question()

    def _proof(self) -> SolvedProgram | None:
        """The program of the method that has one."""
        for key in self.given.fact("proving"):
            weights = self.given.read(WeightsTable, VALUES, key)
            certificate = self.given.read(ProgramCertificate, VALUES, key)
            return SolvedProgram.of(self.kernel, target_of(key), weights, certificate)
        return None

    def _values(self) -> tuple[Floats | None, Floats | None]:
        """The values that the policy reads, and their averages over resamples."""
        if self.policy.method is None:
            return None, None
        table = self.given.read(WeightsTable, VALUES, self._own)
        means = table.numbers("mean_weight") if "mean_weight" in table.table else None
        return table.numbers("weight"), means

    @property
    def _ranks_by_its_proof(self) -> bool:
        """Whether the policy's values are the optimum of the program that rates sets."""
        return self.policy.method is not None and [self._own] == self.given.fact("proving")

    @property
    def _own(self) -> str:
        return joined(target_of(self.given.key), str(self.policy.method))

    def _question(self) -> selection.Given:
        params, given = self.given.params.selected_subset, self.given
        prices, _ = Offered.model_validate(given.fact("offered")).of(self.ids)
        limits = BuyerLimits(np.array(prices), self._lots(), params.k, params.budget)
        own = self.proof if self._ranks_by_its_proof else None
        return selection.Given(
            ids=tuple(self.ids),
            limits=limits,
            values=self.values,
            mean_values=self.mean_values,
            program=None if own is None else own.program,
            lam=None if own is None else own.lam,
            seed=given.fact("seed") or 0,
            time_limit=given.fact("time_limit") or 0.0,
        )

    def _lots(self) -> Lots:
        """Bundles and exclusions among the datasets that were valued."""
        place = {name: i for i, name in enumerate(self.ids)}
        bundles: dict[str, list[int]] = {}
        for name, bundle in self.sold.bundles.items():
            if name in place:
                bundles.setdefault(bundle, []).append(place[name])
        pairs = [
            (place[name], place[other])
            for name, others in self.sold.excludes.items()
            for other in others
            if name in place and other in place
        ]
        whole = Counter(self.sold.bundles.values())
        barred = [  # sold only with one that was set aside: what all of it costs is not known here
            i for name, members in bundles.items() if len(members) < whole[name] for i in members
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
                "fix the pool"
            ) from None

    def subset(self) -> Subset:
        """What the policy buys, and how good that is."""
        purchase, limits = self.policy.choose(self.question), self.question.limits
        return Subset(
            policy=self.policy.name,
            k=limits.k,
            budget=limits.budget,
            datasets=tuple(self.ids[i] for i in purchase.chosen),
            cost=purchase.cost,
            currency=self.sold.currency,
            ranking=tuple(self._ranked(purchase, i) for i in purchase.ranking),
            reached=self._reached(purchase),
            alternatives=self._alternatives(purchase) if self.given.fact("decides") else None,
        )

    def _ranked(self, purchase: Purchase, i: int) -> Ranked:
        reason, eligible = str(purchase.reasons[i]), purchase.reasons[i] != "ineligible"
        if not eligible:
            bundle = self.sold.bundles[self.ids[i]]
            reason = (
                f"it is sold only with the whole of bundle {bundle}, of which a part was set aside"
            )
        return Ranked(
            id=self.ids[i], score=float(purchase.scores[i]), eligible=eligible, reason=reason
        )

    def _reached(self, purchase: Purchase) -> Reached | None:
        """Objective of the set with weights of its own, and how much better one could be."""
        if self.proof is None:
            return None
        program, lam = self.proof.program, self.proof.lam
        objective, _ = refit(program, lam, sorted(purchase.chosen))
        chosen_for_it = purchase.proof
        bound = (
            refit(program, lam, range(len(self.ids)))[0]
            if chosen_for_it is None
            else chosen_for_it.bound
        )
        return Reached(
            objective=objective,
            bound=min(bound, objective),
            gap=max(0.0, objective - bound),
            proof="relaxation" if chosen_for_it is None else chosen_for_it.method,
        )

    def _alternatives(self, purchase: Purchase) -> Alternatives:
        """Other budgets, what would have to change, and whether the cut is settled."""
        choose, question = self.policy.choose, self.question
        points = frontier(choose, question)
        slopes = shadow_prices(points, question.limits)
        certificate = None
        if self.proof is not None and self._ranks_by_its_proof:
            certificate = self.proof.certificate
        rate = None if certificate is None else certificate.exchange_rate
        scale = None if certificate is None or rate is None else certificate.penalty_scale
        return Alternatives(
            exchange_rate=rate,
            shadow_price=None if slopes is None else ShadowPrice(more=slopes[0], less=slopes[1]),
            frontier=tuple(self._point(point) for point in points),
            changes={
                self.ids[change.index]: Change(price=change.price, k=change.k, budget=change.budget)
                for change in changes(choose, question, points, scale)
            },
            separations=self._separations(purchase),
        )

    def _point(self, point: Point) -> FrontierPoint:
        return FrontierPoint(
            budget=point.budget,
            cost=point.cost,
            datasets=tuple(self.ids[i] for i in point.chosen),
            objective=point.objective,
            matched=point.matched,
        )

    def _separations(self, purchase: Purchase) -> dict[str, Separation]:
        """For each dataset, whether other preview rows might have turned the choice round."""
        if not self.given.fact("resampled"):
            return {}
        draws = self.given.read(Resamples, VALUES, self._own).weights
        rows = int(self.given.read(WeightsTable, VALUES, self._own).numbers("rows").max())
        return {
            self.ids[each.index]: Separation(
                rival=self.ids[each.rival],
                difference=each.difference,
                low=each.low,
                high=each.high,
                tied=each.tied,
                more_rows=each.more_rows,
            )
            for each in separations(draws, purchase.chosen, rows, self.given.fact("confidence"))
        }


STEP = Step(
    noun="selected_subset",
    partitions="target/policy",
    keys=Keys(by_policy, settings=("selected_subset.policies", "lora_adapter.target_share")),
    reads=Reads(
        settings=("selected_subset.k", "selected_subset.budget"),
        parts=(
            Part("kernel_matrix", (Kernel,)),
            Part(VALUES, (WeightsTable,), _valued),
            Part(VALUES, (ProgramCertificate,), proving),
            Part(VALUES, (Resamples,), _resampled),
        ),
        facts=(
            Fact("offered", _offered, nouns=("offers", "kernel_matrix")),
            Fact("sold", _sold, nouns=("offers",)),
            Fact("proving", proving, settings=METHOD_NAMES),
            Fact("decides", decides, settings=("selected_subset.decide_by",)),
            Fact("resampled", _resampled, settings=("selected_subset.decide_by",)),
            Fact("confidence", _confidence, settings=("dataset_values.confidence",)),
            Fact("seed", _seed, settings=("selected_subset.seed",)),
            Fact("time_limit", _time_limit, settings=("selected_subset.time_limit",)),
        ),
    ),
    writes=(Subset,),
    make=_make,
    version="3",  # 3: prices from the offers; 2: objective and bound of every set
)
