"""What is on offer, the task to improve, and the offered datasets as examples."""

from __future__ import annotations

from dagster import MetadataValue

from appraise.assets import checks
from appraise.assets.tables import Metadata, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.project import Project
from appraise.records.cards import DatasetCard, TargetCard
from appraise.records.copies import CopiesSummary
from appraise.records.offers import Offers
from appraise.storage.files import read_json


def describe_offers(project: Project, key: str) -> dict[str, Any]:
    """The offers as a table; those that cannot be used with their reasons."""
    found = read_json(project.open("offers", key) / "offers.json")
    columns = ("id", "title", "provider", "version", "licence", "price")
    return {
        "pool": found["title"],
        "offers": table({name: offer[name] for name in columns} for offer in found["offers"]),
        "currency": found["currency"],
        "prices_are_examples": MetadataValue.bool(found["prices_are_examples"]),
        "set_aside": table(found["set_aside"]),
        "dagster/row_count": len(found["offers"]),
    }


def describe_target(project: Project, key: str) -> dict[str, Any]:
    """The components of a target and how many of their rows fell into each split."""
    card = read_json(project.open("target_sets", key) / "card.json")
    columns = ("name", "rows", "usable", "value", "train", "test")
    return {
        "title": card["title"],
        "components": table({n: one.get(n) for n in columns} for one in card["components"]),
    }


def describe_dataset(project: Project, key: str) -> dict[str, Any]:
    """What was kept of a dataset, what was dropped and why, and the rows that failed."""
    folder = project.open("auxiliary_datasets", key)
    card = read_json(folder / "card.json")
    found: dict[str, Any] = {
        "title": card["title"],
        "dropped": table(_dropped(card.get("dropped", {}))),
        "failed_rows": table(checks.failed_rows(read_json(folder / "validation.json"))),
    }
    reason = project.set_aside("auxiliary_datasets", key)
    if reason:
        return found | {"set_aside": reason}
    return found | {
        "dagster/row_count": card["kept"],
        "rows_in_source": card["rows"],
        "tokens": table([card["tokens"]]),
    }


def _dropped(dropped: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [{"reason": name, "rows": n} for name, n in dropped.items() if isinstance(n, int)]
    overlap = dropped.get("overlap", {})
    return rows + [{"reason": f"overlap with {t}", "rows": n} for t, n in overlap.items()]


def describe_near_copies(project: Project, key: str) -> dict[str, Any]:
    """How many rows of each dataset were offered before, and by whom."""
    found = read_json(project.open("near_copies", key) / "copies.json")
    rows = [
        {"dataset": name, "rows": one["rows"], "copied": count, "of": of}
        for name, one in found.items()
        for of, count in one["of"].items()
    ]
    copied = sum(one["copied"] for one in found.values())
    return {"copied": copied, "copies": table(sorted(rows, key=lambda row: -row["copied"]))}


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
