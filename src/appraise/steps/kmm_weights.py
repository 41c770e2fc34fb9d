"""w = argmin ½wᵀKw − cᵀw + λ Σ p_i|w_i| over w ≥ 0: the value of each dataset, certified.

λ is chosen relative to the λ at which nothing has a weight, by a number of datasets, or by a budget
(`rule`). Penalties p_i are 1 (the paper's) or the price over the mean price. Weights may be capped,
for a dataset or an owner, and made to add up to one.

Also, for each dataset: what covers it (why not), its walk-away price, its value, its weight in the
signed program (below 0: harmful), where it enters and leaves the mix as λ falls, its family (those
that cannot be told apart), and intervals and ranks by resampling the sketches' rows; for each owner
what nobody else offers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError, OfferError, SolverError
from appraise.examples.splits import seeded_rank
from appraise.project import Project, Recipe
from appraise.settings.valuation import KmmWeightsParams
from appraise.steps.candidates import SKETCH
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.step import Step, each_target
from appraise.storage.files import (
    read_arrays,
    read_json,
    read_table,
    write_arrays,
    write_json,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from appraise.methods.tables import OnOffer
    from appraise.numerics.families import Families
    from appraise.numerics.kernel import Floats, KernelEvidence
    from appraise.numerics.program import Program
    from appraise.numerics.uncertainty import Bootstrap
    from appraise.numerics.valuation import Weighing

WEIGHTS, CERTIFICATE = "weights.parquet", "certificate.json"
RESAMPLES = "bootstrap.safetensors"
LIMITS = ("cap", "caps", "owner_cap", "total")


@dataclass(frozen=True)
class _Kernel:
    """The content of kernel.safetensors; all targets share K, which is checked once."""

    arrays: dict[str, Any]
    meta: dict[str, Any]

    @cached_property
    def evidence(self) -> KernelEvidence:
        """Of K."""
        from appraise.numerics.kernel import kernel_evidence

        return kernel_evidence(self.arrays["K"])


def solved(project: Project, target: str) -> tuple[Program, pd.DataFrame, dict[str, Any]]:
    """The program whose solution was written, the table of weights and the certificate as stated.

    Raises:
        ArtifactError: the weights are those of another kernel.
    """
    from appraise.numerics.limits import limits_by_id
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
    bound = limits_by_id(list(table["id"]), list(table["owner"]), **stated["limits"])
    program = Program(arrays["K"], arrays["C"][row], tau, penalties, ridge, nonnegative, bound)
    return program, table, stated


def _ids(project: Project) -> list[str]:
    """The kernel's datasets, from its manifest: sorted as in the kernel."""
    prefix = "gradient_sketches/"
    inputs = project.manifest("kernel_matrix")["inputs"]
    return [n.removeprefix(prefix).rsplit("/", 1)[0] for n in inputs if n.startswith(prefix)]


def _offered(project: Project, ids: Sequence[str]) -> dict[str, tuple[float, str]]:
    """Price and owner of each dataset."""
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    found = {offer["id"]: (float(offer["price"]), str(offer["provider"])) for offer in offers}
    missing = [name for name in ids if name not in found]
    if missing:
        raise OfferError(
            f"offers: expected an offer for every dataset of the kernel, found none for "
            f"{', '.join(missing)}; run `appraise gradient-sketches` and `appraise kernel-matrix`"
        )
    return {name: found[name] for name in ids}


def _sketch(project: Project, name: str) -> str:
    noun, key = name.split("/", 1)
    return project.content(noun, key, SKETCH)


def _recipe(project: Project, key: str) -> Recipe:
    # Of the offers only prices and owners matter: a new title costs no new valuation.
    ids = sorted(_ids(project))
    settings = {
        "kmm_weights": project.params.kmm_weights.model_dump(mode="json"),
        "kernel_matrix": {"normalize": project.params.kernel_matrix.normalize},
        "offered": {name: list(found) for name, found in _offered(project, ids).items()},
    }
    inputs = {f"kernel_matrix/{KERNEL}": project.content("kernel_matrix", file=KERNEL)}
    for name in (*(f"gradient_sketches/{one}" for one in ids), f"target_sketches/{key}"):
        inputs[f"{name}/{SKETCH}"] = _sketch(project, name)
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    kernel = _Kernel(*read_arrays(project.open("kernel_matrix") / KERNEL))
    _check_current(project, kernel.meta["sketches"])
    pool = _pool(project, kernel.meta["ids"])
    for key in tqdm(keys, desc="kmm_weights", unit="target", disable=None, file=sys.stderr):
        try:
            _value(project, key, pool, kernel, kernel.meta["targets"].index(key))
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


