"""Value with a small model, buy for a large one: the demo's pool under three models.

    python benchmarks/agreement.py              # about a quarter of an hour on two cores
    python benchmarks/agreement.py --preview 4  # a trial: previews too small to conclude from

The demo's model with adapters on its last ten layers, the same with adapters on all thirty, and the
model cut to its first twenty layers with adapters on its last ten. Each is a project in
`benchmarks/work/`; what is made is not made again. The last lines of the table are a yardstick: the
demo against itself on other rows of the same datasets, 40 draws, and sets drawn by lot. Also plots
alignments and weights.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sketches import TARGET, TO_SKETCHES, WORK, bring, project
from tables import RESULTS, write_table

from appraise.numerics import agreement as pure
from appraise.numerics.kernel import inner_products, mean_gradient
from appraise.numerics.optimum import optimum
from appraise.project import Project
from appraise.records.kernel import Kernel
from appraise.records.program import SolvedProgram
from appraise.review.agreement import TargetAgreement, agreement
from appraise.review.sketch_costs import costs
from appraise.storage.files import read_arrays

Array = NDArray[Any]
KEPT_LAYERS = 20  # of 30
DEMO, ALL, CUT = "last ten of 30", "all 30", "last ten of 20"
PAIRS = ((CUT, DEMO), (CUT, ALL), (DEMO, ALL), (DEMO, CUT), (ALL, DEMO), (ALL, CUT))
DRAWS = 40  # of rows
HEAD = (
    "| valued with | bought for | tokens/s | c: ρ (90 % interval) | K: ρ | w: ρ · r "
    "| the same bought | regret | verdict |"
)


def valued(name: str, preview: int, change: Callable[[dict[str, Any]], None]) -> Project:
    """The demo's project with this change, valued up to what is bought."""

    def changed(params: dict[str, Any]) -> None:
        params["gradient_sketches"]["preview"] = preview
        change(params["base_model"])

    made = project(f"agreement_{name}_{preview}", changed)
    bring(made, (*TO_SKETCHES, "candidates", "kernel_matrix", "dataset_values", "selected_subset"))
    return made


def cut(whole: Project) -> Path:
    """The model without its upper layers, as a folder of safetensors; made once."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    folder, source = WORK / f"first_{KEPT_LAYERS}_layers", whole.open("base_model")
    if (folder / "model.safetensors").is_file():
        return folder
    config = AutoConfig.from_pretrained(str(source), num_hidden_layers=KEPT_LAYERS)
    with torch.device("meta"):  # built anew: transformers saves no model that was GGUF once
        model: Any = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(load_file(source / "model.safetensors"), strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(str(folder))
    for path in (*source.glob("token*"), *source.glob("*.jinja")):
        shutil.copy(path, folder / path.name)
    return folder


def projects(preview: int) -> dict[str, Project]:
    """The three of them."""

    def every_layer(model: dict[str, Any]) -> None:
        model["lora"]["last_layers"] = None

    def cut_off(model: dict[str, Any]) -> None:
        model |= {"source": str(cut(demo)), "sha256": None}

    demo = valued("last_ten", preview, lambda _: None)
    return {
        DEMO: demo,
        ALL: valued("all_layers", preview, every_layer),
        CUT: valued("cut", preview, cut_off),
    }


def speed(made: Project) -> float:
    """Tokens a second of valuing, model loading aside."""
    every = costs(made, TARGET)
    return sum(one.tokens for one in every) / sum(one.seconds or 0.0 for one in every)


def solved(made: Project) -> SolvedProgram:
    """The target's program and its solution."""
    kernel = Kernel.read(made.open("kernel_matrix"))
    return SolvedProgram.read(made.open("dataset_values", f"{TARGET}/kmm"), kernel, TARGET)


def line(value_with: str, buy_for: str, one: TargetAgreement, rate: float) -> str:
    """A row of the table."""
    (low, high), w = one.interval, one.weights
    cells = (
        value_with,
        buy_for,
        f"{rate:.0f}",
        f"{one.alignment.spearman:.2f} ({low:.2f} to {high:.2f})",
        f"{one.kernel.spearman:.2f}",
        f"{w.spearman:.2f} · {w.pearson:.2f}",
        f"{len(one.same)} of {len(one.wanted)}",
        f"{100 * one.regret:.1f} %",
        one.verdict,
    )
    return f"| {' | '.join(cells)} |"


