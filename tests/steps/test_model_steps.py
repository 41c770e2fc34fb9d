"""The steps that run the model: base model, the target's sketch, adapter and evaluation, alone."""

from __future__ import annotations

from pathlib import Path

import factory  # type: ignore[import-not-found]
import numpy as np
import pytest
import yaml
from tiny_project import write_project  # type: ignore[import-not-found]

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.records import tables
from appraise.records.adapter import AdapterTraining, EvaluationMetrics, ItemsTable
from appraise.records.base_model import BaseModelFingerprint
from appraise.records.sketch import Sketch
from appraise.steps.flow import step
from appraise.steps.runner import run


@pytest.fixture(scope="module")
def root(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose policy `kmm` buys nothing: what is evaluated is the base model."""
    folder: Path = write_project(
        tmp_path_factory.mktemp("model") / "project", tiny, selected_subset={"policies": ["kmm"]}
    )
    project = Project(folder)
    factory.put(project, "selected_subset", "desk/kmm", factory.subset("kmm", [], {}, {}))
    for noun in ("base_model", "target_sets", "target_sketches", "lora_adapter", "evaluation"):
        run(step(noun), project)
    return folder


def changed(root: Path, section: str, **change: object) -> Project:
    """The project as it would be with other settings; its files stay as they are."""
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params[section] = params.get(section, {}) | change
    other = Project(root)
    other.__dict__["params"] = type(other.params).model_validate(params)
    return other


def test_the_base_model_is_known_by_all_that_decides_a_gradient(root: Path) -> None:
    record = Project(root).read(BaseModelFingerprint, "base_model")
    assert len(record.fingerprint) == 64
    assert record.weights
    assert record.lora["rank"] == 2
    one = step("base_model")
    assert one.current(Project(root), "")
    lora = {"rank": 2, "last_layers": 2, "seed": 1}
    assert not one.current(changed(root, "base_model", lora=lora), "")
    assert not one.current(changed(root, "base_model", prompt="Q: {prompt}"), "")


def test_a_sketch_of_the_target_has_a_row_for_each_example(root: Path) -> None:
    project = Project(root)
    sketch = project.read(Sketch, "target_sketches", "desk")
    assert sketch.rows.shape == (6, 128)
    assert np.isfinite(sketch.rows).all()
    examples = project.read(tables.ValueSplit, "target_sets", "desk").all()
    assert set(sketch.meta.example_ids) == {example.id for example in examples}
    one = step("target_sketches")
    assert run(one, project).made == ()
    assert not one.current(changed(root, "gradient_sketches", seed=9), "desk")
    assert one.current(changed(root, "gradient_sketches", preview=5), "desk"), "of datasets alone"


def test_nothing_bought_is_the_base_model_itself(root: Path) -> None:
    training = Project(root).read(AdapterTraining, "lora_adapter", "desk/kmm")
    assert (training.steps, training.loss, training.mix) == (0, (), {})


def test_an_evaluation_is_of_every_test_item(root: Path) -> None:
    project = Project(root)
    metrics = project.read(EvaluationMetrics, "evaluation", "desk/kmm")
    items = project.read(ItemsTable, "evaluation", "desk/kmm")
    examples = project.read(tables.TestSplit, "target_sets", "desk").all()
    assert sorted(items.texts("id")) == sorted(example.id for example in examples)
    nats, tokens = items.numbers("nats"), items.numbers("tokens")
    assert metrics.loss == pytest.approx(nats.sum() / tokens.sum())
    assert metrics.items == len(examples)
    assert metrics.accuracy is not None
    one = step("evaluation")
    assert run(one, project).made == ()
    assert not one.current(changed(root, "evaluation", lm_eval=False), "desk/kmm")
    assert one.current(changed(root, "decision_outcome", seed=5), "desk/kmm")


def test_a_damaged_adapter_is_refused_and_made_again(root: Path) -> None:
    project = Project(root)
    path = project.folder("lora_adapter", "desk/kmm") / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="the file is damaged"):
        project.open("lora_adapter", "desk/kmm")
    assert run(step("lora_adapter"), project).made == ("desk/kmm",)
    assert path.read_bytes() == whole
