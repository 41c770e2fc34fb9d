"""w = argmin ½wᵀKw − cᵀw + λ Σ p_i|w_i| over w ≥ 0: the value of each dataset, certified.

Also, for each dataset: what covers it (why not), its walk-away price, its value, its weight in the
signed program (below 0: harmful), and intervals by resampling the sketches' rows. Penalties p_i
are 1 (the paper's) or the price over the mean price.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appraise.artifacts import (
    read_arrays,
    read_json,
    read_table,
    write_arrays,
    write_json,
    write_table,
)
from appraise.errors import ArtifactError, OfferError, SolverError
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL, SKETCH
from appraise.steps.step import Step, each_target

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from appraise.numerics.kernel import Floats
    from appraise.numerics.program import Program
    from appraise.numerics.uncertainty import Bootstrap
    from appraise.numerics.valuation import Weighing

WEIGHTS, CERTIFICATE = "weights.parquet", "certificate.json"


@dataclass(frozen=True)
class _Pool:
    """What is offered to a target.

    Attributes:
        ids: the datasets, in the order of the kernel.
        prices: (n,) money.
        penalties: p (n,).
        scale: money for one unit of penalty; None where the penalty has nothing to do with money.
    """

    ids: list[str]
    prices: Floats
    penalties: Floats
    scale: float | None


def solved(project: Project, target: str) -> tuple[Program, pd.DataFrame, dict[str, Any]]:
    """The program whose solution was written, the table of weights and the certificate as stated.

    Raises:
        ArtifactError: the weights are those of another kernel.
    """
    from appraise.numerics.program import Program

    arrays, meta = read_arrays(project.open("kernel_matrix") / KERNEL)
    folder = project.open("kmm_weights", target)
    stated, table = read_json(folder / CERTIFICATE), read_table(folder / WEIGHTS)
    if list(table["id"]) != list(meta["ids"]) or target not in meta["targets"]:
        raise ArtifactError(
            f"kmm_weights {target}: expected the kernel's datasets, found others; "
            "run `appraise kmm-weights` again"
        )
    row = meta["targets"].index(target)
    tau, penalties = float(arrays["tau"][row]), table["penalty"].to_numpy("float64")
    ridge, nonnegative = float(stated["ridge"]), bool(stated["nonnegative"])
    program = Program(arrays["K"], arrays["C"][row], tau, penalties, ridge, nonnegative)
    return program, table, stated


def _ids(project: Project) -> list[str]:
    """The kernel's datasets, from its manifest: sorted as in the kernel."""
    prefix = "gradient_sketches/"
    inputs = project.manifest("kernel_matrix")["inputs"]
    return [n.removeprefix(prefix).rsplit("/", 1)[0] for n in inputs if n.startswith(prefix)]


def _prices(project: Project, ids: Sequence[str]) -> dict[str, float]:
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    prices = {offer["id"]: float(offer["price"]) for offer in offers}
    missing = [name for name in ids if name not in prices]
    if missing:
        raise OfferError(
            f"offers: expected an offer for every dataset of the kernel, found none for "
            f"{', '.join(missing)}; run `appraise gradient-sketches` and `appraise kernel-matrix`"
        )
    return {name: prices[name] for name in ids}


def _sketch(project: Project, name: str) -> str:
    noun, key = name.split("/", 1)
    return project.content(noun, key, SKETCH)


def _recipe(project: Project, key: str) -> Recipe:
    # Of the offers only the prices matter: a new title costs no new valuation.
    ids = sorted(_ids(project))
    settings = {
        "kmm_weights": project.params.kmm_weights.model_dump(mode="json"),
        "kernel_matrix": {"normalize": project.params.kernel_matrix.normalize},
        "prices": _prices(project, ids),
    }
    inputs = {f"kernel_matrix/{KERNEL}": project.content("kernel_matrix", file=KERNEL)}
    for name in (*(f"gradient_sketches/{one}" for one in ids), f"target_sketches/{key}"):
        inputs[f"{name}/{SKETCH}"] = _sketch(project, name)
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    arrays, meta = read_arrays(project.open("kernel_matrix") / KERNEL)
    _check_current(project, meta["sketches"])
    pool = _pool(project, meta["ids"])
    for key in tqdm(keys, desc="kmm_weights", unit="target", disable=None, file=sys.stderr):
        row = meta["targets"].index(key)
        K, c, tau = arrays["K"], arrays["C"][row], float(arrays["tau"][row])
        try:
            _value(project, key, pool, K, c, tau)
        except SolverError as error:
            raise SolverError(f"kmm_weights {key}: {error}") from None


def _check_current(project: Project, sketches: Mapping[str, str]) -> None:
    """Intervals come from the sketches: they must be those that the kernel was made from."""
    for name, expected in sketches.items():
        found = _sketch(project, name)
        if found != expected:
            raise ArtifactError(
                f"{name}: expected the sketch that the kernel was made from ({expected[:12]}…), "
                f"found a newer one ({found[:12]}…); run `appraise kernel-matrix` first"
            )