class Yardstick:
    """The demo against itself: what a verdict is when only rows, or nothing but luck, differ."""

    def __init__(self, made: Project) -> None:
        found = solved(made)
        self.program, self.k = found.program, made.params.selected_subset.k
        self.part = float(found.certificate.relative_lambda or 1)
        self.tables = [_rows(made, "gradient_sketches", name) for name in found.weights.ids]
        self.target = mean_gradient(_rows(made, "target_sketches", TARGET))

    def valued(self, tables: Sequence[Array]) -> pure.Valued:
        """The pool by these rows of each dataset."""
        G = np.array([mean_gradient(rows) for rows in tables])
        K, c = inner_products(G, G), inner_products(G, self.target[None])[:, 0]
        program = replace(self.program, K=K, c=c)
        lam = self.part * program.lambda_max()
        weights = optimum(program, lam)[0]
        order = np.argsort(-weights, kind="stable")[: self.k]
        return pure.Valued(program, lam, weights, tuple(int(i) for i in order if weights[i] > 0))

    def other_rows(self, m: int) -> str:
        """A row of the table: m rows of each dataset against m others, averages over draws."""
        found = []
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            orders = [rng.permutation(len(rows)) for rows in self.tables]
            small, large = (
                self.valued([rows[o[part]] for rows, o in zip(self.tables, orders, strict=True)])
                for part in (slice(m), slice(m, 2 * m))
            )
            found.append(pure.agreement(small, large))
        numbers = [
            (a.c.spearman, a.low, a.high, a.K.spearman, a.w.spearman, a.w.pearson, a.same, a.regret)
            for a in found
        ]
        c, low, high, K, w, r, same, regret = np.mean(numbers, axis=0)
        go = sum(one.verdict == "go" for one in found)
        return (
            f"| {m} rows | {m} other rows | | {c:.2f} ({low:.2f} to {high:.2f}) | {K:.2f} "
            f"| {w:.2f} · {r:.2f} | {same:.1f} of {self.k} | {100 * regret:.1f} %, at most "
            f"{100 * max(one.regret for one in found):.0f} % | go in {go} of {DRAWS} |"
        )

    def by_lot(self) -> str:
        """A row of the table: the average over all sets of k, without a look at the data."""
        own = self.valued(self.tables)
        regrets = [
            pure.regret_of(some, own)
            for some in itertools.combinations(range(len(self.tables)), self.k)
        ]
        passing = np.mean(np.array(regrets) <= pure.MOST_REGRET)
        return (
            f"| by lot | {DEMO} | | | | | | {100 * np.mean(regrets):.0f} % | regret small enough "
            f"in {100 * passing:.0f} % |"
        )


def _rows(made: Project, noun: str, key: str) -> Array:
    return read_arrays(made.open(noun, key) / "sketch.safetensors")[0]["rows"]


def scatter(made: dict[str, Project]) -> None:
    """c and w with each small model against those with adapters on all layers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    programs = {name: solved(one) for name, one in made.items()}
    for name in (DEMO, CUT):
        of, other = programs[ALL], programs[name]
        pairs = (
            (of.program.c, other.program.c),
            (of.weights.numbers("weight"), other.weights.numbers("weight")),
        )
        for place, (x, y) in enumerate(pairs):
            axes[place].scatter(x, y, label=name, alpha=0.8, s=22)
    for place, title in enumerate(("alignment c", "weight w")):
        axes[place].axline((0, 0), slope=1, color="0.8", linewidth=1, zorder=0)
        axes[place].set_xlabel(f"{title}, {ALL} layers")
        axes[place].set_ylabel(f"{title}, fewer layers")
        axes[place].grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / "agreement.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preview", type=int, default=24)
    preview = parser.parse_args().preview
    made = projects(preview)
    rates = {name: speed(one) for name, one in made.items()}
    lines = []
    for small, large in PAIRS:
        found = agreement(made[small], made[large], TARGET).targets[TARGET]
        print(found.statement)
        lines.append(line(small, large, found, rates[small]))
    yardstick, half = Yardstick(made[DEMO]), preview // 2
    lines += [yardstick.other_rows(m) for m in sorted({half, min(4, half)}, reverse=True)]
    write_table("agreement", HEAD, [*lines, yardstick.by_lot()])
    scatter(made)


if __name__ == "__main__":
    main()
