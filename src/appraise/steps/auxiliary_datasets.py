"""The offered datasets as prompts and completions: validated, without overlap with any target.

For each offer: check the source's SHA-256, render the templates, validate with Great Expectations,
drop rows that fail, duplicates and what overlaps a target, keep at most `max_examples` in the order
of SHA-256(seed, id). A dataset that cannot be used is set aside with its reason; the others go on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appraise.errors import OfferError
from appraise.examples.lengths import TOKENIZER, TokenCounter, length_settings
from appraise.examples.overlap import fingerprints
from appraise.examples.sources import Examples, SourceError, read_examples
from appraise.examples.splits import seeded_order, without_duplicates
from appraise.examples.templates import Example
from appraise.examples.validation import (
    FATAL,
    INVALID,
    Limits,
    Validation,
    validate,
    write_data_docs,
)
from appraise.project import SET_ASIDE, Project, Recipe
from appraise.records.offers import Offer
from appraise.settings.data import AuxiliaryDatasetsParams
from appraise.steps.offers import read_offers
from appraise.steps.step import Step
from appraise.steps.target_sets import FINGERPRINTS, count_tokens, needs_pairs, pair_settings
from appraise.storage.files import read_table, write_json, write_table

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

Known = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class _Prepared:
    """A dataset after everything that may happen to it.

    Attributes:
        card: the content of card.json.
        checks: the content of validation.json.
        kept: the examples; empty when `reason` says why the dataset is set aside.
        pairs: whether they have a worse answer too.
        tried_again: the source could not be read, which may pass: look at it in every run.
        result: Great Expectations' own result, for Data Docs.
    """

    card: dict[str, Any]
    checks: list[dict[str, Any]]
    kept: list[Example]
    reason: str | None = None
    pairs: bool = False
    tried_again: bool = False
    result: ExpectationSuiteValidationResult | None = None


def _keys(project: Project) -> list[str]:
    return [offer.id for offer in read_offers(project).offers]


def _recipe(project: Project, key: str) -> Recipe:
    # Only this dataset's own offer: a new offer leaves the others alone.
    inputs = {f"base_model/{TOKENIZER}": project.content("base_model", file=TOKENIZER)}
    for target in sorted(project.params.target_sets):
        name = f"target_sets/{target}/{FINGERPRINTS}"
        inputs[name] = project.content("target_sets", target, file=FINGERPRINTS)
    settings = {
        "offer": read_offers(project)[key].model_dump(mode="json"),
        "auxiliary_datasets": project.params.auxiliary_datasets.model_dump(mode="json"),
        "base_model": length_settings(project),
        **pair_settings(project),
    }
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    offers = read_offers(project)
    counter = TokenCounter(project)
    known = _known(project)
    results = {}
    for key in tqdm(keys, desc="auxiliary_datasets", unit="set", disable=None, file=sys.stderr):
        prepared = _prepare(project, offers[key], counter, known)
        _write(project, key, prepared)
        if prepared.result is not None:
            results[key] = prepared.result
    write_data_docs(project.root, results)


def _known(project: Project) -> Known:
    """Target → what its prompts are recognised by."""
    tables = {
        target: read_table(project.open("target_sets", target) / FINGERPRINTS)
        for target in sorted(project.params.target_sets)
    }
    return {target: frozenset(table["fingerprint"]) for target, table in tables.items()}


def _write(project: Project, key: str, prepared: _Prepared) -> None:
    recipe = STEP.recipe(project, key)
    writing: AbstractContextManager[Path]
    if prepared.tried_again:  # a recipe that is never current
        aside = Recipe(recipe.version, recipe.settings, recipe.inputs | {"source": "not readable"})
        writing = project.writing(STEP.noun, key, aside)
    else:
        writing = STEP.writing(project, key)
    with writing as folder:
        write_json(folder / "card.json", prepared.card)
        write_json(folder / "validation.json", prepared.checks)
        if prepared.reason is None:
            write_table(folder / "examples.parquet", _table(prepared.kept, prepared.pairs))
        else:
            write_json(folder / SET_ASIDE, {"reason": prepared.reason})


def _table(examples: Sequence[Example], pairs: bool) -> Any:
    import pandas as pd

    columns = ("id", "prompt", "completion", *(("rejected",) if pairs else ()))
    return pd.DataFrame({name: [getattr(row, name) for row in examples] for name in columns})


def _prepare(project: Project, offer: Offer, counter: TokenCounter, known: Known) -> _Prepared:
    params = project.params.auxiliary_datasets
    card: dict[str, Any] = {**offer.model_dump(mode="json"), "rows": 0, "usable": 0, "kept": 0}
    try:
        dataset = read_examples(
            offer, project.root, params.max_row_bytes, seed=params.seed, pairs=needs_pairs(project)
        )
    except OfferError as error:
        return _Prepared(card, [], [], str(error), tried_again=isinstance(error, SourceError))
    limits = Limits(
        params.max_row_bytes,
        project.params.base_model.max_length,
        params.min_examples,
        needs_pairs(project),
    )
    tokens = count_tokens(project, counter, dataset.examples)
    validation = validate(offer.id, dataset, tokens, limits)
    valid = validation.valid(dataset.examples)
    unique = without_duplicates(valid)
    usable, overlap = _without_overlap(unique, known)
    kept = seeded_order(usable, params.seed)[: params.max_examples]
    of_row = dict(zip((example.row for example in dataset.examples), tokens, strict=True))
    card |= {
        "rows": len(dataset.examples),
        "usable": len(usable),
        "kept": len(kept),
        "dropped": {
            **validation.counts(),
            "duplicate": len(valid) - len(unique),
            "overlap": {target: len(rows) for target, rows in overlap.items()},
        },
        "overlap_questions": _questions_shared(dataset.examples, known),
        "tokens": _lengths([of_row[example.row] for example in kept]),
    }
    reason = _reason(offer, dataset, validation, card, params)
    return _Prepared(
        card if reason is None else card | {"kept": 0},
        validation.checks,
        kept if reason is None else [],
        reason,
        pairs=dataset.templates.gives_pairs,
        result=validation.result,
    )


def _without_overlap(
    examples: Sequence[Example], known: Known
) -> tuple[list[Example], dict[str, list[Example]]]:
    """The examples that no target has, and those that each target has."""
    overlap: dict[str, list[Example]] = {target: [] for target in known}
    usable = []
    for example in examples:
        marks = fingerprints(example.prompt or "")
        shared = [target for target, marked in known.items() if not marked.isdisjoint(marks)]
        for target in shared:
            overlap[target].append(example)
        if not shared:
            usable.append(example)
    return usable, overlap


def _questions_shared(examples: Sequence[Example], known: Known) -> dict[str, int]:
    """How many different questions of the source, usable or not, each target has."""
    asked = {fingerprints(example.prompt)[0] for example in examples if example.prompt}
    return {target: len(asked & marked) for target, marked in known.items()}


def _lengths(tokens: Sequence[int]) -> dict[str, float]:
    """Mean, 95th percentile (nearest rank) and maximum of lengths in tokens."""
    if not tokens:
        return {"mean": 0.0, "p95": 0, "max": 0}
    ordered = sorted(tokens)
    rank = -(-95 * len(ordered) // 100) - 1
    mean = round(sum(ordered) / len(ordered), 3)
    return {"mean": mean, "p95": ordered[rank], "max": ordered[-1]}


def _reason(
    offer: Offer,
    dataset: Examples,
    validation: Validation,
    card: Mapping[str, Any],
    params: AuxiliaryDatasetsParams,
) -> str | None:
    """Why the dataset is set aside, or None."""
    for example in dataset.examples:
        if validation.reasons.get(example.row) in FATAL:
            found = example.unreadable or f"{example.size} bytes, above {params.max_row_bytes}"
            return (
                f"{offer.source}: row {example.row}: expected a row that can be read, found "
                f"{found}; ask the provider for a repaired version"
            )
    try:
        dataset.check_columns()
    except OfferError as error:
        return str(error)
    counts = validation.counts()
    invalid = {reason: counts[reason] for reason in INVALID if reason in counts}
    if sum(invalid.values()) > params.max_invalid_share * card["rows"]:
        return (
            f"{offer.source}: expected at most {params.max_invalid_share:.0%} invalid rows, found "
            f"{sum(invalid.values())} of {card['rows']} ({_listed(invalid)}); ask the provider "
            "for a repaired version, or raise auxiliary_datasets.max_invalid_share"
        )
    if card["usable"] < params.min_examples:
        dropped = counts | {"duplicate": card["dropped"]["duplicate"]}
        dropped |= {f"overlap with {t}": n for t, n in card["dropped"]["overlap"].items()}
        return (
            f"{offer.source}: expected at least {params.min_examples} examples, found "
            f"{card['usable']} usable of {card['rows']} rows (dropped: {_listed(dropped)})"
        )
    return None


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in counts.items() if n) or "none"


STEP = Step(
    noun="auxiliary_datasets",
    needs=("offers", "target_sets", "base_model"),
    partitions="dataset",
    keys=_keys,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: the worse answer of a pair
)
