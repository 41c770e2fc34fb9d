"""Arrays as people have them: NumPy's, lists, tensors of any library, on whatever device.

What is no table of real numbers is refused in one line that says what it is instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError

Floats = NDArray[np.float64]


def tables(gradients: Any) -> dict[str, Floats]:
    """Gradients by id, each as one or two dimensions of float64.

    Raises:
        ParamsError: it is no mapping from texts, or a value is no table of numbers.
    """
    if not isinstance(gradients, Mapping):
        raise ParamsError(
            f"gradients: expected a mapping from id to array, found {type(gradients).__name__}; "
            "give {'name': array, …}"
        )
    for name in gradients:
        if not isinstance(name, str):
            raise ParamsError(
                f"gradients: expected ids that are text, found {name!r} ({type(name).__name__}); "
                "name each dataset with a text"
            )
    return {name: table(name, value) for name, value in gradients.items()}


def table(name: str, value: Any) -> Floats:
    """An array as one or two dimensions of float64.

    Args:
        name: what it is called in a message.
        value: an array, lists of numbers, or whatever has `detach`, as PyTorch's tensors do.

    Raises:
        ParamsError: it has other dimensions, or something else than real numbers.
    """
    try:
        found = np.asarray(_on_cpu(value))
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _refusal(name, _said(value, error)) from None
    if found.dtype.kind not in "fiu" and found.dtype.name not in ("bfloat16", "float8_e4m3fn"):
        raise _refusal(name, _KINDS.get(found.dtype.kind, f"values of type {found.dtype}"))
    if found.ndim not in (1, 2) or found.size == 0:
        raise _refusal(name, f"the shape {found.shape}")
    if np.ma.is_masked(value):
        raise _refusal(name, "masked values")
    return found.astype(np.float64)


_KINDS = {
    "c": "complex numbers",
    "b": "true and false",
    "O": "objects that are no numbers",
    "U": "text",
    "S": "bytes",
    "M": "times",
    "m": "lengths of time",
}


def _refusal(name: str, found: str) -> ParamsError:
    return ParamsError(
        f"{name}: expected gradients (examples × dimensions) or their mean (dimensions) as real "
        f"numbers, found {found}"
    )


def _on_cpu(value: Any) -> Any:
    """A tensor as an array; NumPy knows no bfloat16, and no gradient to keep track of."""
    if isinstance(value, list | tuple):
        return [_on_cpu(item) for item in value]
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    whole = tensor.is_complex() or not tensor.is_floating_point()
    return tensor.numpy() if whole else tensor.double().numpy()


def _said(value: Any, error: Exception) -> str:
    """Why something is no array."""
    if isinstance(value, list | tuple):
        lengths = {np.shape(row)[-1:] for row in value if not isinstance(row, list | tuple)}
        lengths |= {(len(row),) for row in value if isinstance(row, list | tuple)}
        if len(lengths) > 1:
            return "rows of different lengths; give all of them the same"
    return " ".join(str(error).split())[:160]
