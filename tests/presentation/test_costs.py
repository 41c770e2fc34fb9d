"""What looking at a dataset cost."""

from __future__ import annotations

from dataclasses import replace

import factory  # type: ignore[import-not-found]
import numpy as np
import pytest

from appraise.presentation.costs import Cost, total

SKETCH = factory.sketch(np.ones((3, 4), np.float32))


def test_costs_come_from_the_sketch_alone() -> None:
    meta = replace(SKETCH.meta, dropped_not_finite=("x",), too_long=("y", "z"))
    cost = Cost.of("a", replace(SKETCH, meta=meta), stored=1000)
    assert (cost.examples, cost.left_out, cost.tokens, cost.truncated) == (3, 3, 3 * 44, 0)
    assert (cost.stored, cost.distortion) == (1000, 0.02)
    assert cost.seconds is cost.tokens_per_second is None


def test_speed_is_known_where_seconds_are() -> None:
    assert Cost.of("a", SKETCH, 1000, seconds=2.0).tokens_per_second == pytest.approx(66)
    assert Cost.of("a", SKETCH, 1000, seconds=2.0).as_json()["tokens_per_second"] == 66


def test_a_total_knows_seconds_only_where_all_do() -> None:
    timed, untimed = Cost.of("a", SKETCH, 1000, 2.0), Cost.of("b", SKETCH, 500)
    assert total([timed, timed]).seconds == 4
    both = total([timed, untimed])
    assert (both.key, both.examples, both.stored, both.seconds) == ("all", 6, 1500, None)
    assert both.distortion is None
