"""A project of a few rows: one target, a pool, and a tokenizer in which a word is a token."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from appraise.project import Project, Recipe

TARGET_ROWS = 40


def rows(count: int, name: str = "set") -> list[dict[str, Any]]:
    """Rows with a question, an answer and options; no two alike."""
    return [
        {
            "question": f"what does the {name} say about number {i} ?",
            "answer": f"B. it says {i}",
            "options": f"A. nothing at all\nB. it says {i}",
        }
        for i in range(count)
    ]


def write_lines(path: Path, content: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """Write rows as JSONL; bytes are lines as they are."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in content]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def offer(
    root: Path, identity: str, content: Iterable[Any] | None = None, **more: Any
) -> dict[str, Any]:
    """An offer of a JSONL file, which is written when there is content."""
    path = root / "files" / f"{identity}.jsonl"
    if content is not None:
        write_lines(path, content)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "0" * 64
    return {
        "id": identity,
        "title": identity,
        "provider": "a provider",
        "version": "1",
        "licence": "MIT",
        "price": 10,
        "source": f"files/{identity}.jsonl",
        "sha256": sha256,
        "prompt": "{question}\n{options}",
        "completion": "{answer}",
    } | more


def write_pool(root: Path, offers: list[Any]) -> None:
    """Write the pool file."""
    pool = {"title": "A pool", "currency": "EUR", "offers": offers}
    (root / "pool.yaml").write_text(yaml.safe_dump(pool), encoding="utf-8")


def write_params(root: Path, **changes: Any) -> Project:
    """Write `params.yaml`, sections changed as said, and give the project anew."""
    component = {
        "name": "desk",
        "source": "files/target.jsonl",
        "prompt": "{question}\n{options}",
        "completion": "{answer}",
        "choices": "{options}",
    }
    params: dict[str, Any] = {
        "base_model": {"source": "none", "max_length": 60},
        "offers": {"pool": "pool.yaml"},
        "target_sets": {
            "desk": {
                "title": "A desk",
                "value": 6,
                "train": 4,
                "test": 10,
                "components": [component],
            }
        },
        "auxiliary_datasets": {"min_examples": 8, "max_examples": 16, "max_row_bytes": 5000},
    }
    for section, content in changes.items():
        params[section] = params.get(section, {}) | content
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return Project(root)


def objective(kind: str) -> dict[str, Any]:
    """The section `gradient_sketches` with this objective."""
    short = {"max_new_tokens": 16} if kind == "grpo" else {}
    return {"objective": {"kind": kind} | short}


def small_project(root: Path) -> Project:
    """A project with a tokenizer, a target's file and a pool of one good offer."""
    project = write_params(root)
    write_lines(root / "files" / "target.jsonl", rows(TARGET_ROWS, "target"))
    write_pool(root, [offer(root, "good", rows(30, "good"))])
    with project.writing("base_model", "", Recipe("1", {})) as folder:
        (folder / "tokenizer.json").write_text(_tokenizer(), encoding="utf-8")
    return project


def _tokenizer() -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())
