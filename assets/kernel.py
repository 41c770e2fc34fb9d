"""The kernel matrix, as a heat map."""

from __future__ import annotations

from typing import Any

from appraise.artifacts import read_arrays, read_json
from appraise.project import Project
from assets import checks
from assets.tables import picture
from orchestration.pipeline import Check, Shown


def describe(project: Project, key: str) -> dict[str, Any]:
    """Who teaches the same as whom."""
    from appraise.pictures import kernel_heat_map

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


SHOWN = (
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
)
