"""Why a dataset does not go on from a step."""

from __future__ import annotations

from typing import ClassVar

from appraise.records.record import JsonRecord


class WhySetAside(JsonRecord):
    """The content of `set_aside.json`, in place of what the step would have made."""

    FILE: ClassVar[str] = "set_aside.json"
    STEP: ClassVar[str] = "auxiliary_datasets"

    reason: str
