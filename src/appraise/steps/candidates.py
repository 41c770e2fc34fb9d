"""Of a large pool the datasets that can have a weight; of a small one all.

The kernel matrix of 100,000 datasets would take 80 GB. Where there are more than `largest`, the
very program that decides (rule, penalty, ridge, limits) is solved for each target without it
(`numerics.screening`), with a certificate over all datasets. Those that the answer needs are
candidates, and of the others those that lack least, up to `largest`. All that follows is done with
the candidates. The others are proven to have no weight; `screened.parquet` says what each of them
lacks.
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
    from appraise.numerics.screening import Screening

SKETCH, CANDIDATES = "sketch.safetensors", "candidates.json"
_DATASETS, _TARGETS = "gradient_sketches", "target_sketches"
_GRADIENTS = "gradients.safetensors"
_QUESTION = {  # of section kmm_weights: what the answer depends on
    "rule", "relative_lambda", "number", "budget", "penalty", "ridge",
    "cap", "caps", "owner_cap", "total", "tolerance",
}  # fmt: skip


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
        "kmm_weights": params.model_dump(mode="json", include=_QUESTION),
        "kernel_matrix": {"normalize": project.params.kernel_matrix.normalize},
        "offered": {name: list(offered) for name, offered in _offered(project, ids).items()},
    }
    names = [(_DATASETS, one) for one in ids] + [(_TARGETS, one) for one in each_target(project)]
    inputs = {f"{n}/{k}/{SKETCH}": project.content(n, k, SKETCH) for n, k in names}
    return Recipe(STEP.version, settings, inputs)


def _offered(project: Project, ids: Sequence[str]) -> dict[str, tuple[float, str]]:
    """Price and owner of each dataset."""
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    by_id = {offer["id"]: (float(offer["price"]), str(offer["provider"])) for offer in offers}
    missing = [name for name in ids if name not in by_id]
    if missing:
        raise OfferError(
            f"offers: expected an offer for every sketch, found none for {', '.join(missing[:5])}; "
            "run `appraise gradient-sketches`"
        )
    return {name: by_id[name] for name in ids}


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in keys:
        with STEP.writing(project, key) as folder:
            ids = _sketched(project)
            if len(ids) <= project.params.candidates.largest:
                content = {"ids": ids, "screened": 0, "certificates": {}}
                write_json(folder / CANDIDATES, content)
                continue
            G, contents = _gradients(project, ids)
            screened = _screening(project, ids, G)
            write_arrays(folder / _GRADIENTS, {"G": G}, {"contents": contents})
            write_table(folder / "screened.parquet", _screened(ids, screened))
            write_json(folder / CANDIDATES, _content(ids, screened))


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


def _screening(project: Project, ids: Sequence[str], G: NDArray[np.float32]) -> Screening:
    """The candidates, and for each target what proves them."""
    from appraise.methods.questions import question_of
    from appraise.numerics.kernel import mean_gradient
    from appraise.numerics.pool import Pool
    from appraise.numerics.screening import screening

    offered = _offered(project, ids)
    prices, owners = [offered[name][0] for name in ids], [offered[name][1] for name in ids]
    try:
        question = question_of(project.params.kmm_weights, ids, prices, owners)
    except SolverError as error:
        raise OfferError(f"offers: {error}") from None
    targets: dict[str, Floats] = {}
    for target in each_target(project):
        arrays, _ = read_arrays(project.open(_TARGETS, target) / SKETCH)
        targets[target] = mean_gradient(arrays["rows"], project.params.kernel_matrix.normalize)
    try:
        return screening(Pool(G), targets, question, project.params.candidates.largest)
    except SolverError as error:
        raise SolverError(
            f"candidates {error}; or raise candidates.largest to {len(ids)}, so that no dataset is "
            "left out"
        ) from None


def _screened(ids: Sequence[str], screened: Screening) -> Any:
    """A row for each dataset that is no candidate, and each target."""
    import numpy as np
    import pandas as pd

    out = np.setdiff1d(np.arange(len(ids)), screened.candidates)
    tables = [
        pd.DataFrame(
            {
                "id": [ids[i] for i in out],
                "target": target,
                "alignment": solution.alignment[out],
                "margin": solution.margins[out],
                "threshold": solution.thresholds[out],
            }
        )
        for target, solution in screened.solutions.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _content(ids: Sequence[str], screened: Screening) -> dict[str, Any]:
    """The content of candidates.json."""
    certificates = {
        target: {
            "lambda": solution.lam.value,
            "lambda_max": solution.lam.top,
            "datasets": len(ids),
            "positive": len(solution.support),
            "gap": solution.optimality.gap,
            "kkt_violation": solution.optimality.kkt_violation,
            "relative_error": solution.optimality.relative_error,
            "passes": solution.rounds + len(solution.passes),
        }
        for target, solution in screened.solutions.items()
    }
    names = [ids[i] for i in screened.candidates]
    return {"ids": names, "screened": len(ids) - len(names), "certificates": certificates}


STEP = Step(
    noun="candidates",
    needs=("gradient_sketches", "target_sketches", "offers"),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
)
