"""What all sections have in common: unknown names are refused, values never change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_HEX = re.compile(r"[0-9a-f]{64}")


def _sha256(text: str) -> str:
    """A SHA-256 in lower case, however it was written."""
    lower = text.strip().lower()
    if not _HEX.fullmatch(lower):
        count = "" if len(lower) == 64 else f", not {len(lower)} characters"
        raise ValueError(f"expected a SHA-256: 64 hexadecimal digits{count}")
    return lower


Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, AfterValidator(_sha256)]

_UNKNOWN = "unknown_name"


class Section(BaseModel):
    """A section of `params.yaml`, or a part of one.

    Attributes:
        GONE: names that there were once → what to do instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    GONE: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _names_are_known(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Say of an unknown name which ones there are, and which may have been meant."""
        try:
            return handler(value)
        except ValidationError as error:
            said = [_with_names(item, cls.model_fields, cls.GONE) for item in error.errors()]
            raise ValidationError.from_exception_data(cls.__name__, said) from None

    @field_validator("*", mode="before")
    @classmethod
    def _a_truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """To pydantic, as to Python, true is 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted is not bool:
            raise ValueError("expected a number, or text in quotes")
        return value


def _with_names(
    item: ErrorDetails, names: Iterable[str], gone: Mapping[str, str]
) -> InitErrorDetails:
    """What pydantic found; of an unknown name in this very section, what it may be, or was."""
    kind, said = item["type"], item["msg"]
    if kind == "extra_forbidden" and len(item["loc"]) == 1:
        name = item["loc"][0]
        kind, said = _UNKNOWN, gone.get(str(name)) or expected_one_of(names, name)
    return InitErrorDetails(
        type=PydanticCustomError(kind, "{said}", {"said": said}),
        loc=item["loc"],
        input=item["input"],
    )


def expected_one_of(known: Iterable[str], given: object) -> str:
    """That a name is none of those that there are, and which of them is nearest to it."""
    names = list(known)
    near = get_close_matches(str(given), names, n=1, cutoff=0.5)
    found = "none" if given is None else repr(given)
    said = f"expected one of {', '.join(names) or 'none'}, found {found}"
    return f"{said}; did you mean {near[0]}?" if near else said


def described(error: ValidationError) -> list[str]:
    """What pydantic found, a line for each thing: the place, what was expected, what there is."""
    found = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"]) or "the whole"
        said = item["msg"].removeprefix("Value error, ")
        whole = isinstance(item["input"], dict | BaseModel) or ", found " in said
        shown = "" if whole else f", found {item['input']!r:.60}"
        if item["type"] == "string_type" and isinstance(item["input"], int | float):
            shown += "; text that looks like a number stands in quotes"
        found.append(f"{place}: {said}{shown}")
    return found


def describe(error: ValidationError, most: int | None = None) -> str:
    """The same on one line, the first `most`."""
    return "; ".join(described(error)[:most])
