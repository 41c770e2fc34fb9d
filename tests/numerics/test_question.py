"""The one record of what is asked: built in one place, in words where it cannot be built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from appraise.errors import ParamsError, SolverError
from appraise.numerics.question import question
from appraise.numerics.rule import LambdaRule

IDS = ["a", "b", "c"]


def test_plain_values_become_arrays() -> None:
    asked = question(
        IDS, owners=["x", "y", "x"], cap=0.5, caps={"b": 0.1, "gone": 9.0}, owner_cap=0.6,
        total=0.7,
    )  # fmt: skip
    assert asked.size == 3
    assert asked.limits is not None
    np.testing.assert_array_equal(asked.limits.cap, [0.5, 0.1, 0.5])
    np.testing.assert_array_equal(asked.limits.owners, [0, 1, 0])
    assert (asked.limits.owner_cap, asked.limits.total) == (0.6, 0.7)


def test_the_paper_is_the_default() -> None:
    asked = question(IDS)
    np.testing.assert_array_equal(asked.penalties, np.ones(3))
    assert (asked.limits, asked.ridge, asked.tolerance) == (None, 0.0, 1e-7)
    assert asked.rule == LambdaRule("absolute", absolute=0.05)


def test_parts_of_a_question() -> None:
    asked = question(IDS, cap=0.5, caps={"b": 0.1}, ridge=0.2)
    some = asked.among(np.array([1, 2]))
    np.testing.assert_array_equal(some.penalties, np.ones(2))
    assert (some.rule, some.ridge) == (asked.rule, 0.2)
    assert some.limits is not None
    np.testing.assert_array_equal(some.limits.cap, [0.1, 0.5])
    assert asked.without_limits().limits is None
    joined = asked.of_groups(2)
    np.testing.assert_array_equal(joined.penalties, np.ones(2))
    assert (joined.rule, joined.ridge, joined.limits) == (asked.rule, 0.2, None)


def test_its_program_is_limited_for_buying_only() -> None:
    asked = question(IDS, ridge=0.3, cap=0.5)
    buying = asked.program(np.eye(3), np.full(3, 0.5), 1.0)
    signed = asked.program(np.eye(3), np.full(3, 0.5), 1.0, nonnegative=False)
    assert buying.limits is asked.limits
    assert signed.limits is None
    assert buying.ridge == signed.ridge == 0.3


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"rule": LambdaRule("number")}, ParamsError, "rule number: expected a number, found none"),
        ({"rule": LambdaRule(absolute=0.0)}, ParamsError, "absolute_lambda: .* found 0"),
        ({"rule": LambdaRule("relative", relative=0)}, ParamsError, "relative_lambda: .* found 0;"),
        ({"owners": ["x"]}, ParamsError, "owners: expected one for each of 3 datasets, found 1"),
        ({"owner_cap": 0.5}, ParamsError, "owners: expected who offers each dataset"),
        ({"ridge": -1.0}, SolverError, "ridge: expected a number ≥ 0, found -1"),
        ({"tolerance": 0.0}, SolverError, "tolerance: expected a number above 0, found 0"),
        ({"cap": 0.0}, SolverError, "cap: expected a number above 0, found 0"),
        ({"cap": float("nan")}, SolverError, "cap: expected a number above 0, found nan"),
        ({"caps": {"b": -1.0}}, SolverError, "cap: expected a number above 0, found -1"),
        ({"cap": 0.1, "total": 1.0}, SolverError, "caps that allow 0.3 for 3 datasets"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as refused:
        question(IDS, **wrong)
    assert "params.yaml" not in str(refused.value), "numerics know no files"
