"""All records: what files a step writes, and the version of each one's layout."""

from __future__ import annotations

from appraise.records.adapter import AdapterTraining, EvaluationMetrics, ItemsTable
from appraise.records.base_model import BaseModelFingerprint
from appraise.records.candidates import Candidates, PoolGradients, ScreenedTable
from appraise.records.copies import CopiesSummary, CopiesTable
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel, KernelFacts, Transfer, TransferFacts
from appraise.records.offers import Offers
from appraise.records.outcome import LossTable, Outcome, OutcomeMetrics
from appraise.records.record import Record
from appraise.records.subset import Subset
from appraise.records.values import (
    EntriesTable,
    OwnersTable,
    PathKnots,
    ProgramCertificate,
    Resamples,
    WeightsTable,
)

RECORDS: tuple[type[Record], ...] = (
    BaseModelFingerprint,
    Offers,
    CopiesSummary,
    CopiesTable,
    Candidates,
    ScreenedTable,
    PoolGradients,
    Kernel,
    KernelFacts,
    Transfer,
    TransferFacts,
    WeightsTable,
    ProgramCertificate,
    EntriesTable,
    OwnersTable,
    PathKnots,
    Resamples,
    Subset,
    Decision,
    AdapterTraining,
    EvaluationMetrics,
    ItemsTable,
    Outcome,
    OutcomeMetrics,
    LossTable,
)


def records_of(noun: str) -> dict[str, type[Record]]:
    """File → record, of what a step writes."""
    return {record.FILE: record for record in RECORDS if noun == record.STEP}


def schemas_of(noun: str) -> dict[str, int]:
    """File → version of its layout, of what a step writes."""
    return {file: record.SCHEMA for file, record in records_of(noun).items()}
