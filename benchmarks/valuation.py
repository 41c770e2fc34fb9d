"""The valuation core against the reference's formulation, at scale, and on an arrival.

    python benchmarks/valuation.py reference   # n = 26, 200, 1000, 2000: time and duality gap
    python benchmarks/valuation.py scale       # n up to 100,000 at d = 4096: time, memory, passes
    python benchmarks/valuation.py rules       # λ by each rule, limits, a ridge at n = 10,000
    python benchmarks/valuation.py arrival     # one more dataset at n = 10,000
    python benchmarks/valuation.py subset      # the best five of n: proof, time, what greedy misses
    python benchmarks/valuation.py share       # of the demo's time; after `make demo`, minutes

`share` computes the demo's steps again. Elsewhere gradients are made up: groups of datasets that
teach alike, a target that is a mixture of a few of them. Each writes a table, most a plot, to
benchmarks/results/.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tables import RESULTS, plot, write_table

from appraise.numerics.kmm import certify_program
from appraise.numerics.pool import Pool
from appraise.numerics.program import checked_program
from appraise.numerics.question import Question, question
from appraise.numerics.rule import LambdaRule
from appraise.numerics.working_set import LargeSolution, solve_pool

D = 4096
PART = 0.2  # of λ_max
RELATIVE = LambdaRule("relative", relative=PART)
BLOCK = 2000


def write_gradients(path: Path, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit gradients (n, D) float32 in groups, memory-mapped from a file, and a target (D,)."""
    rng = np.random.default_rng(seed)
    groups = max(8, n // 100)
    centres = rng.standard_normal((groups, D), dtype=np.float32)
    common = rng.standard_normal(D, dtype=np.float32)
    G = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, D))
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        rows = centres[rng.integers(groups, size=count)] + common
        rows += rng.standard_normal((count, D), dtype=np.float32)
        G[start : start + count] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    G.flush()
    target = centres[:6].sum(axis=0) + 2 * common + rng.standard_normal(D, dtype=np.float32)
    return np.load(path, mmap_mode="r"), np.float64(target) / np.linalg.norm(np.float64(target))


