"""Of a large pool the datasets that can have a weight; of a small one all.

The kernel matrix of 100,000 datasets would take 80 GB. Where there are more than `largest`, the
program is solved for each target without it (`numerics.working_set`), with a certificate over all
datasets. Those with a weight are candidates, and of the others those that lack least, up to
`largest`. All that follows is done with the candidates. The others are proven to have no weight;
`screened.parquet` says what each of them lacks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError, OfferError, SolverError
from appraise.project import Project, Recipe
from appraise.steps.step import Step, each_target, whole
from appraise.storage.files import read_arrays, read_json, write_arrays, write_json, write_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from appraise.numerics.kernel import Floats
    from appraise.numerics.working_set import LargeSolution

SKETCH, CANDIDATES = "sketch.safetensors", "candidates.json"
_DATASETS, _TARGETS = "gradient_sketches", "target_sketches"
_GRADIENTS = "gradients.safetensors"
_HARDEST = 20  # of those that pull hardest, either way: λ_max is theirs


def candidates(project: Project) -> list[str]:
    """The datasets that the kernel is made of."""
    found: list[str] = read_json(project.open(STEP.noun) / CANDIDATES)["ids"]
    return found


def _sketched(project: Project) -> list[str]:
    """The datasets that have a sketch."""
    keys = project.partitions(_DATASETS)
    found = [key for key in keys if project.set_aside(_DATASETS, key) is None]
    if not found:
        raise ArtifactError(
            "candidates: expected the sketch of at least one dataset, found none that is not set "
            "aside; see `appraise status` and the pool of offers"
        )
    return found


def _recipe(project: Project, key: str) -> Recipe:  # noqa: ARG001
    ids = _sketched(project)
    settings: dict[str, Any] = {"candidates": project.params.candidates.model_dump(mode="json")}
    if len(ids) <= project.params.candidates.largest:
        return Recipe(STEP.version, settings | {"datasets": ids}, {})
    params = project.params.kmm_weights
    settings |= {
        "kmm_weights": params.model_dump(mode="json", include={"relative_lambda", "penalty"}),
        "kernel_matrix": {"normalize": project.params.kernel_matrix.normalize},
        "prices": _prices(project, ids),
    }
    names = [(_DATASETS, one) for one in ids] + [(_TARGETS, one) for one in each_target(project)]
    inputs = {f"{n}/{k}/{SKETCH}": project.content(n, k, SKETCH) for n, k in names}
    return Recipe(STEP.version, settings, inputs)


def _prices(project: Project, ids: Sequence[str]) -> dict[str, float]:
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    prices = {offer["id"]: float(offer["price"]) for offer in offers}
    missing = [name for name in ids if name not in prices]
    if missing:
        raise OfferError(
            f"offers: expected an offer for every sketch, found none for {', '.join(missing[:5])}; "
            "run `appraise gradient-sketches`"
        )
    return {name: prices[name] for name in ids}


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in keys:
        with STEP.writing(project, key) as folder:
            ids = _sketched(project)
            if len(ids) <= project.params.candidates.largest:
                content = {"ids": ids, "screened": 0, "certificates": {}}
                write_json(folder / CANDIDATES, content)
                continue
            G, contents = _gradients(project, ids)
            solutions = _solutions(project, ids, G)
            chosen = _chosen(project, solutions)
            write_arrays(folder / _GRADIENTS, {"G": G}, {"contents": contents})
            write_table(folder / "screened.parquet", _screened(ids, chosen, solutions))
            write_json(folder / CANDIDATES, _content(ids, chosen, solutions))


def _gradients(project: Project, ids: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Mean gradients (n, d) float32; those of sketches that have not changed are taken over."""
    import numpy as np
    from tqdm import tqdm

    from appraise.numerics.kernel import mean_gradient

    contents = {name: project.content(_DATASETS, name, SKETCH) for name in ids}
    kept: dict[str, NDArray[np.float32]] = {}
    try:
        arrays, meta = read_arrays(project.open(STEP.noun) / _GRADIENTS)
        kept = dict(zip(meta["contents"].values(), arrays["G"], strict=True))
    except ArtifactError:
        kept = {}  # not made yet, or damaged: all is computed
    normalize = project.params.kernel_matrix.normalize
    found: list[NDArray[np.float32]] = []
    for name in tqdm(ids, desc=STEP.noun, unit="dataset", disable=None, file=sys.stderr):
        row = kept.get(contents[name])
        if row is None:
            arrays, _ = read_arrays(project.open(_DATASETS, name) / SKETCH)
            try:
                row = mean_gradient(arrays["rows"], normalize).astype(np.float32)
            except SolverError as error:
                raise ArtifactError(f"{_DATASETS}/{name}: {error}") from None
        found.append(row)
    return np.stack(found), contents


