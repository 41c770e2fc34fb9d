"""The offered datasets as prompts and completions: validated, without overlap with any target.

For each offer: check the source's SHA-256, render the templates, validate with Great Expectations,
drop rows that fail, duplicates and what overlaps a target, keep at most `max_examples` in the order
of SHA-256(seed, id). A dataset that cannot be used is set aside with its reason; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from appraise.errors import OfferError
from appraise.examples.auxiliary import Known, prepare
from appraise.examples.lengths import TokenCounter
from appraise.examples.reading import read_examples
from appraise.examples.rules import Limits
from appraise.examples.sources import SourceError
from appraise.examples.verdicts import Validation
from appraise.project import Project
from appraise.project.reads import Fact, Given, Part, Reads, all_targets
from appraise.records.cards import DatasetCard, ValidationChecks
from appraise.records.fingerprints import Fingerprints
from appraise.records.offers import Offer, Offers
from appraise.records.set_aside import WhySetAside
from appraise.records.tables import DatasetExamples, TokenizerFile
from appraise.steps.base_model import FORMAT
from appraise.steps.progress import Progress
from appraise.steps.step import Keys, Output, Record, Step
from appraise.steps.target_sets import PAIRS, token_counter


@dataclass(frozen=True)
class _Dataset:
    """What became of an offer.

    Attributes:
        records: what is kept of it.
        validation: None where its rows could not be read.
        provisional: the source could not be read, which may pass: look at it in every run.
    """

    records: tuple[Record, ...]
    validation: Validation | None = None
    provisional: bool = False


def _ids(project: Project) -> list[str]:
    return [offer.id for offer in project.read(Offers, "offers").offers]


def _offer(project: Project, key: str) -> JsonValue:
    """Only this dataset's own offer: a new offer leaves the others alone."""
    return project.read(Offers, "offers")[key].model_dump(mode="json")


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    from appraise.examples.validation import write_data_docs  # three seconds of imports

    counter, known = token_counter(partitions[0]), _known(partitions[0])
    results: dict[str, Validation] = {}
    for given in partitions:
        progress.step(0, given.key)
        dataset = _dataset(given, counter, known)
        if dataset.validation is not None:
            results[given.key] = dataset.validation
        yield Output(given.key, dataset.records, provisional=dataset.provisional)
    write_data_docs(partitions[0].root, results)


def _known(given: Given) -> Known:
    """Target → what its prompts are recognised by."""
    return {
        target: frozenset(given.read(Fingerprints, "target_sets", target).marks)
        for target in given.keys("target_sets")
    }


def _dataset(given: Given, counter: TokenCounter, known: Mapping[str, frozenset[str]]) -> _Dataset:
    from appraise.examples.validation import validate

    params, offer = given.params.auxiliary_datasets, Offer.model_validate(given.fact("offer"))
    pairs = bool(given.fact("pairs"))
    try:
        dataset = read_examples(
            offer, given.root, params.max_row_bytes, seed=params.seed, pairs=pairs
        )
    except OfferError as error:
        why = WhySetAside(reason=str(error))
        return _Dataset(
            (DatasetCard(offer, None), ValidationChecks(()), why),
            provisional=isinstance(error, SourceError),
        )
    limits = Limits(
        params.max_row_bytes, given.params.base_model.max_length, params.min_examples, pairs
    )
    tokens = counter.count(dataset.examples, pairs=pairs)
    validation = validate(offer.id, dataset, tokens, limits)
    prepared = prepare(dataset, tokens, validation, known, params)
    outcome: Record = (
        DatasetExamples.of(prepared.kept)
        if prepared.reason is None
        else WhySetAside(reason=prepared.reason)
    )
    card = DatasetCard(offer, prepared.counts)
    return _Dataset((card, ValidationChecks(validation.checks), outcome), validation)


STEP = Step(
    noun="auxiliary_datasets",
    partitions="dataset",
    keys=Keys(_ids, nouns=("offers",)),
    reads=Reads(
        settings=("auxiliary_datasets", *FORMAT),
        parts=(
            Part("target_sets", (Fingerprints,), all_targets),
            Part("base_model", (TokenizerFile,)),
        ),
        facts=(Fact("offer", _offer, nouns=("offers",)), PAIRS),
    ),
    writes=(DatasetCard, ValidationChecks, DatasetExamples, WhySetAside),
    make=_make,
    version="7",  # 7: sources in more formats, a large row costs itself
)
