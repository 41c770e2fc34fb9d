"""Kernel mean matching: w = argmin ½wᵀKw − cᵀw + λ Σ p_i|w_i| over w ≥ 0, certified.

(arXiv 2605.16704, Eq. 31.) λ is chosen relative to the λ at which nothing has a weight, by a number
of datasets, or by a budget. Penalties p_i are 1 (the paper's) or the price over the mean price.
Weights may be capped, for a dataset or an owner, and made to add up to one.

Also, for each dataset: what covers it (why not), its walk-away price, its value, its weight in the
signed program (below 0: harmful), where it enters and leaves the mix as λ falls, its family (those
that cannot be told apart), and intervals and ranks by resampling the sketches' rows; for each owner
what nobody else offers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from appraise.methods import tables
from appraise.methods.method import Evidence, Proof, Valued, Vectors
from appraise.methods.tables import Families
from appraise.numerics.explanation import cluster_values
from appraise.numerics.families import families, merged_preview
from appraise.numerics.kernel import first_copies, inner_products, mean_gradient
from appraise.numerics.kmm import solve_program
from appraise.numerics.question import Question
from appraise.numerics.uncertainty import Bootstrap, bootstrap
from appraise.numerics.valuation import Weighing, weigh
from appraise.records.values import PathKnots, ProgramCertificate, Resamples
from appraise.settings.section import Section
from appraise.settings.valuation import KmmWeightsParams


@dataclass(frozen=True)
class Kmm:
    """Kernel mean matching, the method of the paper."""

    name: ClassVar[str] = "kmm"
    title: ClassVar[str] = "Kernel mean matching"
    meaning: ClassVar[str] = "what each dataset adds to the mix that comes closest to the task"
    section: ClassVar[str | None] = "kmm_weights"
    vectors: ClassVar[frozenset[Vectors]] = frozenset({"gradients", "task_vectors"})
    proves: ClassVar[bool] = True

    def value(self, evidence: Evidence, settings: Section | None) -> Valued:
        """Solve, explain, resample."""
        assert isinstance(settings, KmmWeightsParams)  # the section is ours
        question = asked(settings, evidence.ids, evidence.owners, evidence.prices)
        weighing = weigh(evidence.K, evidence.c, evidence.tau, question, evidence.kernel)
        draws = _bootstrap(evidence, question, weighing)
        related = _families(evidence, question, weighing, settings.family_cosine)
        proof = Proof(
            ProgramCertificate.of(weighing, question, settings.rule),
            PathKnots(weighing.path.lambdas, weighing.path.weights, tuple(evidence.ids)),
            tables.entries_table(weighing.path, evidence.ids),
            tables.owners_table(evidence, question, weighing, related),
        )
        table = tables.weights_table(evidence, question, weighing, draws, related)
        resamples = Resamples(
            draws.weights, draws.chosen, draws.signed_weights, tuple(evidence.ids)
        )
        return Valued(table, resamples, proof)
