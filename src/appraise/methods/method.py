"""The contract of a method: what each dataset is worth to a target, and what it can say besides.

A method looks at arrays and returns records. It may have a proof of its values, resampled values,
reasons; what it does not have is None, and nothing that follows claims it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from appraise.numerics.kernel import Floats, KernelEvidence, Normalize
from appraise.records.certificate import ProgramCertificate
from appraise.records.record import Record
from appraise.records.values import EntriesTable, OwnersTable, PathKnots, Resamples, WeightsTable
from appraise.settings.section import Section

Vectors = Literal["gradients", "task_vectors"]


@dataclass(frozen=True)
class Resampling:
    """How previews are resampled.

    Attributes:
        resamples: B; 0 for none.
        confidence: of the intervals.
        seed: of the draws.
    """

    resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Sketches:
    """The sketches' rows, for what a mean does not say.

    Attributes:
        rows: of each dataset (m_i, d) float32.
        keys: of each dataset, one for each row: SHA-256(seed, id), by which examples are ordered.
        target: (m, d) float32.
    """

    rows: Sequence[NDArray[np.float32]]
    keys: Sequence[Sequence[str]]
    target: NDArray[np.float32]

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Rows of each dataset (n,)."""
        return np.array([len(table) for table in self.rows], dtype=np.float64)


@dataclass(frozen=True)
class Evidence:
    """What a method may look at: n datasets and one target, and no prices.

    Attributes:
        ids: the datasets, in the order of the kernel.
        owners: who offers each.
        K: (n, n) inner products of the datasets' mean gradients.
        c: (n,) with the target's.
        tau: the target's squared norm.
        G: (n, d) the mean gradients.
        g: (d,) the target's.
        norms: (n,) lengths of the means before they were normalised.
        noise: (n,) part of K_ii that is sampling noise; NaN for a single row.
        kernel: that K is symmetric and positive semi-definite; all targets share it.
        sketches: the rows that the means are of.
        normalize: how the means were scaled.
        vectors: what the sketches are of.
        resampling: how intervals are made.
    """

    ids: list[str]
    owners: list[str]
    K: Floats
    c: Floats
    tau: float
    G: Floats
    g: Floats
    norms: Floats
    noise: Floats
    kernel: KernelEvidence
    sketches: Sketches
    normalize: Normalize
    vectors: Vectors
    resampling: Resampling

    @property
    def cosines(self) -> Floats:
        """c_i / √(K_ii τ) (n,)."""
        return np.asarray(self.c / np.sqrt(self.K.diagonal() * self.tau))


@dataclass(frozen=True)
class Valued:
    """What a method says of one target.

    Attributes:
        weights: a row for each dataset: its value, and why, where the method has reasons.
        resamples: None where nothing was resampled.
        proof: None where the values solve no program.
    """

    weights: WeightsTable
    resamples: Resamples | None = None
    proof: Proof | None = None

    @property
    def records(self) -> tuple[Record, ...]:
        """What is kept of it."""
        proof = () if self.proof is None else self.proof.records
        resamples = () if self.resamples is None else (self.resamples,)
        return (self.weights, *resamples, *proof)


@dataclass(frozen=True)
class Proof:
    """That values solve a program, and what follows from that.

    Attributes:
        certificate: the duality gap and all else that proves the optimum.
        path: the solutions at every λ.
        entries: when each dataset enters the mix and leaves it.
        owners: what each owner offers that nobody else does.
    """

    certificate: ProgramCertificate
    path: PathKnots
    entries: EntriesTable
    owners: OwnersTable

    @property
    def records(self) -> tuple[Record, ...]:
        """What is kept of it."""
        return (self.certificate, self.path, self.entries, self.owners)


class Method(Protocol):
    """One way to say what datasets are worth.

    Attributes:
        name: in `params.yaml`, in keys of partitions, in decisions.
        title: for a buyer.
        meaning: for a buyer, in a phrase.
        section: of `params.yaml` that holds its settings; None where it has none.
        vectors: what the sketches may be of.
        proves: whether its values come with a proof, and its sets with an objective.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    section: ClassVar[str | None]
    vectors: ClassVar[frozenset[Vectors]]
    proves: ClassVar[bool]

    def value(self, evidence: Evidence, settings: Section | None) -> Valued:
        """Value all datasets for one target.

        Raises:
            SolverError: the evidence is ill-posed, or a proof misses its tolerance.
        """
