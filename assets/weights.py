"""What datasets are worth: the weights, with intervals and their certificate."""

from __future__ import annotations

from pathlib import Path

from appraise.assets import checks
from appraise.assets.tables import Metadata, picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.presentation.valuation_pictures import measure_of, path_picture, weights_picture
from appraise.project import Project
from appraise.project.keys import name_of
from appraise.records.certificate import ProgramCertificate
from appraise.records.record import read_if_there
from appraise.records.values import EntriesTable, OwnersTable, PathKnots, WeightsTable

CERTIFIED = ("lambda_max", "gap", "kkt_violation", "residual_norm", "tolerance")
COLUMNS = ("id", "weight", "low", "high", "mean_weight", "best_rank", "worst_rank",
           "weight_probability", "alignment", "margin", "threshold", "value", "family",
           "status")  # fmt: skip


def describe(project: Project, key: str) -> Metadata:
    """A bar for each dataset and, as far as the method says it, the path and the certificate."""
    folder = project.open("dataset_values", key)
    weights = WeightsTable.read(folder)
    rows = sorted(weights.records(), key=lambda row: -row["weight"])
    positive = [row["id"] for row in rows if row["weight"] > 0]
    certificate = read_if_there(ProgramCertificate, folder)
    what = measure_of(name_of(key), certificate is not None)
    bars = weights_picture(weights, positive, filled="above zero", measure=what)
    named = [name for name in COLUMNS if name in weights.table]
    entries, owners = read_if_there(EntriesTable, folder), read_if_there(OwnersTable, folder)
    return {
        "weights": picture(bars, f"{what.capitalize()} of each dataset with its interval"),
        "table": table({name: row[name] for name in named} for row in rows),
        "positive": len(positive),
        **({} if entries is None else {"entries": table(entries.records())}),
        **({} if owners is None else {"owners": table(owners.records())}),
        **({} if certificate is None else _proof(folder, certificate, positive)),
    }


def _proof(folder: Path, certificate: ProgramCertificate, positive: list[str]) -> Metadata:
    path = read_if_there(PathKnots, folder)
    numbers: Metadata = {name: getattr(certificate, name) for name in CERTIFIED}
    said: Metadata = {"lambda": certificate.lam, **numbers, "status": certificate.status}
    if path is None:
        return said
    lines = path_picture(path, certificate, positive)
    return said | {"path": picture(lines, "Weights at each regularisation")}


SHOWN = (
    Shown(
        "dataset_values",
        "valuation",
        ("scikitlearn", "parquet"),
        "ml",
        describe,
        (
            Check(
                "certificate_within_tolerance",
                "Duality gap and optimality conditions, recomputed from K, c and the weights.",
                checks.certificate_within_tolerance,
            ),
        ),
    ),
)
