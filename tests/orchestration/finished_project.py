"""A finished valuation with adapters, evaluations, outcome and report; made up, in two seconds."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from fake_pipeline import make_project  # type: ignore[import-not-found]

from appraise.project import Project, Recipe
from appraise.steps.flow import step
from appraise.steps.runner import run
from appraise.storage.files import read_json, write_arrays, write_json, write_table

TARGET = "clinic_desk"
POLICIES = ("none", "kmm", "one_step", "random")


def fabricated() -> ModuleType:
    """The made-up valuation of the tests of the steps."""
    path = Path(__file__).parents[1] / "steps" / "fabricated.py"
    spec = importlib.util.spec_from_file_location("fabricated", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finished(root: Path) -> Project:
    """Everything up to the report, under DVC."""
    project = valued(root)
    trained(project)
    for noun in ("decision_outcome", "report"):
        run(step(noun), project)
    return project


def valued(root: Path) -> Project:
    """Everything up to the decision."""
    make_project(root)
    made_up = fabricated()
    project: Project = made_up.project(root)
    card = read_json(project.folder("target_sets", TARGET) / "card.json")
    with project.writing("target_sets", TARGET, Recipe("1", {})) as folder:
        write_json(folder / "card.json", card)
        for number, split in enumerate(("value", "train", "test")):
            write_table(folder / f"{split}.parquet", examples(split, number))
    for number, key in enumerate(project.partitions("auxiliary_datasets"), start=10):
        files = _files(project, "auxiliary_datasets", key)
        with project.writing("auxiliary_datasets", key, Recipe("1", {})) as folder:
            for name, content in files.items():
                (folder / name).write_bytes(content)
            if "set_aside.json" not in files:
                write_table(folder / "examples.parquet", examples(key, number))
    for key in project.partitions("gradient_sketches"):
        with project.writing("gradient_sketches", key, Recipe("1", {})) as folder:
            write_arrays(folder / "sketch.safetensors", *made_up.sketch(4, seed=len(key)))
    run(step("valuation_decision"), project)
    return project


def trained(project: Project, steps: int = 60) -> None:
    """Adapters and evaluations that say what they were made from."""
    for policy in POLICIES:
        key = f"{TARGET}/{policy}"
        subset = read_json(project.folder("selected_subset", key) / "subset.json")["datasets"]
        settings = {"steps": steps, "datasets": sorted(subset)}
        files = _files(project, "lora_adapter", key)
        with project.writing("lora_adapter", key, Recipe("1", settings)) as folder:
            training = json.loads(files["training.json"]) | {"steps": steps}
            write_json(folder / "training.json", training)
            write_json(folder / "adapter_config.json", {"peft_type": "LORA"})
            arrays = {"a": np.full(3, steps, "float32")}
            write_arrays(folder / "adapter_model.safetensors", arrays, {})
        files = _files(project, "evaluation", key)
        name = f"lora_adapter/{key}/adapter_model.safetensors"
        adapter = {name: project.content("lora_adapter", key, "adapter_model.safetensors")}
        with project.writing("evaluation", key, Recipe("1", {}, adapter)) as folder:
            for file, content in files.items():
                (folder / file).write_bytes(content)


def _files(project: Project, noun: str, key: str) -> dict[str, bytes]:
    folder = project.folder(noun, key)
    names = project.manifest(noun, key)["files"]
    return {name: (folder / name).read_bytes() for name in names}


def examples(name: str, number: int, count: int = 30) -> pd.DataFrame:
    """Rows with questions of their own."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"{number:03d}{i:013d}",
            "prompt": f"What does the book called {name} have to say on its page number {i}?",
            "completion": f"It says {i}",
        }
        for i in range(count)
    ]
    return pd.DataFrame(rows)
