"""Per-example LoRA gradients beside EleutherAI's bergson: same model, tokens and size of a sketch.

    python3.11 -m venv VENV
    VENV/bin/pip install torch==2.13.0 transformers==5.23.0 peft==0.21.2 datasets==5.2.0 \
        accelerate numpy==2.4.6 scipy jaxtyping ml_dtypes natsort petname simple-parsing graphviz
    VENV/bin/pip install --no-deps bergson==2.5.1 torchopt==0.7.3 optree
    python benchmarks/bergson.py --bergson-python VENV/bin/python    # six minutes on two cores

Each engine runs in a process of its own, by turns, in float32 on the same two cores, on some
examples of each of the demo's datasets (after `make demo`), with the loss on the completion alone.
The adapters are the demo's (r = 8, q, k and v) at B = 0, on the last ten layers and on all.

bergson's is its own command, `bergson build`, with the tokens given, `precision fp32`,
`loss_reduction mean`, and `projection_dim` p, p × p numbers for each B, so chosen that all together
are nearest to our 4096. `filter_modules *.lora_A.*` spares it the gradients of A, which are 0 at
B = 0 and would be half of its sketch. `token_batch_size` is 1024: in one thread 512 took 49 CPU
seconds, 1024 took 52, 2048 (its default) 63 and 4096 took 81, and memory grows with it. Measured
are one process with two threads, and its `nproc_per_node 2` with one thread each. torchvision,
torchaudio and bitsandbytes are not needed for this and are left out. Nothing in it is changed.

Seconds are those of the gradients: ours from text to the finished sketch file, bergson's from the
file that it lays out before the first batch to the one that it writes after the last. Peak memory
is that of a whole process, of each where there are two. What both find is compared without
projection, and with it against the cosines without.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from appraise.language_model.sketcher import Sketcher
    from appraise.project import Project

DIMENSION, CORES = 4096, 2
LAYERS = {"last 10 layers": 10, "all layers": None}
WORK = Path(__file__).parent / "work"
HEAD = (
    "| adapters | engine | numbers each | seconds | with loading | tokens/s | CPU seconds "
    "| peak MB | kB on disk |"
)
Job = dict[str, Any]
Asked = argparse.Namespace
Rows = NDArray[Any]


# In a process of its own, with our Python: the examples, and our gradients of them.


def sketcher_of(project: Project) -> Sketcher:
    from appraise.language_model.sketcher import Sketcher

    settings = project.params.gradient_sketches
    folder, params = project.open("base_model"), project.params.base_model
    return Sketcher(folder, params, settings, settings.objective)


def prepare(folder: Path, job: Job) -> None:
    """A project with this LoRA, its adapter in PEFT's layout, and the examples for both."""
    import pandas as pd
    from sketches import ROOT, bring, project

    from appraise.language_model.adapters import with_adapter
    from appraise.records.examples import read
    from appraise.steps.gradient_sketches import chosen
    from appraise.storage.files import read_table, write_json, write_table

    def change(params: dict[str, Any]) -> None:
        params["base_model"]["lora"]["last_layers"] = job["layers"]

    made = project(folder.name, change)
    bring(made, ["base_model"])
    sketcher, seed, tables = sketcher_of(made), made.params.gradient_sketches.seed, []
    for path in sorted((ROOT / "data" / "auxiliary_datasets").glob("*/examples.parquet")):
        table = read_table(path)[["id", "prompt", "completion"]].set_index("id", drop=False)
        tables.append(table.loc[chosen(list(table.index), job["examples"], seed)])
    if not tables:
        raise SystemExit("expected data/auxiliary_datasets, found nothing; run `make demo` first")
    for name, parts in (("all", tables), ("few", [table.head(1) for table in tables])):
        table = pd.concat(parts, ignore_index=True)
        write_table(folder / f"{name}.parquet", table)
        examples = read(folder / f"{name}.parquet")
        encoded = [sketcher.prepare(example).terms[0].encoded for example in examples]
        lines = [
            {
                "input_ids": one.ids,
                "labels": [-100] * one.n_prompt + list(one.ids[one.n_prompt :]),
                "length": len(one.ids),
            }
            for one in encoded
        ]
        text = "".join(json.dumps(one) + "\n" for one in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        if name == "all":
            tokens = sum(len(one.ids) for one in encoded)
    modules, sizes = len(sketcher.a), [len(table) for table in tables]
    write_json(folder / "facts.json", {"modules": modules, "tokens": tokens, "sizes": sizes})
    adapted = with_adapter(sketcher.model, made.params.base_model.lora, sketcher.a)
    adapted.peft_config["default"].base_model_name_or_path = str(made.folder("base_model"))
    adapted.save_pretrained(str(folder / "adapter"))


def ours(folder: Path, job: Job) -> None:
    """Our sketch of all examples; for a check whole gradients too, and all that of a few."""
    from appraise.language_model.gradients import sketch
    from appraise.language_model.sketcher import Order
    from appraise.numerics.projection import Identity
    from appraise.project import Project
    from appraise.records.examples import read
    from appraise.records.sketch import Sketch

    sketcher, to = sketcher_of(Project(folder)), Path(job["to"])

    def whole(name: str) -> Rows:
        examples = [sketcher.prepare(example) for example in read(folder / f"{name}.parquet")]
        (rows,) = sketch(sketcher.gradients, [examples], Identity(sketcher.gradients.size))
        return np.array([row.values for row in rows], dtype=np.float32)

    def projected(name: str) -> Rows:
        source = folder / f"{name}.parquet"
        (to / "sketch").mkdir(parents=True)
        order = Order(name, source, None, len(read(source)), "timed", to / "partial")
        (made,) = sketcher.sketch([order], lambda *_: None)
        made.sketch.write(to / "sketch")
        made.forget()
        return Sketch.read(to / "sketch").rows

    began = time.perf_counter()
    if job["check"]:
        arrays = {"few": projected("few"), "whole": whole("all"), "whole_few": whole("few")}
    else:
        arrays = {"all": projected("all")}
    np.savez(to / "arrays.npz", **arrays)
    (to / "seconds.json").write_text(json.dumps(time.perf_counter() - began), encoding="utf-8")


# What starts the processes.


def run(command: Sequence[str], to: Path, environment: Mapping[str, str] | None = None) -> Job:
    """Run a command on our cores; its wall and CPU seconds and its peak memory in MB."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    hub = {"HF_HOME": str(to / "hub"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    began = time.perf_counter()
    with (to / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=to,  # not here, where `bergson` would be this file
            env={**os.environ, **hub, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = (to / "log.txt").read_text(encoding="utf-8")[-2000:]
        raise SystemExit(f"{' '.join(command[:4])}: expected gradients, found an error:\n{end}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000
    return {"wall": time.perf_counter() - began, "cpu": cpu, "peak": peak}


def in_own_process(what: str, folder: Path, job: Job) -> Job:
    """Run one of the functions above."""
    to = Path(job["to"])
    given = json.dumps({**job, "what": what, "folder": str(folder)})
    return run([sys.executable, str(Path(__file__).resolve()), "--job", given], to)


def appraise(folder: Path, to: Path, asked: Asked, check: bool = False) -> Job:
    """Our engine, in a process of its own."""
    del asked  # nothing to be set
    found = in_own_process("ours", folder, {"to": str(to), "check": check})
    arrays = dict(np.load(to / "arrays.npz"))
    seconds = json.loads((to / "seconds.json").read_text(encoding="utf-8"))
    return {**found, **arrays, "seconds": seconds, "disk": size(to / "sketch"), "processes": 1}


def bergson(folder: Path, to: Path, asked: Asked, check: bool = False, processes: int = 1) -> Job:
    """The command `bergson build`, in a process of its own, or several."""
    p = side(json.loads((folder / "facts.json").read_text(encoding="utf-8"))["modules"])
    if check:
        few = _build(folder, to / "few", asked, "few", p, processes)["rows"]
        whole = _build(folder, to / "whole", asked, "few", 0, processes)["rows"]
        return {"few": few, "whole_few": whole}
    found = _build(folder, to, asked, "all", p, processes)
    return {**found, "all": found["rows"], "disk": size(to / "index")}


def _build(folder: Path, to: Path, asked: Asked, name: str, p: int, processes: int) -> Job:
    options = {
        "model": folder / "adapter",
        "tokenizer": folder / "data" / "base_model",
        "dataset": folder / f"{name}.jsonl",
        "precision": "fp32",
        "loss_reduction": "mean",
        "filter_modules": "*.lora_A.*",
        "projection_dim": p,
        "token_batch_size": asked.token_batch_size,
        "nproc_per_node": processes,
    }
    command = [asked.bergson_python, "-m", "bergson", "build", str(to / "index")]
    command += [text for key, value in options.items() for text in (f"--{key}", str(value))]
    found = run(command, to, {"OMP_NUM_THREADS": str(CORES // processes)})
    made = to / "index"
    widths = json.loads((made / "info.json").read_text(encoding="utf-8"))["grad_sizes"]
    rows = np.fromfile(made / "gradients.bin", dtype=np.float32).reshape(-1, sum(widths.values()))
    parts = np.split(rows, np.cumsum(list(widths.values()))[:-1], axis=1)
    named = dict(zip(widths, parts, strict=True))
    began, ended = ((made / one).stat().st_mtime for one in ("info.json", "total_processed.pt"))
    ours_order = np.concatenate([named[one] for one in sorted(named)], axis=1)
    return {**found, "rows": ours_order, "seconds": ended - began, "processes": processes}


def side(modules: int) -> int:
    """p, with p × p numbers for each module nearest to our dimension."""
    return min(range(1, 65), key=lambda p: abs(modules * p * p - DIMENSION))


def size(folder: Path) -> float:
    """Of all files in it, in kB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1000


ENGINES: dict[str, Callable[..., Job]] = {
    "appraise": appraise,
    "bergson, 1 process": bergson,
    f"bergson, {CORES} processes": partial(bergson, processes=CORES),
}
OURS, _, THEIRS = ENGINES


# What is made of it.


def line(setting: str, engine: str, tokens: int, runs: Sequence[Job]) -> str:
    """The fastest of the runs."""
    seconds, wall, cpu = (min(one[name] for one in runs) for name in ("seconds", "wall", "cpu"))
    peak = f"{max(one['peak'] for one in runs):.0f}"
    if runs[0]["processes"] > 1:
        peak = f"{runs[0]['processes']} × {peak}"
    cells = f"{runs[0]['all'].shape[1]} | {seconds:.1f} | {wall:.1f} | {tokens / seconds:.0f}"
    return f"| {setting} | {engine} | {cells} | {cpu:.0f} | {peak} | {runs[0]['disk']:.0f} |"


def cosines(rows: Rows, sizes: Sequence[int]) -> Rows:
    """Of the datasets' mean gradients, each pair once."""
    parts = np.split(rows.astype(np.float64), np.cumsum(sizes)[:-1])
    means = np.array([part.mean(axis=0) for part in parts])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray((means @ means.T)[np.triu_indices(len(means), 1)])


def apart(a: Rows, b: Rows) -> str:
    """How many rows are equal to the bit, and the largest relative difference of two rows."""
    same = sum(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    largest = float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)).max())
    return f"{same} of {len(a)} equal · {largest:.0e}" if largest else f"{same} of {len(a)} equal"