def timed(compute: Callable[..., Any], *words: Any, **named: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    return compute(*words, **named), time.perf_counter() - started


def names(n: int) -> list[str]:
    return [str(i) for i in range(n)]


def asked(n: int) -> Question:
    """The paper's question, at a part of λ_max."""
    return question(names(n), rule=RELATIVE)


def solved(G: np.ndarray, target: np.ndarray, **named: Any) -> LargeSolution:
    return solve_pool(Pool(G), target, asked(len(G)), **named)


def arrived(pool: Pool, grown: np.ndarray, target: np.ndarray, **named: Any) -> LargeSolution:
    return solve_pool(pool.with_more(grown), target, asked(len(grown)), **named)


def reference_kernel(G: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairwise dot products, one at a time."""
    n = len(G)
    K, c = np.empty((n, n)), np.array([float(np.dot(row, target)) for row in G])
    for i in range(n):
        for j in range(i, n):
            K[i, j] = K[j, i] = float(np.dot(G[i], G[j]))
    return K, c


def reference_solve(K: np.ndarray, c: np.ndarray, lam: float) -> np.ndarray:
    """CVXPY's quad_form and norm1, solved by OSQP as it comes."""
    import cvxpy as cp

    w = cp.Variable(len(c))
    objective = 0.5 * cp.quad_form(w, cp.psd_wrap(K)) - c @ w + lam * cp.norm1(w)
    cp.Problem(cp.Minimize(objective)).solve(solver=cp.OSQP)
    return np.asarray(w.value, dtype=np.float64)


def reference(sizes: Sequence[int]) -> None:
    import cvxpy  # noqa: F401 - not part of what is measured

    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            mapped, target = write_gradients(Path(folder) / "G.npy", n)
            G = np.array(mapped)
            (K, c), kernel_s = timed(reference_kernel, G, target.astype(np.float32))
            exact = np.float64(G) @ np.float64(G).T
            exact, c64 = (exact + exact.T) / 2, np.float64(G) @ target
            program = checked_program(exact, c64, float(target @ target), nonnegative=False)
            lam = PART * program.lambda_max()
            theirs, solve_s = timed(reference_solve, K, c, lam)
            ours, our_s = timed(solved, G, target, lam=lam, nonnegative=False)
            gap = certify_program(program, theirs, lam).gap
            weights = np.zeros(n)
            weights[ours.support] = ours.weights
            our_gap = abs(certify_program(program, weights, lam).gap)
            rows.append((n, kernel_s, solve_s, our_s, gap, our_gap))
            print(f"n = {n}: {kernel_s:.2f} + {solve_s:.2f} s, {our_s:.3f} s", flush=True)
    lines = [
        f"| {n} | {k:.2f} | {s:.2f} | {o:.3f} | {(k + s) / o:.0f} | {g:.1e} | {h:.1e} |"
        for n, k, s, o, g, h in rows
    ]
    head = "| n | K, s | solve, s | ours (both), s | ratio | gap | our gap |"
    write_table("reference", head, lines)
    plot(
        "reference",
        "datasets",
        "seconds",
        {
            "pairwise K, CVXPY with OSQP": [(r[0], r[1] + r[2]) for r in rows],
            "working set": [(r[0], r[3]) for r in rows],
        },
    )


def scale(sizes: Sequence[int]) -> None:
    lines: list[str] = []
    points: list[tuple[float, float]] = []
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
            G, target = write_gradients(Path(folder) / "G.npy", n)
            pool, read_s = timed(Pool, G)
            found, solve_s = timed(solve_pool, pool, target, asked(n))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        last = found.passes[-1]
        line = f"| {n} | {read_s:.1f} | {solve_s:.1f} | {len(found.passes)} | {len(found.support)} "
        line += f"| {last.working} | {last.screened} | {found.optimality.gap:.1e} | {peak:.1f} |"
        lines.append(line)
        points.append((n, read_s + solve_s))
        print(line, flush=True)
    head = "| n | norms, s | solve, s | passes | positive | working set | screened | gap | GiB |"
    write_table("scale", head, lines)
    plot("scale", "datasets", "seconds", {"working set": points})


def arrival(n: int) -> None:
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        G, target = write_gradients(Path(folder) / "G.npy", n + 1)
        known = np.array(G[:-1])
        before, cold_s = timed(solved, known, target)
        pool, rows = Pool(known), []
        for name, new in (("serves less", G[-1]), ("serves well", target.astype(np.float32))):
            grown = np.concatenate([known, new[None]])
            start = [*before.support, n]
            warm, warm_s = timed(arrived, pool, grown, target, lam=before.lam.value, start=start)
            cold, again_s = timed(solved, grown, target, lam=before.lam.value)
            weights = np.zeros((2, n + 1))
            for row, found in zip(weights, (warm, cold), strict=True):
                row[found.support] = found.weights
            apart = float(np.abs(weights[0] - weights[1]).max())
            rows.append(
                f"| {name} | {warm_s:.2f} | {len(warm.passes)} | {again_s:.2f} "
                f"| {len(cold.passes)} | {apart:.1e} |"
            )
            print(rows[-1], flush=True)
    print(f"from nothing, before: {cold_s:.2f} s")
    head = f"| at n = {n} | arrival, s | passes | from scratch, s | passes | largest difference |"
    write_table("arrival", head, rows)


def rules(n: int) -> None:
    """λ by each rule, limits and a ridge: what proves them over all of a pool."""
    ways: dict[str, dict[str, Any]] = {
        "0.2 of λ_max": {},
        "0.05 of τ": {"rule": LambdaRule()},
        "number 50": {"rule": LambdaRule("number", number=50)},
        "number 200": {"rule": LambdaRule("number", number=200)},
        "ridge 0.3": {"ridge": 0.3},
        "cap 0.01": {"cap": 0.01},
        "cap 0.005, total 1": {"cap": 0.005, "total": 1.0},
        "owner cap 0.1": {"owners": [str(i % (n // 20)) for i in range(n)], "owner_cap": 0.1},
    }
    lines = []
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        G, target = write_gradients(Path(folder) / "G.npy", n)
        pool = Pool(G)
        for name, way in ways.items():
            asks = question(names(n), **({"rule": RELATIVE} | way))
            found, took = timed(solve_pool, pool, target, asks)
            error = found.optimality.relative_error
            line = f"| {name} | {took:.1f} | {found.rounds} | {len(found.passes)} "
            lines.append(f"{line}| {len(found.support)} | {len(found.needed)} | {error:.1e} |")
            print(lines[-1], flush=True)
    head = f"| at n = {n:,} | s | paths | passes | positive | needed | error |"
    write_table("rules", head, lines)


def subset(sizes: Sequence[int]) -> None:
    """The best five of n datasets that teach much alike, at 2 % of λ_max."""
    from appraise.numerics.buying import buyer_limits
    from appraise.numerics.program import Program
    from appraise.numerics.subsets import best, forward

    lines = []
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
            mapped, target = write_gradients(Path(folder) / "G.npy", n)
            G = np.float64(mapped)
        K = G @ G.T
        program = Program((K + K.T) / 2, G @ target, 1.0, np.ones(n))
        lam = 0.02 * program.lambda_max()
        limits = buyer_limits(n, k=5)
        greedy, greedy_s = timed(forward, program, lam, limits, range(n))
        found, best_s = timed(best, program, lam, limits, range(n))
        proven = "yes" if found.exact else "no"
        line = f"| {n} | {proven} | {best_s:.1f} | {found.objective:.6f} | {found.gap:.1e} "
        line += f"| {greedy_s:.2f} | {greedy.objective - found.objective:.1e} |"
        lines.append(line)
        print(line, flush=True)
    head = "| n | proven | s | objective | gap | greedy, s | greedy's objective, above |"
    write_table("subset", head, lines)


def share() -> None:
    """Seconds of each step of the demo, computed again in this process, and their part."""
    import shutil

    from appraise.project import Project
    from appraise.steps.flow import step
    from appraise.steps.runner import run

    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        copy = Path(folder) / "project"
        copy.mkdir()
        for name in ("params.yaml", "pools"):
            source = root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        (copy / "downloads").symlink_to(root / "downloads")
        shutil.copytree(root / "data", copy / "data")
        project, seconds = Project(copy), {}
        nouns = ("target_sketches", "gradient_sketches", "candidates", "kernel_matrix",
                 "transfer_matrix", "dataset_values", "selected_subset")  # fmt: skip
        run(step("dataset_values"), project, force=True)  # imports are not what is measured
        for noun in nouns:
            _, seconds[noun] = timed(run, step(noun), project, force=True)
    gradients = seconds["gradient_sketches"] + seconds["target_sketches"]
    lines = [
        f"| {noun} | {took:.2f} | {100 * took / gradients:.2f} % |"
        for noun, took in seconds.items()
    ]
    write_table("share", "| step | s | of the gradients' time |", lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", choices=("reference", "scale", "rules", "arrival", "subset", "share")
    )
    parser.add_argument("--sizes", type=int, nargs="+")
    wanted = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if wanted.what == "reference":
        reference(wanted.sizes or (26, 200, 1000, 2000))
    elif wanted.what == "scale":
        scale(wanted.sizes or (1000, 10_000, 100_000))
    elif wanted.what == "rules":
        rules((wanted.sizes or [10_000])[0])
    elif wanted.what == "subset":
        subset(wanted.sizes or (15, 25, 40, 60, 100))
    elif wanted.what == "share":
        share()
    else:
        arrival((wanted.sizes or [10_000])[0])


if __name__ == "__main__":
    main()
