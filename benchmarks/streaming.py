"""A dataset of a million examples through the sketch step: memory, storage, a kill, and going on.

    python benchmarks/streaming.py [--examples 1000000] [--kill-after 60]

On a small random Llama, because it is the stream that is measured and not the model. The step runs
as a process of its own, is killed with SIGKILL once, and is run again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sketches import WORK  # type: ignore[import-not-found]
from tables import draw_bars, write_table  # type: ignore[import-not-found]

from appraise.project import Project, Recipe
from appraise.storage.files import read_json, read_meta, write_json
from appraise.storage.files import write_table as save

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
WORDS = np.array(["red", "green", "blue", "one", "two", "three", "yes", "no", "why", "so"])
ROWS = 100_000  # written at once


def made(count: int, dimension: int) -> Project:
    """A project with one dataset of so many examples, up to the step before the sketches."""
    from tiny_model import tiny_model  # type: ignore[import-not-found]

    root = WORK / "streaming"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    tiny_model(root / "model", num_hidden_layers=1)
    params = {
        "base_model": {
            "source": "model",
            "max_length": 64,
            "lora": {"rank": 1, "target_modules": ["q_proj"]},
        },
        "offers": {"pool": "pool.yaml"},
        "target_sets": {"desk": {"title": "A desk", "components": [{"name": "c", "source": "x"}]}},
        "gradient_sketches": {"preview": count, "dimension": dimension},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    project = Project(root)
    subprocess.run([sys.executable, "-m", "appraise.cli", "base-model"], cwd=root, check=True)
    with project.writing("auxiliary_datasets", "large", Recipe("1", {})) as folder:
        _write_examples(folder / "examples.parquet", count)
    offer = {
        "id": "large", "title": "Large", "provider": "us", "version": "1", "licence": "MIT",
        "price": 1.0, "source": "made.jsonl", "sha256": "0" * 64,
    }  # fmt: skip
    with project.writing("offers", "", Recipe("1", {})) as folder:
        pool = {"title": "One", "currency": "EUR", "prices_are_examples": True}
        write_json(folder / "offers.json", {**pool, "offers": [offer], "order": ["large"]})
    with project.writing("near_copies", "", Recipe("1", {})) as folder:
        write_json(folder / "summary.json", {"large": {"copied": 0, "of": {}}})
        empty = {name: pd.Series([], dtype="str") for name in ("dataset", "row", "of", "of_row")}
        save(folder / "copies.parquet", pd.DataFrame(empty))
    return project


def _write_examples(path: Path, count: int) -> None:
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "prompt", "completion")])
    with parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, count, ROWS):
            size = min(ROWS, count - start)
            words = rng.choice(WORDS, (size, 8))
            table = {
                "id": [f"{start + n:016x}" for n in range(size)],
                "prompt": [" ".join(row[: 2 + n % 5]) for n, row in enumerate(words)],
                "completion": [str(row[7]) for row in words],
            }
            writer.write_table(pyarrow.table(table, schema))


def step(project: Project) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "appraise.cli", "gradient-sketches", "--key", "large"]
    return subprocess.Popen(command, cwd=project.root)


def peak_memory(process: subprocess.Popen[bytes], kill_after: float | None) -> tuple[float, float]:
    """Largest resident memory, GB, while it runs, and seconds; killed after so many or not."""
    began, largest = time.monotonic(), 0.0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                largest = max(largest, int(line.split()[1]) / 1e6)
        if kill_after and time.monotonic() - began > kill_after:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            break
        time.sleep(0.2)
    return largest, time.monotonic() - began


def main(count: int, dimension: int, kill_after: float) -> None:
    project = made(count, dimension)
    lines, bars = [], {}
    memory, seconds = peak_memory(step(project), kill_after)
    grown = read_json(project.partial("gradient_sketches", "large") / "grown.json")
    done = grown["state"]["seen"]
    bars[f"killed after {seconds:.0f} s, {memory:.2f} GB"] = done / seconds
    lines.append(f"| killed | {done:,} | {seconds:.0f} | {done / seconds:.0f} | {memory:.2f} | |")
    memory, seconds = peak_memory(step(project), None)
    path = project.open("gradient_sketches", "large") / "sketch.safetensors"
    rest = read_meta(path)["examples"] - done
    size = path.stat().st_size / 1e6
    bars[f"went on for {seconds:.0f} s, {memory:.2f} GB"] = rest / seconds
    lines.append(
        f"| went on | {rest:,} | {seconds:.0f} | {rest / seconds:.0f} | {memory:.2f} | {size:.1f} |"
    )
    write_table("streaming", "| run | examples | s | examples/s | memory, GB | stored, MB |", lines)
    draw_bars("streaming", "examples a second", bars)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=4096)
    parser.add_argument("--kill-after", type=float, default=60.0, help="seconds")
    given = parser.parse_args()
    main(given.examples, given.dimension, given.kill_after)
