"""Every asset, as Dagster is to show it."""

from __future__ import annotations

from appraise.assets import (
    adapters,
    datasets,
    kernel,
    outcome,
    selection,
    sketches,
    weights,
)

SHOWN = {
    shown.noun: shown
    for concept in (datasets, sketches, kernel, weights, selection, adapters, outcome)
    for shown in concept.SHOWN
}
