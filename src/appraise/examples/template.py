"""A template: text with `{column}` in it, as in `"{passage}\\n{question}"`, that a row fills.

In braces stands the name of a column, also of one within an object (`columns`), and after it the
forms in which it is asked for, as in `{column:first:trimmed}`:

| form | gives |
| --- | --- |
| `{column:-text}` | the column without `text` at its start, and without white space around that |
| `{column:unlabelled}` | an answer without its label, as in `B. bank` |
| `{column:first}` | the first element of a list, or of a text that is one |
| `{column:elements}` | the elements of a list, or of a text that is one |
| `{column:trimmed}` | the column without white space around it |
| `{column:messages}` | the messages that a text holds |

`{{` and `}}` are braces.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from appraise.errors import OfferError
from appraise.examples.choices import choices_of
from appraise.examples.columns import column_name, value_at
from appraise.examples.example import Prompt
from appraise.examples.identity import without_label
from appraise.examples.layouts import conversation, looks_like_messages
from appraise.examples.values import Refusal, described, is_list, list_of, text_of_value

UNLABELLED, FIRST, ELEMENTS, TRIMMED, MESSAGES = FORMS = (
    "unlabelled", "first", "elements", "trimmed", "messages",
)  # fmt: skip
_SURROGATE = re.compile("[\ud800-\udfff]")

Role = Literal["prompt", "completion", "rejected", "choices", "group", "messages", "where"]
ANSWERS = ("completion", "rejected")
TEXTS = ("prompt", *ANSWERS)  # kept to the last space; of the others white space says nothing


@dataclass(frozen=True)
class Field:
    """A column in a template, and the forms in which it is asked for.

    Attributes:
        without: the text that is left out at its start; "" for none.
    """

    name: str
    forms: tuple[str, ...] = ()
    without: str = ""

    @classmethod
    def of(cls, name: str, forms: str) -> Field:
        """What stands in braces before and after the first colon."""
        named, cut, without = f":{forms}".partition(":-")
        return cls(
            column_name(name), tuple(named.split(":")[1:]) if forms else (), without if cut else ""
        )

    @property
    def known(self) -> bool:
        """Whether there is a name, and such forms."""
        return bool(self.name.strip()) and set(self.forms) <= set(FORMS)

    def __str__(self) -> str:
        without = (f"-{self.without}",) if self.without else ()
        return f"{{{':'.join((self.name, *self.forms, *without))}}}"


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
            raise OfferError(
                f"{self.role} template {self.text!r}: expected names of columns in braces, as in "
                f"{{question}}, with forms after a colon ({', '.join(FORMS)}, -text), found {error}"
            ) from None
        return tuple(parts)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What stands in braces."""
        return tuple(field for _, field in self.parts if field is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names."""
        return tuple(field.name for field in self.fields)

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
        value = None if field is None else value_at(row, field.name)
        if field is None or not (
            MESSAGES in field.forms or (not field.forms and looks_like_messages(value))
        ):
            return self.render(row)
        try:
            return conversation(value) or ""
        except Refusal as error:
            raise Refusal(f"{field}: {error}") from None

    def choices(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The choices that the row gives: the elements of a list, or as `choices_of` finds them.

        Raises:
            Refusal: as `render`.
        """
        field = self.alone
        value: Any = None if field is None else self._value(field, row)
        if field is not None and is_list(value):
            listed = tuple(text for text in self._texts(field, value) if text.strip())
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

    def _value(self, field: Field, row: Mapping[str, Any]) -> Any:
        value = value_at(row, field.name)
        if FIRST in field.forms:
            return next(iter(list_of(value)), None)
        return list_of(value) if ELEMENTS in field.forms else value

    def _text(self, field: Field, row: Mapping[str, Any]) -> str:
        value = self._value(field, row)
        if not is_list(value):
            text = "".join(self._texts(field, [value]))
        elif self.role in ANSWERS:
            raise Refusal(
                f"{field}: expected one text, found {described(value)}; say which, as in "
                f"{Field(field.name, (FIRST,))}"
            )
        else:
            text = "\n".join(self._texts(field, value))
        if field.without and text.lstrip().startswith(field.without):
            text = text.lstrip().removeprefix(field.without).lstrip()
        if UNLABELLED in field.forms and self.role != "choices":
            text = without_label(text.strip())
        return text.strip() if TRIMMED in field.forms or self.role not in TEXTS else text

    def _texts(self, field: Field, values: Sequence[Any]) -> list[str]:
        """The values as text, those that there are."""
        for value in values:
            if isinstance(value, Mapping) or is_list(value):
                raise Refusal(f"{field}: {_too_much(field, value, values)}")
        try:
            return [text_of_value(value) for value in values if value is not None]
        except Refusal as error:
            raise Refusal(f"{field}: {error}") from None


def _too_much(field: Field, value: Any, values: Sequence[Any]) -> str:
    """Why an object or a list within a list is no text, and what to name instead."""
    found = f"expected a text, found {described(value)}"
    if looks_like_messages(list(values)) and not field.forms:
        return f"{found}; messages are a prompt or an answer by themselves: leave out other text"
    if isinstance(value, Mapping) and value:
        return f"{found}; name what is in it, as in {Field(f'{field.name}.{next(iter(value))}')}"
    return found


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
