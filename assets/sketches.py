"""The base model, and the gradients of datasets and targets at it."""

from __future__ import annotations

from typing import Any

from appraise.assets import checks
from appraise.orchestration.pipeline import Check, Describe, Shown
from appraise.project import Project
from appraise.review.sketch_costs import SKETCH, cost
from appraise.storage.files import read_json, read_meta


def describe_base_model(project: Project, key: str) -> dict[str, Any]:
    """What sketches must have in common to be compared."""
    return dict(read_json(project.open("base_model", key) / "fingerprint.json"))


def describe_sketch(noun: str) -> Describe:
    """Metadata of a sketch: its shape, losses and how it was projected."""

    def describe(project: Project, key: str) -> dict[str, Any]:
        reason = project.set_aside(noun, key)
        if reason:
            return {"set_aside": reason}
        meta = read_meta(project.open(noun, key) / SKETCH)
        found = cost(project, noun, key)
        assert found is not None  # not set aside
        named = ("objective", "vectors", "projection", "dimension", "dtype", "fingerprint")
        return {
            **{name: value for name, value in found.as_json().items() if value is not None},
            **{name: meta[name] for name in named},
        }

    return describe


SHOWN = (
    Shown("base_model", "gradients", ("huggingface", "safetensors"), "ml", describe_base_model),
    Shown(
        "gradient_sketches",
        "gradients",
        ("pytorch", "safetensors"),
        "ml",
        describe_sketch("gradient_sketches"),
        (
            Check(
                "sketches_finite",
                "No sketch has NaN or infinity in it, and none is all zeros.",
                checks.sketches_finite,
            ),
        ),
    ),
    Shown(
        "target_sketches",
        "gradients",
        ("pytorch", "safetensors"),
        "ml",
        describe_sketch("target_sketches"),
    ),
)
