"""The adapters that were trained, and what they score."""

from __future__ import annotations

from appraise.assets.tables import Metadata, picture, table
from appraise.orchestration.pipeline import Shown
from appraise.presentation.valuation_pictures import training_picture
from appraise.project import Project
from appraise.records.adapter import AdapterTraining, EvaluationMetrics


def describe_adapter(project: Project, key: str) -> Metadata:
    """The training curve and what was trained on."""
    training = AdapterTraining.read(project.open("lora_adapter", key))
    mix = [{"id": name, "sequences": count} for name, count in training.mix.items()]
    found: Metadata = {"mix": table(mix), "steps": training.steps, "tokens": training.tokens}
    policy = key.split("/")[-1]
    png = training_picture({policy: training}, policy)
    if png is None:
        return found
    curves = {"last_loss": training.loss, "last_reward": training.reward}
    last: Metadata = {name: curve[-1] for name, curve in curves.items() if curve}
    return found | {"training": picture(png, "Training, step by step")} | last


def describe_evaluation(project: Project, key: str) -> Metadata:
    """Held-out loss, accuracy and reward, by component."""
    metrics = EvaluationMetrics.read(project.open("evaluation", key))
    parts = [{"component": name, **one.as_json()} for name, one in metrics.components.items()]
    numbers = {name: value for name, value in metrics.as_json().items() if name != "components"}
    return {
        "components": table(parts),
        **{name: value for name, value in numbers.items() if value is not None},
    }


SHOWN = (
    Shown("lora_adapter", "training", ("pytorch", "safetensors"), "ml", describe_adapter),
    Shown("evaluation", "training", ("pytorch", "parquet"), "ml", describe_evaluation),
)
