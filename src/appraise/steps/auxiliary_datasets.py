"""The offered datasets as prompts and completions: validated, without overlap with any target.

For each offer: check the source's SHA-256, render the templates, validate with Great Expectations,
drop rows that fail, duplicates and what overlaps a target, keep at most `max_examples` in the order
of SHA-256(seed, id). A dataset that cannot be used is set aside with its reason; the others go on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tqdm import tqdm

from appraise.errors import OfferError
from appraise.examples.auxiliary import Known, Prepared, prepare
from appraise.examples.lengths import TOKENIZER, length_settings
from appraise.examples.reading import read_examples
from appraise.examples.rules import Limits
from appraise.examples.sources import SourceError
from appraise.examples.verdicts import Validation
from appraise.project import SET_ASIDE, Project, Recipe
from appraise.records import examples as tables
from appraise.records.cards import DatasetCard, ValidationChecks
from appraise.records.offers import Offer
from appraise.steps.offers import read_offers
from appraise.steps.step import Step
from appraise.steps.target_sets import (
    FINGERPRINTS,
    conversation_settings,
    needs_pairs,
    pair_settings,
    token_counter,
)
from appraise.storage.files import read_table, write_json


def _keys(project: Project) -> list[str]:
    return [offer.id for offer in read_offers(project).offers]


def _recipe(project: Project, key: str) -> Recipe:
    # Only this dataset's own offer: a new offer leaves the others alone.
    inputs = {f"base_model/{TOKENIZER}": project.content("base_model", file=TOKENIZER)}
    for target in sorted(project.params.target_sets):
        name = f"target_sets/{target}/{FINGERPRINTS}"
        inputs[name] = project.content("target_sets", target, file=FINGERPRINTS)
    offer = read_offers(project)[key]
    settings = {
        "offer": offer.model_dump(mode="json"),
        "auxiliary_datasets": project.params.auxiliary_datasets.model_dump(mode="json"),
        "base_model": length_settings(project.params.base_model),
        **pair_settings(project),
        **conversation_settings([offer]),
    }
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from appraise.examples.validation import validate, write_data_docs

    offers, params = read_offers(project), project.params.auxiliary_datasets
    pairs = needs_pairs(project)
    limits = Limits(
        params.max_row_bytes, project.params.base_model.max_length, params.min_examples, pairs
    )
    counter, known = token_counter(project), _known(project)
    validations = {}
    for key in tqdm(keys, desc="auxiliary_datasets", unit="set", disable=None, file=sys.stderr):
        offer = offers[key]
        try:
            dataset = read_examples(
                offer, project.root, params.max_row_bytes, seed=params.seed, pairs=pairs
            )
        except OfferError as error:
            _set_aside(project, offer, error)
            continue
        tokens = counter.count(dataset.examples, pairs=pairs)
        validations[key] = validate(key, dataset, tokens, limits)
        prepared = prepare(dataset, tokens, validations[key], known, params)
        _write(project, offer, validations[key], prepared)
    write_data_docs(project.root, validations)


def _known(project: Project) -> Known:
    """Target → what its prompts are recognised by."""
    tables = {
        target: read_table(project.open("target_sets", target) / FINGERPRINTS)
        for target in sorted(project.params.target_sets)
    }
    return {target: frozenset(table["fingerprint"]) for target, table in tables.items()}


def _write(project: Project, offer: Offer, validation: Validation, prepared: Prepared) -> None:
    with STEP.writing(project, offer.id) as folder:
        DatasetCard(offer, prepared.counts).write(folder)
        ValidationChecks(validation.checks).write(folder)
        if prepared.reason is None:
            tables.write(folder / tables.EXAMPLES, prepared.kept)
        else:
            write_json(folder / SET_ASIDE, {"reason": prepared.reason})


def _set_aside(project: Project, offer: Offer, error: OfferError) -> None:
    """Set aside a dataset whose rows could not be read; with a SourceError that may pass."""
    recipe = STEP.recipe(project, offer.id)
    writing: AbstractContextManager[Path]
    if isinstance(error, SourceError):  # a recipe that is never current: look at it in every run
        aside = Recipe(recipe.version, recipe.settings, recipe.inputs | {"source": "not readable"})
        writing = project.writing(STEP.noun, offer.id, aside)
    else:
        writing = STEP.writing(project, offer.id)
    with writing as folder:
        DatasetCard(offer, None).write(folder)
        ValidationChecks(()).write(folder)
        write_json(folder / SET_ASIDE, {"reason": str(error)})


STEP = Step(
    noun="auxiliary_datasets",
    needs=("offers", "target_sets", "base_model"),
    partitions="dataset",
    keys=_keys,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: the worse answer of a pair
)
