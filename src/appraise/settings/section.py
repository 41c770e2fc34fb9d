"""What all sections have in common: unknown names are refused, values never change."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A section of `params.yaml`, or a part of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def describe(error: ValidationError, most: int | None = None) -> str:
    """One line for what pydantic found, the first `most`: place, what was expected, what it is."""
    found = []
    for item in error.errors()[:most]:
        place = ".".join(str(part) for part in item["loc"]) or "the whole"
        value = repr(item["input"])
        shown = "" if isinstance(item["input"], dict) else f", found {value[:60]}"
        said = item["msg"].removeprefix("Value error, ")
        found.append(f"{place}: {said}{shown}")
    return "; ".join(found)
