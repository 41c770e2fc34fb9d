"""The kernel matrix and the transfer matrix, as heat maps."""

from __future__ import annotations

from appraise.assets import checks
from appraise.assets.tables import Metadata, picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.presentation.valuation_pictures import kernel_picture, transfer_picture
from appraise.project import Project
from appraise.records.candidates import Candidates
from appraise.records.kernel import Kernel, KernelFacts, Transfer, TransferFacts


def describe(project: Project, key: str) -> Metadata:
    """Who teaches the same as whom."""
    folder = project.open("kernel_matrix", key)
    kernel, facts = Kernel.read(folder), KernelFacts.read(folder)
    condition: Metadata = {"condition_number": facts.condition_number}
    return {
        "kernel": picture(kernel_picture(kernel), "Cosines between the datasets' gradients"),
        "datasets": len(kernel.ids),
        "targets": ", ".join(kernel.targets),
        "min_eigenvalue": facts.min_eigenvalue,
        **(condition if facts.condition_number is not None else {}),
    }


def describe_candidates(project: Project, key: str) -> Metadata:
    """How many datasets are in the kernel, how many are screened, and the proof."""
    found = Candidates.read(project.open("candidates", key))
    certificates = ({"target": name, **one.as_json()} for name, one in found.certificates.items())
    return {
        "candidates": len(found.ids),
        "screened": found.screened,
        "certificates": table(certificates),
    }


def describe_transfer(project: Project, key: str) -> Metadata:
    """Who helps whom."""
    folder = project.open("transfer_matrix", key)
    facts = TransferFacts.read(folder)
    return {
        "transfer": picture(transfer_picture(Transfer.read(folder)), "Who helps whom"),
        "helps": table(pair.as_json() for pair in facts.helps),
        "hinders": table(pair.as_json() for pair in facts.hinders),
        "datasets": facts.datasets,
        "left_out": facts.left_out,
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
