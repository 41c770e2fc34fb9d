"""A template: text with `{column}` in it, as in `"{passage}\\n{question}"`, that a row fills.

What stands in braces names a column and the forms that it takes (`fields`); `{{` and `}}` are
braces.
"""

from __future__ import annotations

import contextlib
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from appraise.errors import OfferError
from appraise.examples.choices import choices_of
from appraise.examples.columns import column_name
from appraise.examples.example import Prompt
from appraise.examples.fields import FIRST, FORMS, JSON, MESSAGES, TRIMMED, UNLABELLED, Field
from appraise.examples.identity import without_label
from appraise.examples.layouts import conversation, looks_like_messages
from appraise.examples.values import Refusal, described, is_list, text_of_value

_SURROGATE = re.compile("[\ud800-\udfff]")

Role = Literal["prompt", "completion", "rejected", "choices", "group", "messages", "where"]
ANSWERS = ("completion", "rejected")
TEXTS = ("prompt", *ANSWERS)  # kept to the last space; of the others white space says nothing


@dataclass(frozen=True)
class Template:
    """A parsed template.

    Raises:
        OfferError: it is not text with `{column}` names.
    """

    text: str
    role: Role

    def __post_init__(self) -> None:
        if not self.parts:
            raise OfferError(
                f"{self.role} template: expected text with {{column}} names, found none"
            )
        if self.asks_for_messages and (self.alone is None or self.role not in (*TEXTS, MESSAGES)):
            raise OfferError(
                f"{self.role} template {self.text!r}: expected messages alone, as a prompt or an "
                "answer, found them among other text; name one column of theirs instead"
            )

    @classmethod
    def of_column(cls, name: str, role: Role) -> Template:
        """The template that is a column alone; OfferError when the name cannot be one."""
        form = f":{MESSAGES}" if role == MESSAGES else ""
        template = cls(f"{{{name}{form}}}", role)
        if template.columns != (column_name(name),):
            raise OfferError(f"{role}: expected the name of a column, found {name!r}")
        return template

    @cached_property
    def parts(self) -> tuple[tuple[str, Field | None], ...]:
        """Literal text, and the column that follows it, or None."""
        parts = []
        try:
            for literal, name, form, conversion in string.Formatter().parse(self.text):
                field = None if name is None else Field.of(name, form or "")
                if field is not None and (conversion or not field.known):
                    raise ValueError(str(field))
                parts.append((literal, field))
        except ValueError as error:
            forms = ", ".join((*FORMS, "at column", "-text"))
            raise OfferError(
                f"{self.role} template {self.text!r}: expected names of columns in braces, as in "
                f"{{question}}, with forms after a colon ({forms}), found {error}"
            ) from None
        return tuple(parts)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What stands in braces."""
        return tuple(field for _, field in self.parts if field is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names."""
        return tuple(name for field in self.fields for name in field.columns)

    @property
    def alone(self) -> Field | None:
        """The column that is all of the template, if one is."""
        ((literal, field), *others) = self.parts
        return None if literal or others else field

    @property
    def asks_for_messages(self) -> bool:
        """Whether a text in a column is to be read as messages."""
        return any(MESSAGES in field.forms for field in self.fields)

    def given(self, row: Mapping[str, Any]) -> Prompt:
        """What the row gives: a text, or the messages that are the template's only column.

        Raises:
            Refusal: it has something that is neither.
        """
        field = self.alone
        if field is None:
            return self.render(row)
        with _about(field):
            value = field.value(row)
            if MESSAGES in field.forms or (not field.forms and looks_like_messages(value)):
                return conversation(value) or ""
        return self.render(row)

    def choices(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The choices that the row gives: the elements of a list, or as `choices_of` finds them.

        Raises:
            Refusal: as `render`.
        """
        field = self.alone
        value = None if field is None else _looked_at(field, row)
        if field is not None and value is not None and is_list(value):
            listed = tuple(text for text in _texts(field, value) if text.strip())
        else:
            listed = choices_of(self.render(row))
        unlabelled = any(UNLABELLED in each.forms for each in self.fields)
        return tuple(map(without_label, listed)) if unlabelled else listed

    def render(self, row: Mapping[str, Any]) -> str:
        """The row as text. A column that this row lacks is empty.

        A list gives a line for each of its elements, but in an answer it is refused. White space
        of columns stays, that of the template is left out at either end.

        Raises:
            Refusal: a column has something that is no text.
        """
        filled = [
            (literal, "" if field is None else self._text(field, row))
            for literal, field in self.parts
        ]
        rendered = _joined(filled)
        return _SURROGATE.sub("\ufffd", rendered if self.role in TEXTS else rendered.strip())

    def _text(self, field: Field, row: Mapping[str, Any]) -> str:
        value = _looked_at(field, row)
        if is_list(value) and self.role in ANSWERS:
            which = "" if field.forms else f"; say which, as in {Field(field.name, (FIRST,))}"
            raise Refusal(f"{field}: expected one text, found {described(value)}{which}")
        text = "\n".join(_texts(field, value if is_list(value) else [value]))
        if field.without and text.lstrip().startswith(field.without):
            text = text.lstrip().removeprefix(field.without).lstrip()
        if UNLABELLED in field.forms and self.role != "choices":
            text = without_label(text.strip())
        return text.strip() if TRIMMED in field.forms or self.role not in TEXTS else text


def _looked_at(field: Field, row: Mapping[str, Any]) -> Any:
    with _about(field):
        return field.value(row)


def _texts(field: Field, values: Sequence[Any]) -> list[str]:
    """The values as text, those that there are."""
    with _about(field):
        for value in values:
            if isinstance(value, Mapping) or is_list(value):
                raise Refusal(_too_much(field, value, values))
        return [text_of_value(value) for value in values if value is not None]


def _too_much(field: Field, value: Any, values: Sequence[Any]) -> str:
    """Why an object or a list within a list is no text, and what to name instead."""
    found = f"expected a text, found {described(value)}"
    if looks_like_messages(list(values)) and not field.forms:
        return f"{found}; messages are a prompt or an answer by themselves: leave out other text"
    if isinstance(value, Mapping) and value:
        inner, whole = Field(f"{field.name}.{next(iter(value))}"), Field(field.name, (JSON,))
        return f"{found}; name what is in it, as in {inner}, or take all of it as {whole}"
    return found


@contextlib.contextmanager
def _about(field: Field) -> Iterator[None]:
    """Refusals that say which column they are about."""
    try:
        yield
    except Refusal as error:
        raise Refusal(f"{field}: {error}") from None


def _joined(filled: Sequence[tuple[str, str]]) -> str:
    """Literals with the values that follow them, without white space of literals at either end."""
    given = [place for place, (_, value) in enumerate(filled) if value]
    if not given:
        return "".join(literal for literal, _ in filled).strip()
    first, last = given[0], given[-1]
    head = "".join(literal for literal, _ in filled[: first + 1]).lstrip()
    body = "".join(literal + value for literal, value in filled[first + 1 : last + 1])
    tail = "".join(literal for literal, _ in filled[last + 1 :]).rstrip()
    return head + filled[first][1] + body + tail
