"""The kernel matrix and the transfer matrix, as heat maps."""

from __future__ import annotations

from typing import Any

from appraise.assets import checks
from appraise.assets.tables import picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.project import Project
from appraise.storage.files import read_arrays, read_json


def describe(project: Project, key: str) -> dict[str, Any]:
    """Who teaches the same as whom."""
    from appraise.presentation.pictures import kernel_heat_map

    folder = project.open("kernel_matrix", key)
    arrays, meta = read_arrays(folder / "kernel.safetensors")
    facts = read_json(folder / "kernel.json")
    shown = ("min_eigenvalue", "condition_number")
    png = kernel_heat_map(arrays["K"], meta["ids"])
    return {
        "kernel": picture(png, "Cosines between the datasets' gradients"),
        "datasets": len(meta["ids"]),
        "targets": ", ".join(meta["targets"]),
        **{name: facts[name] for name in shown if facts.get(name) is not None},
    }


def describe_candidates(project: Project, key: str) -> dict[str, Any]:
    """How many datasets are in the kernel, how many are screened, and the proof."""
    found = read_json(project.open("candidates", key) / "candidates.json")
    certificates = ({"target": name, **one} for name, one in found["certificates"].items())
    return {
        "candidates": len(found["ids"]),
        "screened": found["screened"],
        "certificates": table(certificates),
    }


def describe_transfer(project: Project, key: str) -> dict[str, Any]:
    """Who helps whom."""
    from appraise.presentation.pictures import transfer_heat_map

    folder = project.open("transfer_matrix", key)
    arrays, meta = read_arrays(folder / "transfer.safetensors")
    facts = read_json(folder / "transfer.json")
    return {
        "transfer": picture(transfer_heat_map(arrays["M"], meta["ids"]), "Who helps whom"),
        "helps": table(facts["helps"]),
        "hinders": table(facts["hinders"]),
        "datasets": facts["datasets"],
        "left_out": facts["left_out"],
    }


SHOWN = (
    Shown("candidates", "valuation", ("json",), "ml", describe_candidates),
    Shown(
        "kernel_matrix",
        "valuation",
        ("numpy", "safetensors"),
        "ml",
        describe,
        (
            Check(
                "kernel_symmetric_psd",
                "K is finite, symmetric to the bit and positive semi-definite within tolerance.",
                checks.kernel_symmetric_psd,
            ),
        ),
    ),
    Shown("transfer_matrix", "valuation", ("numpy", "safetensors"), "ml", describe_transfer),
)
