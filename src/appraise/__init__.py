"""appraise: which datasets to buy for a target task, what each is worth, and why.

The same valuation on arrays of one's own, without a project:

    valuation = appraise.value({"a": rows_a, "b": rows_b}, target_rows, k=1)
    valuation.selected, valuation.weights, valuation.certificate.gap
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appraise.numerics.valuation import Valuation as Valuation
    from appraise.numerics.valuation import value as value

__all__ = ["Valuation", "value"]


def __getattr__(name: str) -> Any:
    """Import the numerics when they are first asked for: `import appraise` stays cheap."""
    if name in __all__:
        from appraise.numerics import valuation

        return getattr(valuation, name)
    raise AttributeError(f"module 'appraise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
