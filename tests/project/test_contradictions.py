"""What is wrong with `params.yaml` is said all at once, a line for each thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appraise.errors import ParamsError
from appraise.project.params import read_params

RIGHT: dict[str, Any] = {
    "base_model": {"source": "m"},
    "offers": {"pool": "pool.yaml"},
    "target_sets": {"t": {"title": "T", "components": [{"name": "c", "source": "x.jsonl"}]}},
}


def refused(folder: Path, **changes: Any) -> list[str]:
    """What is said of these settings, line by line."""
    path = folder / "params.yaml"
    content = {name: RIGHT.get(name, {}) | changes.get(name, {}) for name in RIGHT | changes}
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ParamsError) as raised:
        read_params(path)
    lines = str(raised.value).splitlines()
    if len(lines) > 1:
        assert lines.pop(0) == f"{len(lines)} things to put right first:"
    return [line.removeprefix("- ").removeprefix(f"{path}: ") for line in lines]


def test_everything_at_once_within_sections_and_between_them(tmp_path: Path) -> None:
    target = RIGHT["target_sets"]["t"]
    lines = refused(
        tmp_path,
        base_model={"lora": {"target_modules": "*_proj"}},
        target_sets={"u": target | {"value": -1}},
        gradient_sketches={"vectors": "gradients", "previews": 4},
        selected_subset={"k": 0},
        lora_adapter={"target_share": 0.5, "mix": "plan"},
        kmm_weights={"rule": "number"},
        dataset_values={"methods": ["allignment"]},
    )
    assert lines == [
        "base_model.lora.target_modules: expected names of modules in a list, all-linear, or a "
        "regular expression, found '*_proj': nothing to repeat at position 0",
        "target_sets.u.value: Input should be greater than 0, found -1",
        "gradient_sketches.previews: expected one of preview, vectors, task_vectors, dimension, "
        "distortion, projection, max_rows, device, dtype, seed, objective, found 'previews'; did "
        "you mean preview?",
        "kmm_weights: rule is number, but number is not given",
        "selected_subset.k: Input should be greater than 0, found 0",
        "target_sets.t.train: expected examples for training, because lora_adapter.target_share is "
        "0.5, found 0; raise it, or set target_share to 0",
        "lora_adapter.mix: expected one of planned, found 'plan'; did you mean planned?",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"selected_subset": {"policies": ["kmn", "none"], "decide_by": "kmm"}},
            ["selected_subset.policies.0: expected one of none", "selected_subset.decide_by: exp"],
        ),
        (
            {
                "dataset_values": {"methods": ["alignment"]},
                "selected_subset": {"policies": ["kmm"]},
            },
            ["dataset_values.methods: expected kmm among them, whose values policy kmm reads"],
        ),
        (
            {"gradient_sketches": {"vectors": "task_vectors"}},
            ["gradient_sketches.vectors: expected gradients, which method alignment values, found"],
        ),
        (
            {
                "base_model": {"max_length": 64},
                "gradient_sketches": {"objective": {"kind": "grpo", "max_new_tokens": 64}},
            },
            ["gradient_sketches.objective.max_new_tokens: expected fewer tokens than base_model."],
        ),
        (
            {"gradient_sketches": {"objective": {"kind": "dpo", "beta": 0, "temperature": 1}}},
            [
                "gradient_sketches.objective.beta: Input should be greater than 0, found 0",
                "gradient_sketches.objective.temperature: expected one of kind, beta, found",
            ],
        ),
        (
            {"auxiliary_datasets": {"min_examples": 24, "max_examples": 16}},
            ["auxiliary_datasets: max_examples: expected at least min_examples (24), found 16"],
        ),
        (
            {"base_model": {"prompt": "Question: {question}"}},
            ["base_model: prompt: expected {prompt} where the text goes, found 'Question: {quest"],
        ),
        (
            {
                "target_sets": {
                    "t": {"title": "T", "components": [{"name": "c", "source": "x"}] * 2}
                }
            },
            ["target_sets.t.components: expected a name of its own for each, found c twice"],
        ),
        ({"gradient_sketches": {"preview": 1}}, ["gradient_sketches.preview: Input should be "]),
        ({"near_copy": {}}, ["near_copy: expected one of base_model, offers, target_sets, "]),
    ],
)
def test_each_line_says_where_and_what(
    tmp_path: Path, changes: dict[str, Any], expected: list[str]
) -> None:
    lines = refused(tmp_path, **changes)
    assert len(lines) == len(expected)
    for line, begins in zip(lines, expected, strict=True):
        assert line.startswith(begins)


def test_an_expression_without_places_is_no_matter_in_a_chat_format(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    chat = RIGHT["base_model"] | {"chat": True, "prompt": "", "completion": ""}
    path.write_text(yaml.safe_dump(RIGHT | {"base_model": chat}))
    assert read_params(path).base_model.chat


def test_a_file_that_holds_no_sections_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: the whole: .*dictionary"):
        read_params(path)
