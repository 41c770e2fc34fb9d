"""Arrays as people have them: taken as they are, or refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from appraise.api.arrays import table, tables
from appraise.errors import ParamsError

ONES = np.ones((2, 3))
TAKEN: dict[str, Any] = {
    "an array": ONES.astype(np.float32),
    "whole numbers": ONES.astype(int),
    "lists": ONES.tolist(),
    "a tensor in bfloat16": torch.ones(2, 3, dtype=torch.bfloat16),
    "a tensor in float16": torch.ones(2, 3, dtype=torch.float16),
    "a tensor that requires its gradient": torch.ones(2, 3, requires_grad=True),
    "a tensor of whole numbers": torch.ones(2, 3, dtype=torch.int64),
    "a list of tensors": [torch.ones(3, requires_grad=True), torch.ones(3, dtype=torch.bfloat16)],
}
REFUSED: dict[str, tuple[Any, str]] = {
    "ragged lists": ([[1.0, 2.0], [3.0]], "rows of different lengths"),
    "ragged tensors": ([torch.ones(2), torch.ones(3)], "rows of different lengths"),
    "numbers beside lists": ([1.0, [2.0]], "rows of different lengths"),
    "complex numbers": (np.ones(3, complex), "complex numbers"),
    "complex tensors": (torch.ones(3, dtype=torch.complex64), "complex numbers"),
    "text": (["a", "b"], "text"),
    "a word": ("abc", "text"),
    "bytes": (b"abc", "bytes"),
    "nothing among numbers": ([1.0, None], "objects that are no numbers"),
    "objects": (np.array([object()]), "objects that are no numbers"),
    "true and false": (np.array([True]), "true and false"),
    "times": (np.array(["2026-01-01"], "M8[D]"), "times"),
    "three dimensions": (np.ones((2, 2, 2)), r"the shape \(2, 2, 2\)"),
    "three dimensions of a tensor": (torch.ones(1, 2, 2), r"the shape \(1, 2, 2\)"),
    "nothing": ([], r"the shape \(0,\)"),
    "a number": (3.0, r"the shape \(\)"),
    "no rows": (np.ones((0, 4)), r"the shape \(0, 4\)"),
    "masked values": (np.ma.array([1.0, 2.0], mask=[0, 1]), "masked values"),
    "a mapping": ({"a": 1.0}, "objects that are no numbers"),
    "a sparse tensor": (torch.ones(3).to_sparse(), "Sparse"),
    "a tensor without data": (torch.ones(3, device="meta"), "meta tensor"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken(what: str) -> None:
    found = table("a", TAKEN[what])
    assert found.dtype == np.float64
    assert (found == ONES).all()


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_in_one_line(what: str) -> None:
    value, found = REFUSED[what]
    with pytest.raises(ParamsError, match=f"^a: expected gradients .* found .*{found}") as caught:
        table("a", value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_no_warning_stands_for_a_refusal() -> None:
    with pytest.raises(ParamsError):
        table("a", [1 + 2j])


@pytest.mark.parametrize(
    ("gradients", "found"),
    [
        ([[1.0]], "found list; give {'name': array, …}"),
        ({1: [1.0], "a": [1.0]}, r"found 1 \(int\)"),
        ({"a": [1.0], b"b": [1.0]}, r"found b'b' \(bytes\)"),
        (None, "found NoneType"),
    ],
)
def test_ids_are_texts(gradients: Any, found: str) -> None:
    with pytest.raises(ParamsError, match=found):
        tables(gradients)
