"""Gradients in, weights out: the valuation of `numerics` on arrays of any kind."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from appraise.api.arrays import table, tables
from appraise.numerics import valuation


@functools.wraps(valuation.value)
def value(gradients: Mapping[str, Any], target: Any, **options: Any) -> valuation.Valuation:
    """As `numerics.valuation.value`, whose signature this shows."""
    return valuation.value(tables(gradients), table("the target", target), **options)