def agreement(runs: Mapping[str, list[Job]], checks: Mapping[str, Job], sizes: list[int]) -> None:
    """Write what both found: the same gradients, and cosines near those without projection."""
    from scipy.stats import spearmanr
    from tables import write_table

    truth, firsts = cosines(checks[OURS]["whole"], sizes), np.cumsum([0, *sizes[:-1]])
    found = {name: cosines(runs[name][0]["all"], sizes) for name in checks}
    both = apart(checks[THEIRS]["whole_few"], checks[OURS]["whole_few"])
    company = [apart(checks[name]["few"], runs[name][0]["all"][firsts]) for name in checks]
    pearson = [f"{np.corrcoef(truth, one)[0, 1]:.3f}" for one in found.values()]
    spearman = [f"{spearmanr(truth, one)[0]:.3f}" for one in found.values()]
    off = [f"{np.sqrt(np.mean((one - truth) ** 2)):.4f}" for one in found.values()]
    rows = {
        "whole gradients, of the other engine": [both, both],
        "the same example among fewer others": company,
        "cosines of datasets, from whole gradients: Pearson": pearson,
        "Spearman": spearman,
        "root mean square error": off,
    }
    lines = [f"| {label} | {' | '.join(cells)} |" for label, cells in rows.items()]
    write_table("bergson_agreement", f"| last 10 layers | {' | '.join(checks)} |", lines)
    picture(truth, found)