def _value(project: Project, target: str, pool: _Pool, K: Floats, c: Floats, tau: float) -> None:
    """One target: solve, explain, resample, write."""
    import numpy as np

    from appraise.numerics.kernel import first_copies
    from appraise.numerics.path import regularisation_path
    from appraise.numerics.valuation import weigh

    params, penalties = project.params.kmm_weights, pool.penalties
    with STEP.writing(project, target) as folder:
        weighing = weigh(
            K,
            c,
            tau,
            relative_lambda=params.relative_lambda,
            penalties=penalties,
            ridge=params.ridge,
            tolerance=params.tolerance,
        )
        draws = _bootstrap(project, target, pool, first_copies(K))
        path = regularisation_path(K, c, penalties, params.ridge)
        cosines = c / np.sqrt(K.diagonal() * tau)
        meta = {"ids": pool.ids}
        write_table(folder / WEIGHTS, _table(pool, weighing, draws, cosines))
        write_json(folder / CERTIFICATE, _certificate(weighing, pool, params.relative_lambda))
        knots = {"lambdas": path.lambdas, "weights": path.weights}
        write_arrays(folder / "path.safetensors", knots, meta)
        resamples = {
            "weights": draws.weights,
            "chosen": draws.chosen,
            "signed_weights": draws.signed_weights,
        }
        write_arrays(folder / "bootstrap.safetensors", resamples, meta)


def _pool(project: Project, ids: list[str]) -> _Pool:
    import numpy as np

    from appraise.numerics.kmm import price_penalties

    prices = np.array(list(_prices(project, ids).values()))
    if project.params.kmm_weights.penalty == "uniform":
        return _Pool(ids, prices, np.ones(len(ids)), None)
    try:
        penalties, scale = price_penalties(prices, ids)
    except SolverError as error:
        raise OfferError(f"offers: {error}") from None
    return _Pool(ids, prices, penalties, scale)


def _bootstrap(project: Project, target: str, pool: _Pool, first: NDArray[np.int64]) -> Bootstrap:
    from appraise.numerics.uncertainty import bootstrap

    def rows(noun: str, key: str) -> Floats:
        found: Floats = read_arrays(project.open(noun, key) / SKETCH)[0]["rows"]
        return found

    params = project.params.kmm_weights
    return bootstrap(
        [rows("gradient_sketches", name) for name in pool.ids],
        rows("target_sketches", target),
        relative_lambda=params.relative_lambda,
        penalties=pool.penalties,
        ridge=params.ridge,
        normalize=project.params.kernel_matrix.normalize,
        resamples=params.bootstraps,
        confidence=params.confidence,
        seed=params.seed,
        names=[pool.ids[i] for i in first],  # copies draw alike
        tolerance=params.tolerance,
    )


def _certificate(weighing: Weighing, pool: _Pool, relative_lambda: float) -> dict[str, Any]:
    common = {"relative_lambda": relative_lambda, "penalty_scale": pool.scale or 1.0}
    signed = weighing.signed.as_json() | common
    return weighing.solution.as_json() | common | {"signed": signed}


def _table(pool: _Pool, weighing: Weighing, draws: Bootstrap, cosines: Floats) -> pd.DataFrame:
    """The content of weights.parquet; without resamples an interval is the weight itself."""
    import numpy as np
    import pandas as pd

    weights, signed = weighing.solution.weights, weighing.signed.weights
    found = weighing.explanations

    def or_point(ends: Floats, point: Floats) -> Floats:
        return np.where(np.isnan(ends), point, ends)

    columns = {
        "id": pool.ids,
        "price": pool.prices,
        "penalty": pool.penalties,
        "weight": weights,
        "low": or_point(draws.low, weights),
        "high": or_point(draws.high, weights),
        "chosen_probability": or_point(draws.chosen_probability, (weights > 0).astype(float)),
        "signed_weight": signed,
        "signed_low": or_point(draws.signed_low, signed),
        "signed_high": or_point(draws.signed_high, signed),
        "alignment": [one.alignment for one in found],
        "cosine": cosines,
        "margin": [one.margin for one in found],
        "threshold": [one.threshold for one in found],
        "walk_away": [one.walk_away for one in found],
        "walk_away_price": [_money(one.walk_away, pool.scale) for one in found],
        "value": [one.value for one in found],
        "near_threshold": [one.near_threshold for one in found],
        "covered_by": [_covered_by(one.covered_by, one.alignment, pool.ids) for one in found],
        "status": ["in" if weight > 0 else "out" for weight in weights],
    }
    return pd.DataFrame(columns)


def _money(walk_away: float, scale: float | None) -> float:
    return math.nan if scale is None else walk_away * scale


def _covered_by(pairs: Sequence[tuple[int, float]], alignment: float, ids: Sequence[str]) -> str:
    """JSON [[id, amount, amount as a part of the alignment], …], largest amount first."""
    return json.dumps([[ids[j], a, a / alignment if alignment else None] for j, a in pairs])


STEP = Step(
    noun="kmm_weights",
    needs=("kernel_matrix", "gradient_sketches", "target_sketches", "offers"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: of exact copies the first has the weight of all
)
