"""Every dataset as the target of all others: who helps whom, and who pulls the other way.

M_ij is the weight of dataset i in the signed program whose target is dataset j (arXiv 2605.16704,
Figure 7). Of a large pool only the datasets most aligned with a target, either way, take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appraise.errors import SolverError
from appraise.project import Project, Recipe
from appraise.steps.kernel_matrix import KERNEL
from appraise.steps.step import Step, whole
from appraise.storage.files import read_arrays, write_arrays, write_json

TRANSFER = "transfer.safetensors"
_NAMED = 20  # of the strongest pairs


def _recipe(project: Project, key: str) -> Recipe:  # noqa: ARG001
    settings = {"transfer_matrix": project.params.transfer_matrix.model_dump(mode="json")}
    inputs = {f"kernel_matrix/{KERNEL}": project.content("kernel_matrix", file=KERNEL)}
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    import numpy as np

    from appraise.numerics.targets import transfer_matrix

    params = project.params.transfer_matrix
    for key in keys:
        with STEP.writing(project, key) as folder:
            arrays, meta = read_arrays(project.open("kernel_matrix") / KERNEL)
            strongest = np.argsort(-np.abs(arrays["C"]).max(axis=0), kind="stable")
            part = np.sort(strongest[: params.largest])
            try:
                found = transfer_matrix(arrays["K"][np.ix_(part, part)], params.relative_lambda)
            except SolverError as error:
                raise SolverError(f"transfer_matrix: {error}") from None
            ids = [meta["ids"][i] for i in part]
            write_arrays(folder / TRANSFER, {"M": found}, {"ids": ids})
            write_json(folder / "transfer.json", _described(found, ids, len(meta["ids"])))


def _described(found: Any, ids: Sequence[str], n: int) -> dict[str, Any]:
    """The content of transfer.json: who helps most, and who hinders most."""
    import numpy as np

    size = np.abs(np.nan_to_num(found))
    order = np.argsort(-size, axis=None, kind="stable")[: 2 * _NAMED]
    pairs = [divmod(int(place), len(ids)) for place in order]
    strongest: list[dict[str, Any]] = [
        {"of": ids[i], "for": ids[j], "weight": float(found[i, j])}
        for i, j in pairs
        if size[i, j] > 0
    ]
    return {
        "datasets": len(ids),
        "left_out": n - len(ids),
        "helps": [pair for pair in strongest if pair["weight"] > 0][:_NAMED],
        "hinders": [pair for pair in strongest if pair["weight"] < 0][:_NAMED],
    }


STEP = Step(
    noun="transfer_matrix",
    needs=("kernel_matrix",),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
)
