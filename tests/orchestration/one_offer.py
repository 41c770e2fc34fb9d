"""A project with one offer and the one stage that reads it: the real step, which needs no model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from fake_steps import make_project  # type: ignore[import-not-found]

from appraise.storage.files import sha256_bytes

ROW = json.dumps({"prompt": "What is two and two?", "completion": "four"}) + "\n"
STAGE = {
    "cmd": f"{sys.executable} -m appraise.cli offers",
    "desc": "What is offered.",
    "deps": ["pool.json"],
    "params": ["offers"],
    "outs": [{"data/offers": {"persist": True}}],
}


def one_offer(root: Path) -> Path:
    """The folder; its pool is named after it."""
    make_project(root)
    (root / "rows.jsonl").write_text(ROW)
    offer = {"id": "sums", "title": "Sums", "provider": "P", "version": "1", "price": 10.0}
    offer |= {"licence": "CC0-1.0", "source": "rows.jsonl", "sha256": sha256_bytes(ROW.encode())}
    pool = {"title": root.name, "currency": "EUR", "offers": [offer]}
    (root / "pool.json").write_text(json.dumps(pool))
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"offers": STAGE}}))
    return root
