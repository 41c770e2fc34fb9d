"""A policy before one target: what it is given, what it buys, and how good that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from appraise.errors import ParamsError
from appraise.numerics import beside as numerics
from appraise.numerics import selection
from appraise.numerics.beside import beside
from appraise.numerics.buying import BuyerLimits
from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.lots import Lots, lots_of
from appraise.numerics.program import Program
from appraise.numerics.question import Question
from appraise.numerics.rule import LambdaRule
from appraise.numerics.selection import Purchase
from appraise.numerics.subsets import refit
from appraise.numerics.uncertainty import resampled_programs
from appraise.policies import POLICIES
from appraise.project.keys import joined, name_of, target_of
from appraise.project.reads import Given
from appraise.records.certificate import ProgramCertificate
from appraise.records.kernel import Kernel
from appraise.records.program import SolvedProgram
from appraise.records.sketch import Sketch
from appraise.records.subset import Beside, Covered, Ranked, Reached
from appraise.records.values import Resamples, WeightsTable
from appraise.steps.kernel_matrix import SKETCHES, TARGET_SKETCHES
from appraise.steps.offered import Offered, Sold

VALUES = "dataset_values"


class Buyer:
    """Everything that a policy's purchase for one target rests on."""

    def __init__(self, given: Given) -> None:
        self.given, self.policy = given, POLICIES[name_of(given.key)]
        self.kernel = given.read(Kernel, "kernel_matrix")
        self.ids, self.sold = list(self.kernel.ids), Sold.model_validate(given.fact("sold"))
        self.proof = self._proof()
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
        table = self.given.read(WeightsTable, VALUES, self.own)
        means = table.numbers("mean_weight") if "mean_weight" in table.table else None
        return table.numbers("weight"), means

    @property
    def _follows_its_proof(self) -> bool:
        """Whether the policy's values are the optimum of the program that rates sets."""
        return self.policy.method is not None and [self.own] == self.given.fact("proving")

    @property
    def own(self) -> str:
        """The values that the policy reads."""
        return joined(target_of(self.given.key), str(self.policy.method))

    def _question(self) -> selection.Given:
        params, given = self.given.params.selected_subset, self.given
        prices, _ = Offered.model_validate(given.fact("offered")).of(self.ids)
        limits = BuyerLimits(
            np.array(prices), self._lots(), params.k, params.budget, params.exchange_rate
        )
        values, means = self._values()
        own = self.proof if self._follows_its_proof else None
        return selection.Given(
            ids=tuple(self.ids),
            limits=limits,
            values=values,
            mean_values=means,
            program=None if own is None else own.program,
            lam=None if own is None else own.lam,
            seed=given.fact("seed") or 0,
            search_limit=given.fact("search_limit") or 1,
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

    @cached_property
    def purchase(self) -> Purchase:
        """What the policy buys."""
        return self.policy.choose(self.question)

    def ranking(self) -> tuple[Ranked, ...]:
        """All datasets, best first, each with what kept it out, and how it stands to the others."""
        purchase, own, stand = self.purchase, self.question, dict[int, Beside]()
        if own.program is not None and own.lam is not None:
            lots = own.limits.lots
            found = beside(own.program, own.lam, lots, purchase.chosen)
            stand = {i: self._beside(one) for i, one in enumerate(found)}
        return tuple(
            Ranked(
                id=self.ids[i],
                score=float(purchase.scores[i]),
                eligible=purchase.reasons[i] != "ineligible",
                reason=self._reason(i),
                beside=stand.get(i),
            )
            for i in purchase.ranking
        )

    def _beside(self, one: numerics.Beside) -> Beside:
        return Beside(
            weight=one.weight,
            gain=one.gain,
            margin=one.margin,
            covered_by=tuple(Covered(id=self.ids[j], amount=a) for j, a in one.covered_by),
        )

    def _reason(self, i: int) -> str:
        reason = self.purchase.reasons[i]
        if reason != "ineligible":
            return reason
        bundle = self.sold.bundles[self.ids[i]]
        return f"it is sold only with the whole of bundle {bundle}, of which a part was set aside"

    def reached(self) -> Reached | None:
        """Objective of the set with weights of its own, and how much better one could be."""
        if self.proof is None:
            return None
        program, lam, chosen_for_it = self.proof.program, self.proof.lam, self.purchase.proof
        if chosen_for_it is None:
            objective, _ = refit(program, lam, sorted(self.purchase.chosen))
            bound, proof = refit(program, lam, range(len(self.ids)))[0], "relaxation"
        else:
            objective, bound = chosen_for_it.objective, chosen_for_it.bound
            proof = chosen_for_it.method
        return Reached(
            objective=objective,
            bound=min(bound, objective),
            gap=max(0.0, objective - bound),
            proof=proof,
        )

    def resampled(self) -> Iterator[selection.Given]:
        """What the policy would be given, had chance picked other sample rows."""
        if "objective" not in self.policy.depends_on:
            for values in self.given.read(Resamples, VALUES, self.own).weights:
                yield replace(self.question, values=values)
            return
        for program, lam in self._resampled_programs():
            yield replace(self.question, program=program, lam=lam)

    def _resampled_programs(self) -> Iterator[tuple[Program, float]]:
        """The programs of the resamples from which the values have their intervals."""
        assert self.proof is not None  # the policy follows its objective
        stated, given, drawn = self.proof.certificate, self.given, self.given.fact("resampling")
        first = first_copies(self.kernel.K)  # copies draw alike
        return resampled_programs(
            [given.read(Sketch, SKETCHES, name).rows for name in self.ids],
            given.read(Sketch, TARGET_SKETCHES, target_of(given.key)).rows,
            Question(len(self.ids), LambdaRule(), stated.ridge),
            lam=stated.chosen_lambda(),
            names=[self.ids[i] for i in first],
            normalize=drawn["normalize"],
            resamples=drawn["bootstraps"],
            seed=drawn["seed"],
        )
