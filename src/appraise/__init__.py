"""appraise: which datasets to buy for a target task, what each is worth, and why.

Datasets and a model go in, a decision comes out, without a project:

    valuation = appraise.value_datasets({"a": rows_a, "b": rows_b}, rows_like_the_task, model="…")
    print(valuation)
    valuation.to_frame(), valuation.reasons, valuation.decision

The same valuation on gradients of one's own:

    valuation = appraise.value({"a": rows_a, "b": rows_b}, target_rows, k=1)
    valuation.selected, valuation.weights, valuation.certificate.gap
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appraise.api.datasets import DatasetValuation as DatasetValuation
    from appraise.api.datasets import value_datasets as value_datasets
    from appraise.numerics.valuation import Valuation as Valuation
    from appraise.numerics.valuation import value as value

_FROM = {
    "DatasetValuation": "appraise.api.datasets",
    "Valuation": "appraise.numerics.valuation",
    "value": "appraise.api.gradients",
    "value_datasets": "appraise.api.datasets",
}
__all__ = ["DatasetValuation", "Valuation", "value", "value_datasets"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and no sooner: `import appraise` stays cheap."""
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(f"module 'appraise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
