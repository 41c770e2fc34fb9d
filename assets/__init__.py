"""What exists: how each asset appears and what is checked of it. No algorithms."""

from __future__ import annotations

from assets import adapters, datasets, kernel, outcome, selection, sketches, weights

SHOWN = {
    shown.noun: shown
    for concept in (datasets, sketches, kernel, weights, selection, adapters, outcome)
    for shown in concept.SHOWN
}
