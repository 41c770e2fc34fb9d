"""What a seller gains by cutting a dataset into several.

    python benchmarks/sellers.py              # 50 seeds, once sketched (benchmarks/sketches.py)

One of three datasets of the demo's pool, 480 examples of it, is cut in 2, 5 or 20 parts, at random
or sorted by each example's alignment with the target (the seller knows the target), and each part
is offered under a name of its own with a preview of 24. Gain: the sum of the parts' weights over
the weight of the whole, averages over seeds; in plain kernel mean matching, and where families are
found first (`numerics/families.py`).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sketches import LARGE, Sketches, sketches
from tables import plot, write_table

from appraise.numerics.families import families, merged_preview
from appraise.numerics.kernel import inner_products, mean_gradient, mean_norm, noise_share
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, optimality

Array = NDArray[np.float64]
PART = 0.2  # of λ_max
PREVIEW = 24
FAMILY = 0.8


def weights(G: Array, g: Array) -> tuple[Program, Array, float]:
    K, c = inner_products(G, G), inner_products(G, g[None])[:, 0]
    program = Program(K, c, float(g @ g), np.ones(len(c)))
    lam = PART * program.lambda_max()
    return program, optimum(program, lam)[0], lam


def value(program: Program, w: Array, lam: float, out: Sequence[int]) -> float:
    """By how much the optimum is worse without some datasets."""
    others = program.among(np.setdiff1d(np.arange(len(w)), out))
    worse = optimality(others, optimum(others, lam)[0], lam).primal
    return worse - optimality(program, w, lam).primal


def offered(
    tables: Sequence[Array], keys: Sequence[Sequence[str]], target: Array, own: int
) -> tuple[float, float, float, float, int]:
    """Weight and value of the first `own` datasets, plain and as families, and their families."""
    g, G = mean_gradient(target), np.array([mean_gradient(rows) for rows in tables])
    program, w, lam = weights(G, g)
    plain = float(w[:own].sum()), value(program, w, lam, range(own))
    norms = np.array([mean_norm(rows) for rows in tables])
    noise = np.array([noise_share(rows) for rows in tables])
    sizes = np.array([len(rows) for rows in tables], dtype=np.float64)
    first = families(program.K, norms, noise, sizes, FAMILY)
    groups = [np.flatnonzero(first == one) for one in np.unique(first)]
    merged = [
        merged_preview([tables[i] for i in group], [keys[i] for i in group], PREVIEW)[0]
        for group in groups
    ]
    program, w, lam = weights(np.array([mean_gradient(rows) for rows in merged]), g)
    mine = [place for place, group in enumerate(groups) if (group < own).any()]
    return *plain, float(w[mine].sum()), value(program, w, lam, mine), len(mine)


def one_seed(
    name: str, count: int, sort: bool, seed: int, pool: Sketches, large: Sketches
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What `offered` finds of the dataset as a whole, and of its parts, among the same others."""
    rng, rows = np.random.default_rng(seed), large.rows[name]
    rank = rng.permutation(len(rows))  # the order of the hash of the content
    others = [one for one in sorted(pool.rows) if one != name]
    picked = [np.sort(rng.permutation(48)[:PREVIEW]) for _ in others]
    tables = [pool.rows[one][part] for one, part in zip(others, picked, strict=True)]
    keys = [[f"{one}/{i}" for i in part] for one, part in zip(others, picked, strict=True)]
    order = rng.permutation(len(rows))
    if sort:
        alignment = (rows @ mean_gradient(pool.target)) / np.linalg.norm(rows, axis=1)
        order = np.argsort(-alignment, kind="stable")
    found = []
    for parts in ([order], np.array_split(order, count)):
        shown = [part[np.argsort(rank[part])][:PREVIEW] for part in parts]
        own = [[f"{name}/{rank[i]:04d}" for i in part] for part in shown]
        mixed = [rows[part] for part in shown] + tables
        found.append(offered(mixed, own + keys, pool.target, len(shown)))
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    seeds = parser.parse_args().seeds
    pool, large = sketches(48), sketches(480, LARGE)
    lines: list[str] = []
    series: dict[str, list[tuple[float, float]]] = {}
    for name, sort, count in itertools.product(LARGE, (False, True), (2, 5, 20)):
        how = "sorted" if sort else "at random"
        both = [one_seed(name, count, sort, seed, pool, large) for seed in range(seeds)]
        before, after = np.mean([one[0] for one in both], 0), np.mean([one[1] for one in both], 0)
        gain = after[:4] / before[:4]
        lines.append(
            f"| {name} | {how} | {count} | {before[0]:.3f} | {gain[0]:.2f} | {gain[1]:.2f} "
            f"| {gain[2]:.2f} | {gain[3]:.2f} | {after[4]:.2f} |"
        )
        series.setdefault(f"{name}, {how}", []).append((count, float(gain[2])))
        print(lines[-1], flush=True)
    head = (
        "| dataset | cut | parts | weight of the whole | gain, plain: weight | value "
        "| gain, families: weight | value | families left |"
    )
    write_table("sellers", head, lines)
    plot("sellers", "parts", "gain in weight, families", series, logarithmic=False)


if __name__ == "__main__":
    main()
