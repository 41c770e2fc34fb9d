"""What stands in the braces of a template: the name of a column, and the forms that it takes.

| form | gives |
| --- | --- |
| `{column:first}` | the first element of a list, or of a text that is one |
| `{column:elements}` | the elements of such a list, or the values of an object |
| `{column:at other}` | the element that another column names: by its place from 0, a letter from A, or what it is called in an object |
| `{column:at other of labels}` | the element at the place where the list `labels` has the value of the other column |
| `{column:json}` | an object or a list as JSON |
| `{column:messages}` | the messages that a text holds |
| `{column:unlabelled}` | an answer without its label, as in `B. bank` |
| `{column:trimmed}` | the column without white space around it |
| `{column:-text}` | the column without `text` at its start, and without white space around that |

Forms follow one another, as in `{column:first:trimmed}`; `-text` comes last.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appraise.examples.columns import column_name, value_at
from appraise.examples.values import Refusal, described, is_list, json_of, list_of, text_of_value

FORMS = FIRST, ELEMENTS, JSON, MESSAGES, UNLABELLED, TRIMMED = (
    "first", "elements", "json", "messages", "unlabelled", "trimmed",
)  # fmt: skip
_AT = re.compile(r"at (?P<other>.+?)(?: of (?P<labels>.+))?")


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
        asked = tuple(named.split(":")[1:]) if forms else ()
        return cls(column_name(name), asked, without if cut else "")

    @property
    def known(self) -> bool:
        """Whether there is a name, and such forms."""
        return bool(self.name.strip()) and all(
            form in FORMS or _AT.fullmatch(form) for form in self.forms
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names, its own first."""
        found = [match for form in self.forms if (match := _AT.fullmatch(form))]
        return (self.name, *(name for match in found for name in match.groups() if name))

    def __str__(self) -> str:
        without = (f"-{self.without}",) if self.without else ()
        return f"{{{':'.join((self.name, *self.forms, *without))}}}"

    def value(self, row: Mapping[str, Any]) -> Any:
        """What the row has there, in the forms that look into a value.

        Raises:
            Refusal: it cannot take them.
        """
        value = value_at(row, self.name)
        for form in self.forms:
            at = _AT.fullmatch(form)
            if at is not None:
                value = _element(value, row, at["other"], at["labels"])
            elif form == FIRST:
                value = next(iter(list_of(value)), None)
            elif form == ELEMENTS:
                value = list(value.values()) if isinstance(value, Mapping) else list_of(value)
            elif form == JSON:
                value = None if value is None else json_of(value)
        return value


def _element(value: Any, row: Mapping[str, Any], other: str, labels: str | None) -> Any:
    """The element of a list or an object that another column names."""
    wanted = text_of_value(value_at(row, other)).strip()
    elements = list(value.values()) if isinstance(value, Mapping) else value
    size = len(elements) if is_list(elements) else 0
    if labels is not None:
        names = [text_of_value(label).strip() for label in list_of(value_at(row, labels))]
    elif isinstance(value, Mapping):
        names = list(value)
    elif re.fullmatch("[A-Za-z]", wanted):
        names = [chr(ord("A" if wanted.isupper() else "a") + place) for place in range(size)]
    else:
        names = [str(place) for place in range(size)]
    if len(names) != size or names.count(wanted) != 1:
        raise Refusal(f"expected one element for {other} {wanted!r}, found {described(value)}")
    return elements[names.index(wanted)]
