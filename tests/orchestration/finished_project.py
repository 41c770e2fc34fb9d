"""A finished valuation with adapters, evaluations, outcome and report; made up, in two seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import numpy as np
from fake_steps import make_project  # type: ignore[import-not-found]
from steps import fabricated  # type: ignore[import-not-found]

from appraise.examples.overlap import Marks
from appraise.project import Project
from appraise.project.manifest import Input
from appraise.records.adapter import AdapterTraining, EvaluationMetrics, ItemsTable
from appraise.records.fingerprints import Fingerprints
from appraise.records.subset import Subset
from appraise.records.tables import SPLITS, DatasetExamples
from appraise.steps.flow import step
from appraise.steps.runner import run
from appraise.storage.files import write_arrays, write_json

TARGET, POLICIES = fabricated.TARGET, tuple(fabricated.POLICIES)


def finished(root: Path, **sections: dict[str, Any]) -> Project:
    """Everything up to the report, under DVC; sections of the settings changed as said."""
    project = valued(root, **sections)
    trained(project)
    for noun in ("decision_outcome", "report"):
        run(step(noun), project)
    return project


def valued(root: Path, **sections: dict[str, Any]) -> Project:
    """Everything up to the decision."""
    make_project(root)
    project: Project = fabricated.project(root, **sections)
    rows = {name: factory.examples(name, number) for number, name in enumerate(SPLITS)}
    splits = (SPLITS[name].of(examples) for name, examples in rows.items())
    known = Marks(example for examples in rows.values() for example in examples).all
    fingerprints = Fingerprints(tuple(sorted(known)))
    factory.changed(project, "target_sets", TARGET, *splits, fingerprints)
    for number, key in enumerate(project.partitions("auxiliary_datasets"), start=10):
        if project.set_aside("auxiliary_datasets", key) is None:
            kept = DatasetExamples.of(factory.examples(key, number))
            factory.changed(project, "auxiliary_datasets", key, kept)
    for key in project.partitions("gradient_sketches"):
        factory.put(project, "gradient_sketches", key, factory.drawn_sketch(4, seed=len(key)))
    run(step("valuation_decision"), project)
    return project


@dataclass(frozen=True)
class Adapter:
    """The files of an adapter that PEFT reads."""

    steps: int

    def write(self, folder: Path) -> None:
        write_json(folder / "adapter_config.json", {"peft_type": "LORA"})
        arrays = {"a": np.full(3, self.steps, "float32")}
        write_arrays(folder / "adapter_model.safetensors", arrays, {})


def trained(project: Project, steps: int = 60) -> None:
    """Adapters and evaluations that say what they were made from."""
    for policy in POLICIES:
        key = f"{TARGET}/{policy}"
        bought = Subset.read(project.folder("selected_subset", key)).datasets
        facts = {"datasets": sorted(bought)}
        training = AdapterTraining.read(project.folder("lora_adapter", key))
        made = (training.model_copy(update={"steps": steps}), Adapter(steps))
        factory.put(project, "lora_adapter", key, *made, facts=facts)
        file = Input("lora_adapter", key, "adapter_model.safetensors")
        adapter = {file: project.content(file.noun, file.key, file.file)}
        folder = project.folder("evaluation", key)
        scored = (ItemsTable.read(folder), EvaluationMetrics.read(folder))
        factory.put(project, "evaluation", key, *scored, inputs=adapter)
