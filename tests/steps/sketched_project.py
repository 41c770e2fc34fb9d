"""A project whose sketches are made up: four datasets, two targets, 24 and 48 rows of 64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from appraise.project import Project, Recipe
from appraise.storage.files import write_arrays, write_json

D = 64
ALIKE = {"fingerprint": "f" * 64, "projection": "countsketch", "dimension": D, "seed": 0}
PRICES = {"a": 10.0, "a_b": 20.0, "c": 30.0, "d": 40.0}


def rows(name: str, m: int = 24) -> np.ndarray:
    """Rows (m, 64) that depend on the name only."""
    rng = np.random.default_rng(list(name.encode()))
    common = np.random.default_rng(0).normal(size=(2, D))
    return (rng.normal(size=2) @ common + 0.6 * rng.normal(size=(m, D))).astype(np.float32)


def write_sketch(project: Project, noun: str, key: str, **changes: Any) -> None:
    array = changes.pop("rows", rows(key, 48 if noun == "target_sketches" else 24))
    with project.writing(noun, key, Recipe("1", {})) as folder:
        tokens = np.ones(len(array), dtype=np.int64)
        arrays = {"rows": array, "loss": np.ones(len(array), np.float32), "tokens": tokens}
        ids = [f"{key}{row}" for row in range(len(array))]
        meta = ALIKE | {"example_ids": ids} | changes
        write_arrays(folder / "sketch.safetensors", arrays, meta)


def set_aside(project: Project, key: str, reason: str = "too short") -> None:
    with project.writing("gradient_sketches", key, Recipe("1", {})) as folder:
        write_json(folder / "set_aside.json", {"reason": reason})


def write_offers(project: Project, prices: dict[str, float], **changes: Any) -> None:
    offers = [
        {"id": name, "title": name, "price": price, "provider": f"owner of {name[0]}"}
        for name, price in prices.items()
    ]
    content = {"title": "pool", "currency": "EUR", "prices_are_examples": True, "offers": offers}
    with project.writing("offers", "", Recipe("1", {})) as folder:
        write_json(folder / "offers.json", content | {"set_aside": []} | changes)


def write_params(root: Path, **changes: dict[str, Any]) -> Project:
    """Write `params.yaml`, sections changed as said, and give the project anew."""
    target = {"title": "T", "components": [{"name": "c", "source": "x.jsonl"}]}
    params: dict[str, Any] = {
        "base_model": {"source": "m"},
        "offers": {"pool": "pool.yaml"},
        "target_sets": {"t": target, "u": target},
        "dataset_values": {"bootstraps": 20},
        "selected_subset": {"k": 2},
    }
    for section, change in changes.items():
        params[section] = params.get(section, {}) | change
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return Project(root)


def sketched(root: Path, **changes: dict[str, Any]) -> Project:
    project = write_params(root, **changes)
    for name in PRICES:
        write_sketch(project, "gradient_sketches", name)
    for name in ("t", "u"):
        write_sketch(project, "target_sketches", name)
    write_offers(project, PRICES)
    return project
