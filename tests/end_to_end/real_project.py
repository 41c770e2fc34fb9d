"""A copy of this project with four offers and few examples, and how to run commands in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
POOL = ("csqa", "mmlu", "obqa", "privacy_policy")


def command(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment inside a project, as a user would."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DAGSTER_HOME": str(project / ".dagster"),
    }
    return subprocess.run(
        words, cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def small_project(folder: Path) -> Path:
    """A copy of this project with four offers and few examples; a git checkout of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "infra", folder / "infra")
    (folder / ".dvc").mkdir()
    site = folder.parent / "dvc-site"
    config = (ROOT / ".dvc" / "config").read_text() + f"    site_cache_dir = {site}\n"
    (folder / ".dvc" / "config").write_text(config)
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "downloads").symlink_to(ROOT / "downloads")
    pool = yaml.safe_load((ROOT / "pools" / "demo.yaml").read_text())
    pool["offers"] = [offer for offer in pool["offers"] if offer["id"] in POOL]
    (folder / "pools").mkdir()
    (folder / "pools" / "demo.yaml").write_text(yaml.safe_dump(pool))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["target_sets"]["clinic_desk"].update(value=4, test=6)
    params["auxiliary_datasets"].update(max_examples=32, min_examples=8)
    params["gradient_sketches"].update(preview=4, dimension=1024)
    params["dataset_values"].update(bootstraps=20)
    params["selected_subset"].update(k=2, policies=["none", "kmm", "one_step"])
    params["lora_adapter"].update(steps=3)
    params["decision_outcome"].update(resamples=200)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for words in (
        ("git", "init", "-q"),
        ("git", "add", "."),
        ("git", *IDENTITY, "commit", "-qm", "x"),
    ):
        done = command(folder, *words)
        assert done.returncode == 0, done.stderr
    return folder


IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")