def _value(project: Project, target: str, pool: OnOffer, kernel: _Kernel, row: int) -> None:
    """One target: solve, explain, resample, write."""
    import numpy as np

    from appraise.methods import tables
    from appraise.numerics.valuation import weigh

    params = project.params.kmm_weights
    K, c, tau = kernel.arrays["K"], kernel.arrays["C"][row], float(kernel.arrays["tau"][row])
    with STEP.writing(project, target) as folder:
        weighing = weigh(K, c, tau, pool.question, kernel.evidence)
        sketches = _Sketches(project, pool.ids, target)
        draws = _bootstrap(project, pool, sketches, weighing.lam.relative, K)
        families = _families(project, pool, sketches, weighing, kernel, row)
        cosines = c / np.sqrt(K.diagonal() * tau)
        rows = [len(table) for table in sketches.rows]
        table = tables.weights_table(
            pool, rows, weighing, draws, families, cosines, params.confidence
        )
        write_table(folder / WEIGHTS, table)
        write_table(folder / "path.parquet", tables.path_table(weighing.path, pool.ids))
        write_table(folder / "owners.parquet", tables.owners_table(pool, weighing, families))
        write_json(folder / CERTIFICATE, _certificate(weighing, pool, params))
        knots = {"lambdas": weighing.path.lambdas, "weights": weighing.path.weights}
        write_arrays(folder / "path.safetensors", knots, {"ids": pool.ids})
        resamples = {
            "weights": draws.weights,
            "chosen": draws.chosen,
            "signed_weights": draws.signed_weights,
        }
        write_arrays(folder / RESAMPLES, resamples, {"ids": pool.ids})


def _pool(project: Project, ids: list[str]) -> OnOffer:
    from appraise.methods.questions import question_of
    from appraise.methods.tables import OnOffer

    offered = _offered(project, ids)
    prices, owners = [offered[name][0] for name in ids], [offered[name][1] for name in ids]
    try:
        return OnOffer(ids, owners, question_of(project.params.kmm_weights, ids, prices, owners))
    except SolverError as error:
        raise OfferError(f"offers: {error}") from None


class _Sketches:
    """The rows of all datasets and of a target, and what their examples are ordered by."""

    def __init__(self, project: Project, ids: Sequence[str], target: str) -> None:
        self.rows: list[Floats] = []
        self.keys: list[list[str]] = []
        for name in ids:
            arrays, meta = read_arrays(project.open("gradient_sketches", name) / SKETCH)
            self.rows.append(arrays["rows"])
            self.keys.append([seeded_rank(one, meta["seed"]) for one in meta["example_ids"]])
        folder = project.open("target_sketches", target)
        self.target: Floats = read_arrays(folder / SKETCH)[0]["rows"]


def _bootstrap(
    project: Project, pool: OnOffer, sketches: _Sketches, relative_lambda: float, K: Floats
) -> Bootstrap:
    from appraise.numerics.kernel import first_copies
    from appraise.numerics.uncertainty import bootstrap

    params = project.params.kmm_weights
    return bootstrap(
        sketches.rows,
        sketches.target,
        pool.question,
        relative_lambda=relative_lambda,
        normalize=project.params.kernel_matrix.normalize,
        resamples=params.bootstraps,
        confidence=params.confidence,
        seed=params.seed,
        names=[pool.ids[i] for i in first_copies(K)],  # copies draw alike
    )


def _families(
    project: Project,
    pool: OnOffer,
    sketches: _Sketches,
    weighing: Weighing,
    kernel: _Kernel,
    row: int,
) -> Families:
    """Datasets that cannot be told apart, taken as one and valued once more."""
    import numpy as np

    from appraise.numerics.families import families, value_families

    params, arrays, n = project.params.kmm_weights, kernel.arrays, len(pool.ids)
    sizes = np.array([len(rows) for rows in sketches.rows], dtype=np.float64)
    return value_families(
        families(
            arrays["K"], arrays["norms"][:n], arrays["noise"][:n], sizes, params.family_cosine
        ),
        arrays["G"],
        arrays["T"][row],
        sketches.rows,
        sketches.keys,
        pool.owners,
        pool.question,
        weighing.lam,
        project.params.kernel_matrix.normalize,
    )


def _certificate(weighing: Weighing, pool: OnOffer, params: KmmWeightsParams) -> dict[str, Any]:
    lam, scale = weighing.solution.lam, pool.scale
    common = {
        "rule": params.rule,
        "limits": {name: getattr(params, name) for name in LIMITS},
        "relative_lambda": weighing.lam.relative,
        "penalty_scale": scale or 1.0,
        # by how much a unit of money must lower the objective, for each unit of weight
        "exchange_rate": None if scale is None else lam / scale,
    }
    signed = weighing.signed.as_json() | common
    return weighing.solution.as_json() | common | {"signed": signed}


STEP = Step(
    noun="kmm_weights",
    needs=("kernel_matrix", "gradient_sketches", "target_sketches", "offers"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="3",  # 3: owners, families, ranks and the path's entries; 2: copies
)
