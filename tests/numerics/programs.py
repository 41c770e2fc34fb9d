"""Random programs that come from vectors, as real ones do."""

from __future__ import annotations

import numpy as np

from appraise.numerics.explanation import Explanation, explain_program
from appraise.numerics.kernel import inner_products, mean_gradient
from appraise.numerics.kmm import Certificate, Solution, certify_program, solve_program
from appraise.numerics.path import Path, path_of
from appraise.numerics.program import checked_program
from appraise.numerics.question import Question
from appraise.numerics.rule import LambdaRule


def vectors(n: int, d: int, seed: int, normalize: str = "unit") -> tuple[np.ndarray, np.ndarray]:
    """Gradients (n, d) that share a few directions, and a target (d,) that some of them serve."""
    rng = np.random.default_rng(seed)
    themes = rng.normal(size=(4, d))
    raw = rng.normal(size=(n, d)) + 1.5 * rng.normal(size=(n, 4)) @ themes
    raw *= np.exp(rng.normal(size=(n, 1)))
    target = raw[: max(1, n // 3)].sum(axis=0) + rng.normal(size=d)
    G = np.array([mean_gradient(row[None], normalize) for row in raw])
    return G, mean_gradient(target[None], normalize)


def program(
    n: int, d: int, seed: int, normalize: str = "unit"
) -> tuple[np.ndarray, np.ndarray, float]:
    """K (n, n), c (n,), τ."""
    G, g = vectors(n, d, seed, normalize)
    return inner_products(G, G), inner_products(G, g[None])[:, 0], float(g @ g)


def penalties(n: int, seed: int) -> np.ndarray:
    """p (n,) between a fiftieth and twice their mean, which is 1."""
    drawn = np.random.default_rng(seed).uniform(10, 500, n)
    return drawn / drawn.mean()


def lambda_max(c: np.ndarray, penalties=None, nonnegative: bool = True) -> float:
    pull = np.maximum(c, 0.0) if nonnegative else np.abs(c)
    return float((pull if penalties is None else pull / penalties).max(initial=0.0))


def solve(
    K, c, tau, *, lam, penalties=None, ridge=0.0, nonnegative=True, tolerance=1e-7, warm_start=None
) -> Solution:
    checked = checked_program(K, c, tau, penalties, ridge, nonnegative)
    return solve_program(checked, lam, tolerance, warm_start)


def certify(K, c, tau, weights, lam, penalties=None, ridge=0.0, nonnegative=True) -> Certificate:
    checked = checked_program(K, c, tau, penalties, ridge, nonnegative)
    return certify_program(checked, np.asarray(weights, dtype=np.float64), float(lam))


def explain(
    K, c, tau, solution, penalties=None, ridge=0.0, nonnegative=True
) -> tuple[Explanation, ...]:
    return explain_program(checked_program(K, c, tau, penalties, ridge, nonnegative), solution)


def regularisation_path(K, c, penalties=None, ridge=0.0, nonnegative=True) -> Path:
    return path_of(checked_program(K, c, 1.0, penalties, ridge, nonnegative))


def asked(n: int, relative: float = 0.2, **more) -> Question:
    """A question about n datasets, λ relative."""
    return Question(n, LambdaRule("relative", relative=relative), **more)
