"""Sketches of the demo's pool with larger previews, made once and kept for the benchmarks.

    python benchmarks/sketches.py

makes them all (about a quarter of an hour on two cores), in `benchmarks/work/`. The benchmarks call
`sketches` themselves for what they need.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from appraise.project import Project
from appraise.steps.flow import step
from appraise.steps.runner import run
from appraise.storage.files import read_arrays

ROOT = Path(__file__).parent.parent
WORK = ROOT / "benchmarks" / "work"
TARGET = "clinic_desk"
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Sketches:
    """Per-example gradients of datasets and of the target.

    Attributes:
        rows: dataset → (m, d).
        keys: dataset → what its rows are ordered by, one for each.
        target: (m, d).
    """

    rows: dict[str, Rows]
    keys: dict[str, list[str]]
    target: Rows


def project(
    name: str,
    change: Callable[[dict[str, Any]], None],
    offers: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Project:
    """A project like the demo, with other settings and other offers, in `benchmarks/work/`."""
    root = WORK / name
    root.mkdir(parents=True, exist_ok=True)
    for link in ("downloads",):
        if not (root / link).exists():
            (root / link).symlink_to(ROOT / link)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["offers"]["pool"] = "pool.yaml"
    change(params)
    pool = yaml.safe_load((ROOT / "pools" / "demo.yaml").read_text(encoding="utf-8"))
    offers(pool)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (root / "pool.yaml").write_text(yaml.safe_dump(pool, sort_keys=False), encoding="utf-8")
    shared = ROOT / "data" / "base_model"
    if shared.is_dir() and not (root / "data" / "base_model").exists():
        shutil.copytree(shared, root / "data" / "base_model")
    return Project(root)


def bring(made: Project, nouns: Sequence[str], keys: Sequence[str] | None = None) -> None:
    """Bring steps up to date; `keys` are the datasets to sketch."""
    for noun in nouns:
        run(step(noun), made, keys if noun == "gradient_sketches" else None)


TO_SKETCHES = (
    "base_model", "offers", "target_sets", "auxiliary_datasets", "near_copies", "target_sketches",
    "gradient_sketches",
)  # fmt: skip


def sketches(preview: int, datasets: Sequence[str] | None = None) -> Sketches:
    """Sketches of so many examples of each dataset, and of 96 of the target."""

    def change(params: dict[str, Any]) -> None:
        params["gradient_sketches"]["preview"] = preview
        params["target_sets"][TARGET]["value"] = 32

    made = project(f"preview_{preview}", change)
    bring(made, TO_SKETCHES, datasets)
    names = datasets or made.partitions("gradient_sketches")
    rows, keys = {}, {}
    for name in names:
        arrays, meta = read_arrays(made.open("gradient_sketches", name) / "sketch.safetensors")
        rows[name] = arrays["rows"].astype(np.float64)
        keys[name] = [str(one) for one in meta["example_ids"]]
    target, _ = read_arrays(made.open("target_sketches", TARGET) / "sketch.safetensors")
    return Sketches(rows, keys, target["rows"].astype(np.float64))


LARGE = ("csqa", "privacy_policy", "obqa")

if __name__ == "__main__":
    sketches(48)
    sketches(480, LARGE)
