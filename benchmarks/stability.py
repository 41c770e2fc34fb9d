"""How far ranks depend on which examples a preview holds, and what makes them steadier.

    python benchmarks/stability.py            # 20 splits: about five minutes, once sketched

The demo's 16 datasets, 48 examples each (`benchmarks/sketches.py`). Each dataset's rows are split
into disjoint halves of 4, 8, 16 and 24; each method values the pool on either half; rho is
Spearman's correlation between the two rankings. The regret is how much the objective of the three
best, on all rows, lies above that of the best three, as a part of what there is to gain.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sketches import sketches
from tables import plot, write_table

from appraise.numerics.kernel import inner_products, mean_gradient, noise_share
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program
from appraise.numerics.subsets import refit

Array = NDArray[np.float64]
Method = Callable[[Sequence[Array], Array, np.random.Generator], Array]
PART = 0.2  # of λ_max
RESAMPLES = 50
SIZES = (4, 8, 16, 24)


def programmed(tables: Sequence[Array], target: Array, ridge: float = 0.0) -> Program:
    G, g = np.array([mean_gradient(rows) for rows in tables]), mean_gradient(target)
    K, c = inner_products(G, G), inner_products(G, g[None])[:, 0]
    return Program(K, c, float(g @ g), np.ones(len(c)), ridge)


def weighed(program: Program) -> Array:
    return optimum(program, PART * program.lambda_max())[0]


def plain(tables: Sequence[Array], target: Array, _: np.random.Generator) -> Array:
    return weighed(programmed(tables, target))


def ridge(tables: Sequence[Array], target: Array, _: np.random.Generator) -> Array:
    return weighed(programmed(tables, target, 0.3))


def cosine(tables: Sequence[Array], target: Array, _: np.random.Generator) -> Array:
    return programmed(tables, target).c


def unbiased(tables: Sequence[Array], target: Array, _: np.random.Generator) -> Array:
    """K_ii (1 − ν_i), made positive semi-definite again by clipping its eigenvalues."""
    program = programmed(tables, target)
    share = np.array([min(noise_share(rows), 0.9) for rows in tables])
    K = program.K - np.diag(np.diag(program.K) * share)
    values, vectors = np.linalg.eigh(K)
    K = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    return weighed(Program((K + K.T) / 2, program.c, program.tau, program.penalties))


def without_noise(tables: Sequence[Array], target: Array, _: np.random.Generator) -> Array:
    """All cosines divided by √((1 − ν_i)(1 − ν_j)), which shrink them; clipped as well."""
    program = programmed(tables, target)
    length = np.sqrt([1 - min(noise_share(rows), 0.9) for rows in tables])
    K = program.K / np.outer(length, length)
    np.fill_diagonal(K, 1.0)
    values, vectors = np.linalg.eigh(K)
    K = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    scale = np.sqrt(np.diag(K))
    K = K / np.outer(scale, scale)
    return weighed(Program((K + K.T) / 2, program.c / length, program.tau, program.penalties))


def bagged(tables: Sequence[Array], target: Array, rng: np.random.Generator) -> Array:
    """The average weight over resamples, as `mean_weight` and policy `kmm_bagged`."""
    total = np.zeros(len(tables))
    for _ in range(RESAMPLES):
        drawn = [rows[rng.integers(len(rows), size=len(rows))] for rows in tables]
        own = target[rng.integers(len(target), size=len(target))]
        total += weighed(programmed(drawn, own))
    return total / RESAMPLES


METHODS: dict[str, Method] = {
    "weights": plain,
    "bagged weights": bagged,
    "cosine (one_step)": cosine,
    "ridge 0.3": ridge,
    "unbiased K_ii": unbiased,
    "all cosines without noise": without_noise,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=20)
    splits = parser.parse_args().splits
    found = sketches(48)
    tables = [found.rows[name] for name in sorted(found.rows)]
    whole = programmed(tables, found.target)
    lam = PART * whole.lambda_max()

    def objective(chosen: Sequence[int]) -> float:
        return refit(whole, lam, sorted(chosen))[0]

    triples = itertools.combinations(range(len(tables)), 3)
    nothing, best = objective(()), min(map(objective, triples))
    lines, series = [], {name: list[tuple[float, float]]() for name in METHODS}
    for size in SIZES:
        cells = []
        for name, method in METHODS.items():
            rho, same, regret = [], [], []
            for split in range(splits):
                rng = np.random.default_rng(split)
                orders = [rng.permutation(len(rows)) for rows in tables]
                halves = [
                    [rows[o[part]] for rows, o in zip(tables, orders, strict=True)]
                    for part in (slice(size), slice(size, 2 * size))
                ]
                one, other = (method(half, found.target, rng) for half in halves)
                tops = [set(np.argsort(-w, kind="stable")[:3]) for w in (one, other)]
                rho.append(spearmanr(one, other)[0])
                same.append(len(tops[0] & tops[1]) / 3)
                regret += [(objective(list(top)) - best) / (nothing - best) for top in tops]
            series[name].append((size, float(np.nanmean(rho))))
            cells.append(f"{np.nanmean(rho):.2f} · {np.mean(same):.2f} · {np.mean(regret):.3f}")
        lines.append(f"| {size} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    head = f"| rows (rho · same top 3 · regret) | {' | '.join(METHODS)} |"
    write_table("stability", head, lines)
    plot("stability", "examples in each half", "Spearman correlation", series, logarithmic=False)


if __name__ == "__main__":
    main()
