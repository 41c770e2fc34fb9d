"""A project of three small datasets on a tiny model, and every step run on it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from appraise.cli import main
from appraise.steps.flow import NOUNS

WORDS = {
    "colours": ["red", "green", "blue", "white"],
    "animals": ["dog", "cat", "cow", "hen"],
    "numbers": ["one", "two", "six", "ten"],
}


def write_rows(root: Path, name: str, words: list[str], count: int = 30) -> dict[str, str]:
    rows = [
        {"prompt": f"{name} {i}", "completion": words[i % 4], "options": "\n".join(words)}
        for i in range(count)
    ]
    path = root / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def settings(model: Path, **changes: Any) -> dict[str, Any]:
    component = {"name": "talk", "source": "talk.jsonl", "choices": "{options}"}
    params: dict[str, Any] = {
        "base_model": {
            "source": str(model),
            "max_length": 64,
            "prompt": "{prompt}:",
            "lora": {"rank": 2, "last_layers": 2},
        },
        "offers": {"pool": "pool.yaml"},
        "target_sets": {
            "desk": {
                "title": "A desk",
                "value": 6,
                "train": 5,
                "test": 8,
                "components": [component],
            }
        },
        "auxiliary_datasets": {"min_examples": 4, "max_examples": 20},
        "gradient_sketches": {"preview": 6, "dimension": 128},
        "dataset_values": {"bootstraps": 10},
        "selected_subset": {"k": 2, "policies": ["none", "kmm", "one_step", "target_only"]},
        "lora_adapter": {"steps": 2, "batch_size": 2},
        "decision_outcome": {"resamples": 50},
    }
    for section, change in changes.items():
        params[section] = params.get(section, {}) | change
    return params


def write_project(root: Path, model: Path, **changes: Any) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    write_rows(root, "talk", ["red", "dog", "one", "hen"], 40)
    common = {"provider": "P", "version": "1", "licence": "MIT", "price": 5.0}
    offers = [
        {"id": name, "title": name.title(), **common, **write_rows(root, name, words)}
        for name, words in WORDS.items()
    ]
    pool = {"title": "T", "currency": "EUR", "offers": offers}
    (root / "pool.yaml").write_text(yaml.safe_dump(pool))
    (root / "params.yaml").write_text(yaml.safe_dump(settings(model, **changes)))
    return root


def appraise(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(root), *words], catch_exceptions=False)


def all_of_it(root: Path) -> dict[str, list[str]]:
    made = {}
    for noun in NOUNS:
        result = appraise(root, noun.replace("_", "-"), "--no-record", "--json")
        assert result.exit_code == 0, result.stderr
        made[noun] = json.loads(result.stdout)["made"]
    return made
