"""What is on offer, the task to improve, and the offered datasets as examples."""

from __future__ import annotations

from dataclasses import asdict

from dagster import MetadataValue

from appraise.assets import checks
from appraise.assets.tables import Metadata, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.project import Project
from appraise.records.cards import DatasetCard, TargetCard, ValidationChecks
from appraise.records.copies import CopiesSummary
from appraise.records.offers import Offers


def describe_offers(project: Project, key: str) -> Metadata:
    """The offers as a table; those that cannot be used with their reasons."""
    pool = Offers.read(project.open("offers", key))
    columns = ("id", "title", "provider", "version", "licence", "price")
    return {
        "pool": pool.title,
        "offers": table({name: getattr(offer, name) for name in columns} for offer in pool.offers),
        "currency": pool.currency,
        "prices_are_examples": MetadataValue.bool(pool.prices_are_examples),
        "set_aside": table(entry.as_json() for entry in pool.set_aside),
        "dagster/row_count": len(pool.offers),
    }


def describe_target(project: Project, key: str) -> Metadata:
    """The components of a target and how many of their rows fell into each split."""
    card = TargetCard.read(project.open("target_sets", key))
    columns = ("name", "rows", "usable", "value", "train", "test")
    return {
        "title": card.title,
        "components": table({n: getattr(one, n) for n in columns} for one in card.components),
    }


def describe_dataset(project: Project, key: str) -> Metadata:
    """What was kept of a dataset, what was dropped and why, and the rows that failed."""
    folder = project.open("auxiliary_datasets", key)
    card = DatasetCard.read(folder)
    failed = checks.failed_rows(ValidationChecks.read(folder))
    found: Metadata = {"title": card.offer.title, "failed_rows": table(failed)}
    counts, reason = card.counts, project.set_aside("auxiliary_datasets", key)
    if counts is not None:
        dropped = [{"reason": name, "rows": n} for name, n in counts.dropped.items()]
        dropped += [{"reason": f"overlap with {t}", "rows": n} for t, n in counts.overlap.items()]
        found["dropped"] = table(dropped)
    if reason is not None or counts is None:
        return found | {"set_aside": reason}
    return found | {
        "dagster/row_count": counts.kept,
        "rows_in_source": counts.rows,
        "tokens": table([asdict(counts.tokens)]),
    }


def describe_near_copies(project: Project, key: str) -> Metadata:
    """How many rows of each dataset were offered before, and by whom."""
    datasets = CopiesSummary.read(project.open("near_copies", key)).datasets
    pairs = [
        (count, name, of, one.rows)
        for name, one in datasets.items()
        for of, count in one.most_first()
    ]
    rows = [
        {"dataset": name, "rows": rows, "copied": count, "of": of}
        for count, name, of, rows in sorted(pairs, key=lambda pair: -pair[0])
    ]
    copied = sum(one.copied for one in datasets.values())
    return {"copied": copied, "copies": table(rows)}


SHOWN = (
    Shown("offers", "pool", ("yaml", "json"), "purchasing", describe_offers),
    Shown("target_sets", "pool", ("parquet",), "ml", describe_target),
    Shown(
        "auxiliary_datasets",
        "pool",
        ("parquet", "great_expectations"),
        "data",
        describe_dataset,
        (
            Check(
                "datasets_valid",
                "Every dataset that goes on has enough examples, with text, each once.",
                checks.datasets_valid,
            ),
            Check(
                "datasets_set_aside",
                "No dataset had to be set aside; those that were, with the rows that failed.",
                checks.datasets_set_aside,
                blocking=False,
            ),
        ),
    ),
    Shown("near_copies", "pool", ("parquet",), "data", describe_near_copies),
)
