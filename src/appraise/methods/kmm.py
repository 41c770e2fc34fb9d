"""Kernel mean matching: w = argmin ½wᵀKw − cᵀw + λ Σ |w_i| over w ≥ 0, certified.

(arXiv 2605.16704, Eq. 31.) λ is a part of the target's squared norm, or of the λ at which nothing
has a weight, or follows from a number of datasets. Weights may be capped, for a dataset or an
owner, and made to add up to one.

Also, for each dataset: what covers it, its value, its weight in the signed program (below 0:
harmful), where it enters and leaves the mix as λ falls, its family (those that cannot be told
apart), and intervals and ranks by resampling the sketches' rows; for each owner what nobody else
offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from appraise.methods.method import Evidence, Proof, Valued, Vectors
from appraise.methods.questions import question_of
from appraise.methods.tables import OnOffer, entries_table, owners_table, weights_table
from appraise.numerics.families import Families, families, value_families
from appraise.numerics.kernel import first_copies
from appraise.numerics.question import Question
from appraise.numerics.uncertainty import Bootstrap, bootstrap
from appraise.numerics.valuation import Weighing, weigh
from appraise.records.certificate import ProgramCertificate, StatedLimits
from appraise.records.values import PathKnots, Resamples
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
        question = question_of(settings, evidence.ids, evidence.owners)
        weighing = weigh(evidence.K, evidence.c, evidence.tau, question, evidence.kernel)
        draws = _resampled(evidence, question, weighing)
        related = _related(evidence, question, weighing, settings.family_cosine)
        pool, ids = OnOffer(evidence.ids, evidence.owners), tuple(evidence.ids)
        rows = [len(table) for table in evidence.sketches.rows]
        confidence = evidence.resampling.confidence
        return Valued(
            weights_table(pool, rows, weighing, draws, related, evidence.cosines, confidence),
            Resamples(draws.weights, ids, draws.signed_weights),
            Proof(
                ProgramCertificate.stated(weighing, settings.rule, _limits(settings)),
                PathKnots(weighing.path.lambdas, weighing.path.weights, ids),
                entries_table(weighing.path, evidence.ids),
                owners_table(pool, weighing, related),
            ),
        )


def _resampled(evidence: Evidence, question: Question, weighing: Weighing) -> Bootstrap:
    """The same question of other samples of the rows."""
    resampling = evidence.resampling
    return bootstrap(
        evidence.sketches.rows,
        evidence.sketches.target,
        question,
        lam=weighing.lam,
        normalize=evidence.normalize,
        resamples=resampling.resamples,
        confidence=resampling.confidence,
        seed=resampling.seed,
        names=[evidence.ids[i] for i in first_copies(evidence.K)],  # copies draw alike
    )


def _related(evidence: Evidence, question: Question, weighing: Weighing, cosine: float) -> Families:
    """Datasets that cannot be told apart, taken as one and valued once more."""
    sketches = evidence.sketches
    first = families(evidence.K, evidence.norms, evidence.noise, sketches.sizes, cosine)
    return value_families(
        first,
        evidence.G,
        evidence.g,
        sketches.rows,
        sketches.keys,
        evidence.owners,
        question,
        weighing.lam,
        evidence.normalize,
    )


def _limits(settings: KmmWeightsParams) -> StatedLimits:
    return StatedLimits(
        cap=settings.cap,
        caps=settings.caps,
        owner_cap=settings.owner_cap,
        total=settings.total,
    )
