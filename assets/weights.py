"""The weights: the valuation, with intervals and its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appraise.assets import checks
from appraise.assets.tables import picture, table
from appraise.orchestration.pipeline import Check, Shown
from appraise.project import Project
from appraise.storage.files import read_arrays, read_json, read_table

if TYPE_CHECKING:
    import pandas as pd

CERTIFIED = ("lambda", "lambda_max", "gap", "kkt_violation", "residual_norm", "tolerance")
COLUMNS = ("id", "price", "weight", "low", "high", "mean_weight", "best_rank", "worst_rank",
           "chosen_probability", "alignment", "margin", "threshold", "walk_away_price", "value",
           "family", "status")  # fmt: skip


def describe(project: Project, key: str) -> dict[str, Any]:
    """A bar for each dataset, the regularisation path, and the certificate's numbers."""
    from appraise.presentation.pictures import path_plot, weights_bar

    folder = project.open("kmm_weights", key)
    weights = read_table(folder / "weights.parquet").sort_values("weight", ascending=False)
    certificate = read_json(folder / "certificate.json")
    path, meta = read_arrays(folder / "path.safetensors")
    ids = list(weights["id"])
    positive = [name for name, w in zip(ids, weights["weight"], strict=True) if w > 0]
    value, low, high = (weights[name].to_numpy("float64") for name in ("weight", "low", "high"))
    bars = weights_bar(ids, value, low, high, positive, filled="above zero")
    lines = path_plot(
        path["lambdas"], path["weights"], meta["ids"], certificate["lambda"], positive
    )
    return {
        "weights": picture(bars, "Weight of each dataset with its interval"),
        "path": picture(lines, "Weights at each regularisation"),
        "table": table(weights[list(COLUMNS)].to_dict("records")),  # type: ignore[arg-type]
        "entries": table(_records(read_table(folder / "path.parquet"))),
        "owners": table(_records(read_table(folder / "owners.parquet"))),
        "positive": len(positive),
        **{name: float(certificate[name]) for name in CERTIFIED},
        "status": str(certificate["status"]),
    }


def _records(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows; what Parquet has no number for is left empty."""
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


SHOWN = (
    Shown(
        "kmm_weights",
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
