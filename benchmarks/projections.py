"""Ways to project gradients to d dimensions: what each distorts, costs, and changes in a purchase.

    python benchmarks/projections.py     # two minutes; some more the first time, for the gradients

The demo's 16 datasets, 24 whole gradients each (76,800 numbers, adapters on the last ten layers),
made once and kept in `benchmarks/work/`. Each method projects them with five seeds; what `none`
finds is the truth. CountSketch is one signed bucket for each coordinate; OSNAP four in a quarter of
d each (Nelson and Nguyen 2013); SRHT signs, a Hadamard transform and d of its coordinates (Ailon
and Chazelle 2006); Rademacher a dense matrix of signs, drawn again for every batch of 24 gradients,
because it would fill 1.3 GB at d = 4096. Time is for one gradient of such a batch, on one thread,
tables at hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sketches import TARGET, TO_SKETCHES, WORK, bring, project
from tables import plot, write_table
from threadpoolctl import threadpool_limits

from appraise.numerics.buying import buyer_limits
from appraise.numerics.kernel import inner_products, mean_gradient
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program
from appraise.numerics.projection import (
    bytes_of_sketch,
    count_sketch_tables,
    distortion_of,
    kernel_standard_error,
    measured_distortion,
)
from appraise.numerics.randomness import key
from appraise.numerics.subsets import best, refit
from appraise.storage.files import read_arrays, write_arrays

Array = NDArray[Any]
DIMENSIONS = (256, 512, 1024, 2048, 4096, 8192)
SEEDS = range(5)
KEPT = WORK / "whole_gradients.safetensors"
PART, BUY = 0.05, 3  # of τ; datasets
RESAMPLES = 50


@dataclass(frozen=True)
class Gradients:
    """Whole gradients: of datasets by id (m, D), and of the target (m, D)."""

    rows: dict[str, Array]
    target: Array

    @cached_property
    def means(self) -> Array:
        """(n + 1, D) float64, the target's last."""
        return np.array([rows.mean(axis=0, dtype=np.float64) for rows in self.tables])

    @property
    def tables(self) -> list[Array]:
        """Rows of each dataset, those of the target last."""
        return [*self.rows.values(), self.target]


def gradients() -> Gradients:
    """Read what is kept, or make it with the steps of the library."""

    def change(params: dict[str, Any]) -> None:
        params["gradient_sketches"]["projection"] = "none"

    if not KEPT.is_file():
        made = project("projections", change)
        bring(made, TO_SKETCHES)
        arrays = {
            f"{noun}/{name}": read_arrays(made.open(noun, name) / "sketch.safetensors")[0]["rows"]
            for noun, names in (
                ("gradient_sketches", made.partitions("gradient_sketches")),
                ("target_sketches", [TARGET]),
            )
            for name in names
        }
        write_arrays(KEPT, arrays, {})
    arrays, _ = read_arrays(KEPT)
    target = arrays.pop(f"target_sketches/{TARGET}")
    rows = {name.split("/")[1]: arrays[name] for name in sorted(arrays)}
    return Gradients(rows, target)


Projection = Callable[[Array], Array]  # (m, D) → (m, d)
Drawn = tuple[Projection, int]  # and the bytes that must be at hand


def count_sketch(size: int, d: int, seed: int) -> Drawn:
    """One nonzero for each coordinate."""
    buckets, signs = count_sketch_tables(size, d, seed)

    def projected(rows: Array) -> Array:
        return np.array([np.bincount(buckets, signs * x, d) for x in rows])

    return projected, buckets.nbytes + signs.nbytes


