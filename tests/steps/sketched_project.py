"""A project whose sketches are made up: four datasets, two targets, 24 and 48 rows of 64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import numpy as np

from appraise.project import Project
from appraise.records.set_aside import WhySetAside

D = 64
PRICES = {"a": 10.0, "a_b": 20.0, "c": 30.0, "d": 40.0}
_TARGET = {"title": "T", "components": [{"name": "c", "source": "x.jsonl"}]}
PARAMS: dict[str, Any] = {
    "base_model": {"source": "m"},
    "offers": {"pool": "pool.yaml"},
    "target_sets": {"t": _TARGET, "u": _TARGET},
    "dataset_values": {"bootstraps": 20},
    "selected_subset": {"k": 2},
}


def rows(name: str, m: int = 24) -> np.ndarray:
    """Rows (m, 64) that depend on the name only."""
    rng = np.random.default_rng(list(name.encode()))
    common = np.random.default_rng(0).normal(size=(2, D))
    return (rng.normal(size=2) @ common + 0.6 * rng.normal(size=(m, D))).astype(np.float32)


def write_sketch(project: Project, noun: str, key: str, **changes: Any) -> None:
    """Write a sketch; `rows`, or how it was made, changed as said."""
    array = changes.pop("rows", rows(key, 48 if noun == "target_sketches" else 24))
    ids = [f"{key}{row}" for row in range(len(array))]
    factory.put(project, noun, key, factory.sketch(array, ids, **({"dimension": D} | changes)))


def set_aside(project: Project, key: str, reason: str = "too short") -> None:
    factory.put(project, "gradient_sketches", key, WhySetAside(reason=reason))


def write_offers(
    project: Project,
    prices: dict[str, float],
    terms: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> None:
    """Write the offers at these prices, whatever they are.

    Args:
        terms: dataset → what is changed of its offer.
        changes: of the pool.
    """
    found = [
        factory.offer(name, **({"provider": f"owner of {name[0]}"} | (terms or {}).get(name, {})))
        for name in prices
    ]
    priced = [offer.model_copy(update={"price": prices[offer.id]}) for offer in found]
    factory.put(project, "offers", "", factory.offers(*priced, **({"title": "pool"} | changes)))


def write_params(root: Path, **changes: dict[str, Any]) -> Project:
    """Write `params.yaml`, sections changed as said, and give the project anew."""
    made: Project = factory.write_params(root, PARAMS, **changes)
    return made


def sketched(root: Path, **changes: dict[str, Any]) -> Project:
    project = write_params(root, **changes)
    for name in PRICES:
        write_sketch(project, "gradient_sketches", name)
    for name in ("t", "u"):
        write_sketch(project, "target_sketches", name)
    write_offers(project, PRICES)
    return project
