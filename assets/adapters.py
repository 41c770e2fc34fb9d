"""The adapters that were trained, and what they score."""

from __future__ import annotations

from typing import Any

from appraise.assets.tables import picture, table
from appraise.orchestration.pipeline import Shown
from appraise.project import Project
from appraise.storage.files import read_json


def describe_adapter(project: Project, key: str) -> dict[str, Any]:
    """The training curve and what was trained on."""
    from appraise.presentation.pictures import training_curves

    training = read_json(project.open("lora_adapter", key) / "training.json")
    mix = [{"id": name, "sequences": count} for name, count in training.get("mix", {}).items()]
    found: dict[str, Any] = {
        "mix": table(mix),
        **{name: training[name] for name in ("steps", "tokens", "examples") if name in training},
    }
    if not training["loss"]:
        return found
    png = training_curves({key.split("/")[1]: training})
    last = {
        f"last_{name}": float(training[name][-1]) for name in ("loss", "reward") if training[name]
    }
    return found | {"training": picture(png, "Training, step by step"), **last}


def describe_evaluation(project: Project, key: str) -> dict[str, Any]:
    """Held-out loss, accuracy and reward, by component."""
    metrics = read_json(project.open("evaluation", key) / "metrics.json")
    names = ("loss", "tokens", "items", "accuracy", "accuracy_stderr", "reward")
    parts = [{"component": name, **found} for name, found in metrics["components"].items()]
    return {
        "components": table(parts),
        **{name: metrics[name] for name in names if metrics.get(name) is not None},
    }


SHOWN = (
    Shown("lora_adapter", "training", ("pytorch", "safetensors"), "ml", describe_adapter),
    Shown("evaluation", "training", ("pytorch", "parquet"), "ml", describe_evaluation),
)
