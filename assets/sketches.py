"""The base model, and the gradients of datasets and targets at it."""

from __future__ import annotations

from dataclasses import asdict

from appraise.assets import checks
from appraise.assets.tables import Metadata
from appraise.orchestration.pipeline import Check, Describe, Shown
from appraise.project import Project
from appraise.records.base_model import BaseModelFingerprint
from appraise.records.sketch import SketchMeta
from appraise.review.sketch_costs import cost


def describe_base_model(project: Project, key: str) -> Metadata:
    """What sketches must have in common to be compared."""
    return {**BaseModelFingerprint.read(project.open("base_model", key)).as_json()}


def describe_sketch(noun: str) -> Describe:
    """Metadata of a sketch: its shape, losses and how it was projected."""

    def describe(project: Project, key: str) -> Metadata:
        found = cost(project, noun, key)
        if found is None:
            return {"set_aside": project.set_aside(noun, key)}
        alike = SketchMeta.read(project.open(noun, key)).alike
        numbers = {name: value for name, value in found.as_json().items() if value is not None}
        return {**numbers, **asdict(alike)}

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
