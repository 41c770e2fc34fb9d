"""Values as tables: a row for each dataset, for each stretch of the path, for each owner."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from appraise.methods.method import Evidence
from appraise.numerics.families import Families
from appraise.numerics.kernel import Floats
from appraise.numerics.path import Path, stays
from appraise.numerics.stability import mean_weights, rank_intervals
from appraise.numerics.uncertainty import Bootstrap
from appraise.numerics.valuation import Weighing
from appraise.records.values import EntriesTable, OwnersTable, WeightsTable


@dataclass(frozen=True)
class OnOffer:
    """What is offered to a target.

    Attributes:
        ids: the datasets, in the order of the kernel.
        owners: who offers each.
    """

    ids: list[str]
    owners: list[str]


def weights_table(
    pool: OnOffer, rows: Sequence[int], weighing: Weighing, draws: Bootstrap, families: Families,
    cosines: Floats, confidence: float,
) -> WeightsTable:  # fmt: skip
    """With all that the program says; without resamples an interval is the weight itself."""

    weights, signed = weighing.solution.weights, weighing.signed.weights
    found = weighing.explanations
    best, worst = rank_intervals(draws.weights, confidence)

    def or_point(ends: Floats, point: Floats) -> Floats:
        return np.where(np.isnan(ends), point, ends)

    columns = {
        "id": pool.ids,
        "owner": pool.owners,
        "rows": rows,
        "weight": weights,
        "low": or_point(draws.low, weights),
        "high": or_point(draws.high, weights),
        "mean_weight": or_point(mean_weights(draws.weights), weights),
        "best_rank": best,
        "worst_rank": worst,
        "weight_probability": or_point(draws.weight_probability, (weights > 0).astype(float)),
        "signed_weight": signed,
        "signed_low": or_point(draws.signed_low, signed),
        "signed_high": or_point(draws.signed_high, signed),
        "alignment": [one.alignment for one in found],
        "cosine": cosines,
        "margin": [one.margin for one in found],
        "threshold": [one.threshold for one in found],
        "value": [one.value for one in found],
        "family": [pool.ids[first] for first in families.first],
        "family_weight": [families.by_first[first][0] for first in families.first],
        "family_value": [families.by_first[first][1] for first in families.first],
        "near_threshold": [one.near_threshold for one in found],
        "covered_by": [_covered_by(one.covered_by, one.alignment, pool.ids) for one in found],
        "status": ["in" if weight > 0 else "out" for weight in weights],
    }
    return WeightsTable(pd.DataFrame(columns))


def scores_table(
    evidence: Evidence, scores: Floats, draws: Floats, confidence: float
) -> WeightsTable:
    """Of a method that scores each dataset by itself, without a program.

    Args:
        evidence: what the method looked at.
        scores: (n,) what it says.
        draws: (B, n) the same of other samples of the rows; B = 0 for none.
        confidence: of the intervals.
    """
    columns = {
        "id": evidence.ids,
        "owner": evidence.owners,
        "rows": [len(table) for table in evidence.sketches.rows],
        "weight": scores,
        "alignment": evidence.c,
        "cosine": evidence.cosines,
    }
    if len(draws):
        tail = (1 - confidence) / 2
        columns["low"], columns["high"] = np.quantile(draws, [tail, 1 - tail], axis=0)
        columns["mean_weight"] = draws.mean(axis=0)
        columns["best_rank"], columns["worst_rank"] = rank_intervals(draws, confidence)
    return WeightsTable(pd.DataFrame(columns))


def _covered_by(pairs: Sequence[tuple[int, float]], alignment: float, ids: Sequence[str]) -> str:
    """JSON [[id, amount, amount as a part of the alignment], …], largest amount first."""
    return json.dumps([[ids[j], a, a / alignment if alignment else None] for j, a in pairs])


def entries_table(path: Path, ids: Sequence[str]) -> EntriesTable:
    """Every entry into the mix and every exit, in parts of λ_max, first entries first."""

    top, found = float(path.lambdas[0]) or 1.0, stays(path)
    columns = {
        "id": [ids[stay.index] for stay in found],
        "enters": [stay.enters / top for stay in found],
        "leaves": [math.nan if stay.leaves is None else stay.leaves / top for stay in found],
    }
    types = {"id": str, "enters": float, "leaves": float}
    return EntriesTable(pd.DataFrame(columns).astype(types))


def owners_table(pool: OnOffer, weighing: Weighing, families: Families) -> OwnersTable:
    """What each owner offers and what of it nobody else does; most valuable first."""

    weight = dict(zip(pool.ids, weighing.solution.weights, strict=True))
    offered = {
        owner: [name for name, of in zip(pool.ids, pool.owners, strict=True) if of == owner]
        for owner in set(pool.owners)
    }
    values = {cluster.name: cluster.value for cluster in families.owners}
    order = sorted(offered, key=lambda owner: (-values.get(owner, 0.0), owner))
    columns = {
        "owner": order,
        "datasets": [json.dumps(offered[owner]) for owner in order],
        "weight": [math.fsum(weight[name] for name in offered[owner]) for owner in order],
        "value": [values.get(owner, 0.0) for owner in order],
    }
    return OwnersTable(pd.DataFrame(columns))