def osnap(size: int, d: int, seed: int, nonzeros: int = 4) -> Drawn:
    """Four nonzeros for each coordinate, one in each quarter of the sketch."""
    parts = [count_sketch(size, d // nonzeros, nonzeros * seed + i) for i in range(nonzeros)]

    def projected(rows: Array) -> Array:
        found = np.concatenate([part(rows) for part, _ in parts], axis=1)
        return np.asarray(found / np.sqrt(nonzeros))

    return projected, sum(held for _, held in parts)


def srht(size: int, d: int, seed: int) -> Drawn:
    """Signs, a Hadamard transform of the next power of two, and d of its coordinates."""
    rng = np.random.default_rng(seed)
    width = 1 << (size - 1).bit_length()
    signs = 1 - 2 * rng.integers(2, size=size).astype(np.float32)
    taken = rng.permutation(width)[:d]

    def one(x: Array) -> Array:
        y = np.zeros(width, dtype=np.float32)
        y[:size] = signs * x
        half = 1
        while half < width:
            pairs = y.reshape(-1, 2, half)
            pairs[:, 0], pairs[:, 1] = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
            half *= 2
        return np.asarray(y[taken] / np.sqrt(d))

    held = signs.nbytes + taken.nbytes + 4 * width
    return lambda rows: np.array([one(x) for x in rows]), held


def rademacher(size: int, d: int, seed: int, block: int = 2048) -> Drawn:
    """A dense matrix of signs, one block of coordinates after the other."""

    def projected(rows: Array) -> Array:
        found, rows = np.zeros((len(rows), d), dtype=np.float32), rows.astype(np.float32)
        for start in range(0, size, block):
            part = rows[:, start : start + block]
            stream = np.random.Philox(key=key(seed, str(start)))
            raw = stream.random_raw(part.shape[1] * d // 64)
            bits = np.unpackbits(raw.view(np.uint8)).reshape(part.shape[1], d)
            found += part @ (1 - 2 * bits.astype(np.float32))
        return np.asarray(found / np.sqrt(d))

    return projected, 4 * block * d


METHODS = {
    "CountSketch": count_sketch,
    "OSNAP, s = 4": osnap,
    "SRHT": srht,
    "Rademacher": rademacher,
}


@dataclass(frozen=True)
class Answer:
    """The program, λ, and what it buys."""

    program: Program
    lam: float
    support: frozenset[int]
    bought: frozenset[int]

    def objective(self, bought: Collection[int]) -> float:
        """The best that these datasets reach."""
        return refit(self.program, self.lam, sorted(bought))[0]

    @cached_property
    def lowest(self) -> float:
        """The best that any so many datasets reach: those that are bought."""
        return self.objective(self.bought)


def answer(means: Array) -> Answer:
    """Value the pool as the demo does from mean gradients; the target's is last."""
    vectors = np.array([mean_gradient(mean[None]) for mean in means])
    products = inner_products(vectors, vectors)
    K, c, tau = products[:-1, :-1], products[:-1, -1], float(products[-1, -1])
    program, lam = Program(K, c, tau, np.ones(len(c))), PART * tau
    weights, _ = optimum(program, lam)
    bought = best(program, lam, buyer_limits(len(c), k=BUY), range(len(c))).chosen
    return Answer(program, lam, frozenset(np.flatnonzero(weights)), frozenset(bought))


@dataclass(frozen=True)
class Errors:
    """How far an answer is from the truth.

    Attributes:
        kernel: of K without its diagonal, which is 1, in the Frobenius norm as a part of it.
        entry: the largest of K's entries, as it is.
        alignment: of c, as a part of its norm.
        same: whether the same is bought.
        regret: by how much what is bought misses the best three, as a part of what they gain.
        support: datasets with a weight in both, of those with one in either.
    """

    kernel: float
    entry: float
    alignment: float
    same: bool
    regret: float
    support: float


def errors(found: Answer, truth: Answer) -> Errors:
    """Compare two answers."""
    K, c, off = truth.program.K, truth.program.c, ~np.eye(len(truth.program.c), dtype=bool)
    difference = (found.program.K - K)[off]
    lowest, nothing = truth.lowest, truth.objective(())
    return Errors(
        float(np.linalg.norm(difference) / np.linalg.norm(K[off])),
        float(np.abs(difference).max()),
        float(np.linalg.norm(found.program.c - c) / np.linalg.norm(c)),
        found.bought == truth.bought,
        (truth.objective(found.bought) - lowest) / (nothing - lowest),
        len(found.support & truth.support) / len(found.support | truth.support),
    )


def row(label: str, several: list[Errors], more: list[str]) -> str:
    """A line of the table: averages over seeds, the largest of the entries' errors."""
    mean = {
        name: f"{np.mean([getattr(one, name) for one in several]) + 0.0:.{digits}f}"
        for name, digits in (("kernel", 4), ("alignment", 4), ("regret", 3), ("support", 2))
    }
    entry, same = max(one.entry for one in several), sum(one.same for one in several)
    cells = [mean["kernel"], f"{entry:.3f}", mean["alignment"], f"{same} of {len(several)}"]
    return f"| {label} | {' | '.join([*cells, mean['regret'], mean['support'], *more])} |"


def milliseconds(projected: Projection, rows: Array) -> float:
    """For one gradient of a batch, the best of three."""
    best = np.inf
    for _ in range(3):
        started = time.perf_counter()
        projected(rows)
        best = min(best, time.perf_counter() - started)
    return 1000 * best / len(rows)


def measured(
    name: str, d: int, found: Gradients, truth: Answer
) -> tuple[float, str]:  # error of K, line of the table
    """One method at one d, with every seed."""
    tables = found.tables
    some = np.concatenate([rows[:3] for rows in tables])
    norms = np.sum(some.astype(np.float64) ** 2, axis=1)
    several, ratios = [], []
    for seed in SEEDS:
        project_to, held = METHODS[name](some.shape[1], d, seed)
        projected = project_to(np.concatenate([found.means, some]))
        several.append(errors(answer(projected[: len(tables)]), truth))
        after = np.sum(projected[len(tables) :].astype(np.float64) ** 2, axis=1)
        ratios += [  # of each dataset
            measured_distortion(after[i : i + 3], norms[i : i + 3]).rms / distortion_of(d)
            for i in range(0, len(norms), 3)
        ]
    K, off = truth.program.K, ~np.eye(len(truth.program.c), dtype=bool)
    stated = np.linalg.norm(kernel_standard_error(K, d, "unit")[off]) / np.linalg.norm(K[off])
    more = [
        f"{stated:.4f}",
        f"{np.sqrt(np.mean(np.square(ratios))):.2f} · {max(ratios):.2f}",
        f"{milliseconds(project_to, tables[0]):.2f}",
        f"{held / 2**20:.1f}",
        f"{bytes_of_sketch(len(tables[0]), d) / 2**10:.0f}",
    ]
    kernel = float(np.mean([one.kernel for one in several]))
    return kernel, row(f"{name}, {d}", several, more)


def resampled(found: Gradients, truth: Answer) -> list[Errors]:
    """What other rows of the same datasets would change: the error that no projection mends."""
    rng, several = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = [rows[rng.integers(len(rows), size=len(rows))] for rows in found.tables]
        means = np.array([rows.mean(axis=0, dtype=np.float64) for rows in drawn])
        several.append(errors(answer(means), truth))
    return several


def main() -> None:
    found = gradients()
    truth = answer(found.means)
    size, m = found.target.shape[1], len(found.tables[0])
    own = f"{bytes_of_sketch(m, size) / 2**10:.0f}"
    lines = [row("none", [errors(truth, truth)], ["0", "0 · 0", "0", "0", own])]
    series: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
    with threadpool_limits(1):
        for name in METHODS:
            for d in DIMENSIONS:
                kernel, line = measured(name, d, found, truth)
                series[name].append((d, kernel))
                lines.append(line)
                print(line, flush=True)
        others = resampled(found, truth)
    lines.append(row("other rows (bootstrap)", others, [""] * 5))
    level = float(np.mean([one.kernel for one in others]))
    series["other rows of the same datasets"] = [
        (d, level) for d in (DIMENSIONS[0], DIMENSIONS[-1])
    ]
    head = (
        "| projection, d | error of K | largest of an entry | error of c | same bought "
        "| regret | support kept | stated error of K | rows' rms over stated · largest "
        "| ms a gradient | tables, MB | sketch, kB |"
    )
    write_table("projections", head, lines)
    plot("projections", "d", "relative error of K", series)


if __name__ == "__main__":
    main()