def _solutions(
    project: Project, ids: Sequence[str], G: NDArray[np.float32]
) -> dict[str, tuple[LargeSolution, Floats, Floats]]:
    """Target → its solution over all datasets, their alignments and penalties (n,)."""
    import numpy as np

    from appraise.numerics.kernel import mean_gradient
    from appraise.numerics.kmm import price_penalties
    from appraise.numerics.working_set import Pool, solve_pool

    params, pool = project.params.kmm_weights, Pool(G)
    p = np.ones(len(ids))
    if params.penalty == "price":
        p, _ = price_penalties(list(_prices(project, ids).values()), ids)
    found = {}
    for target in each_target(project):
        arrays, _ = read_arrays(project.open(_TARGETS, target) / SKETCH)
        g = mean_gradient(arrays["rows"], project.params.kernel_matrix.normalize)
        try:
            solution = solve_pool(pool, g, relative_lambda=params.relative_lambda, penalties=p)
        except SolverError as error:
            raise SolverError(f"candidates {target}: {error}") from None
        found[target] = (solution, pool.products(g), p)
    return found


def _chosen(
    project: Project, solutions: dict[str, tuple[LargeSolution, Floats, Floats]]
) -> NDArray[np.int64]:
    """Datasets with a weight, those that pull hardest, then those that lack least; ascending."""
    import numpy as np

    lacks, needed = [], [np.empty(0, dtype=np.int64)]
    for solution, c, p in solutions.values():
        needed += [solution.support, np.argsort(-np.abs(c) / p, kind="stable")[:_HARDEST]]
        lacks.append(solution.margins / p / max(solution.lam, np.finfo(float).tiny))
    first = np.unique(np.concatenate(needed))
    order = np.argsort(-np.max(lacks, axis=0), kind="stable")
    more = order[~np.isin(order, first)]
    room = max(0, project.params.candidates.largest - len(first))
    return np.sort(np.concatenate([first, more[:room]]))


def _screened(
    ids: Sequence[str],
    chosen: NDArray[np.int64],
    solutions: dict[str, tuple[LargeSolution, Floats, Floats]],
) -> Any:
    """A row for each dataset that is no candidate, and each target."""
    import numpy as np
    import pandas as pd

    out = np.setdiff1d(np.arange(len(ids)), chosen)
    tables = [
        pd.DataFrame(
            {
                "id": [ids[i] for i in out],
                "target": target,
                "alignment": c[out],
                "margin": solution.margins[out],
                "threshold": solution.lam * p[out],
            }
        )
        for target, (solution, c, p) in solutions.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _content(
    ids: Sequence[str],
    chosen: NDArray[np.int64],
    solutions: dict[str, tuple[LargeSolution, Floats, Floats]],
) -> dict[str, Any]:
    """The content of candidates.json."""
    certificates = {
        target: {
            "lambda": solution.lam,
            "lambda_max": solution.lambda_max,
            "datasets": len(ids),
            "positive": len(solution.support),
            "gap": solution.optimality.gap,
            "kkt_violation": solution.optimality.kkt_violation,
            "relative_error": solution.optimality.relative_error,
            "passes": len(solution.passes),
        }
        for target, (solution, _, _) in solutions.items()
    }
    names = [ids[i] for i in chosen]
    return {"ids": names, "screened": len(ids) - len(names), "certificates": certificates}


STEP = Step(
    noun="candidates",
    needs=("gradient_sketches", "target_sketches", "offers"),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
)