def picture(truth: Rows, found: Mapping[str, Rows]) -> None:
    """Cosines of two datasets' mean gradients, projected against whole."""
    import matplotlib
    from tables import RESULTS

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.5, 4), layout="constrained")
    ends = [truth.min(), truth.max()]
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    for name, values in found.items():
        axes.plot(truth, values, "o", markersize=3, label=name)
    axes.set_xlabel("cosine of two datasets' mean gradients, whole")
    axes.set_ylabel("projected")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / "bergson.png", dpi=120)


def compare(asked: Asked) -> None:
    """Run both by turns, and write what came of it."""
    from tables import write_table

    lines = []
    for setting, layers in LAYERS.items():
        folder = WORK / f"bergson_{layers or 'all'}"
        job = {"layers": layers, "examples": asked.examples, "to": str(folder / "preparing")}
        in_own_process("prepare", folder, job)
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        runs: dict[str, list[Job]] = {name: [] for name in ENGINES}
        for _ in range(asked.rounds):
            for name, engine in ENGINES.items():
                runs[name].append(engine(folder, folder / "runs" / name, asked))
                print(line(setting, name, facts["tokens"], runs[name][-1:]), flush=True)
        lines += [line(setting, name, facts["tokens"], runs[name]) for name in ENGINES]
        if layers is not None:
            checks = {
                name: ENGINES[name](folder, folder / "check" / name, asked, check=True)
                for name in (OURS, THEIRS)
            }
            agreement(runs, checks, facts["sizes"])
    write_table("bergson", HEAD, lines)


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--bergson-python", help="Python of an environment with bergson")
    given.add_argument("--examples", type=int, default=3, help="of each dataset")
    given.add_argument("--rounds", type=int, default=1)
    given.add_argument("--token-batch-size", type=int, default=1024, help="bergson's")
    given.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    asked = given.parse_args()
    if asked.job:
        {"prepare": prepare, "ours": ours}[asked.job["what"]](Path(asked.job["folder"]), asked.job)
    elif asked.bergson_python:
        asked.bergson_python = str(Path(asked.bergson_python).absolute())  # a link: not resolved
        compare(asked)
    else:
        given.error("expected --bergson-python, the Python of an environment with bergson")


if __name__ == "__main__":
    main()
