"""Row templates: a row's columns become a prompt, a completion and, for a target, its choices.

A template is text with `{column}` in it, as in `"{passage}\\n{question}\\n{options}"`. It can name
columns and nothing else: no attributes, indexes, conversions or formats. `{column:-text}` leaves
out `text` where the column starts with it; `{column:unlabelled}` leaves out an answer's label, as
in `B. bank`. `{{` and `}}` are braces.
"""

from __future__ import annotations

import ast
import json
import math
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from appraise.errors import OfferError
from appraise.examples.overlap import example_id, normalise
from appraise.params import Source

_SURROGATE = re.compile("[\ud800-\udfff]")
_LABEL = re.compile(r"([A-Z])[.:)]\s")
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Example:
    """A row as a prompt and its completion.

    Attributes:
        row: line or row number in the source, from 1.
        size: bytes of the row in the source.
        prompt: text the model is given; None when the row could not be read.
        completion: text the model should write; None when the row could not be read.
        choices: the answers to choose from, if the source has any.
        answer: index of the completion in `choices`; None without choices or without a match.
        group: what no two splits may share; None: the prompt itself.
        unreadable: why the row could not be read, or None.
    """

    row: int
    size: int
    prompt: str | None
    completion: str | None
    choices: tuple[str, ...] | None = None
    answer: int | None = None
    group: str | None = None
    unreadable: str | None = None

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of normalised prompt and completion."""
        return example_id(self.prompt or "", self.completion or "")


@dataclass(frozen=True)
class Template:
    """A parsed template.

    Raises:
        OfferError: it is not text with plain `{column}` names.
    """

    text: str
    role: Literal["prompt", "completion", "choices", "group"]

    def __post_init__(self) -> None:
        if not self.parts:
            raise OfferError(
                f"{self.role} template: expected text with {{column}} names, found none"
            )

    @cached_property
    def parts(self) -> tuple[tuple[str, str | None, str], ...]:
        """Literal text, the column that follows it (or None), and its form."""
        parts = []
        try:
            for literal, name, form, conversion in string.Formatter().parse(self.text):
                known = not form or form == UNLABELLED or form.startswith("-")
                if name is not None and (not _plain(name) or conversion or not known):
                    raise ValueError(f"{{{name}}}")
                parts.append((literal, name, form or ""))
        except ValueError as error:
            raise OfferError(
                f"{self.role} template {self.text!r}: expected plain column names in braces, as in "
                f"{{question}}, found {error}"
            ) from None
        return tuple(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names."""
        return tuple(name for _, name, _ in self.parts if name is not None)

    @property
    def unlabelled(self) -> bool:
        """Whether labels of answers are left out."""
        return any(form == UNLABELLED for _, _, form in self.parts)

    def render(self, row: Mapping[str, Any]) -> str:
        """The row as text. A column that this row lacks is empty.

        A list gives its first element in a completion (several right answers) and a line for
        each element elsewhere (options).
        """
        rendered = ""
        for literal, name, form in self.parts:
            rendered += literal
            if name is not None:
                value = self._value(row.get(name))
                if form.startswith("-"):
                    value = value.removeprefix(form[1:])
                elif form == UNLABELLED and self.role != "choices":
                    value = without_label(value)
                rendered += value.strip()
        return _SURROGATE.sub("\ufffd", rendered).strip()

    def _value(self, value: Any) -> str:
        if isinstance(value, str):
            listed = _listed(value) if self.role == "completion" else None
            return value.strip() if listed is None else self._value(listed)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, Mapping):
            return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        if isinstance(value, Iterable):
            items = [self._value(item) for item in value]
            return (items[0] if items else "") if self.role == "completion" else "\n".join(items)
        return str(value)


def _plain(name: str) -> bool:
    """Whether a field is a column's name: no attribute or index access, not positional."""
    return bool(name.strip()) and not re.search(r"[.\[\]]", name) and not name.isdigit()


def _listed(text: str) -> list[Any] | None:
    """The list that a text is the Python or JSON form of, as in `"['Cannot answer']"`, or None."""
    text = text.strip()
    if not re.fullmatch(r"\[\s*['\"].*['\"]\s*\]", text, re.DOTALL) or len(text) > 100_000:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def choices_of(text: str) -> tuple[str, ...]:
    """The choices in a rendered text: its lines, or what follows `A.`, `B.`, … when so labelled.

    A labelled choice may have several lines: only the next label in the alphabet starts the next.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    label = _LABEL.match(lines[0]) if lines else None
    if label is None or label[1] != "A":
        return tuple(lines)
    choices: list[str] = []
    for line in lines:
        label = _LABEL.match(line)
        if label is not None and label[1] == chr(ord("A") + len(choices)):
            choices.append(line)
        else:
            choices[-1] += f"\n{line}"
    return tuple(choices)


def without_label(text: str) -> str:
    """An answer without the label it starts with: `B. bank` is `bank`."""
    label = _LABEL.match(text)
    return text[label.end() :].strip() if label else text


def answer_of(completion: str, choices: tuple[str, ...]) -> int | None:
    """Index of the choice that the completion is: exactly, or as the only one when normalised."""
    if completion in choices:
        return choices.index(completion)
    plain = normalise(completion)
    alike = [index for index, choice in enumerate(choices) if normalise(choice) == plain]
    return alike[0] if len(alike) == 1 else None


@dataclass(frozen=True)
class RowTemplates:
    """The templates of one source.

    Raises:
        OfferError: one of them is not a template.
    """

    prompt: Template
    completion: Template
    choices: Template | None = None
    group: Template | None = None

    @classmethod
    def of(cls, source: Source, group: str | None = None) -> RowTemplates:
        """The templates of an offer or of a target's component."""
        return cls(
            prompt=Template(source.prompt, "prompt"),
            completion=Template(source.completion, "completion"),
            choices=None if source.choices is None else Template(source.choices, "choices"),
            group=None if group is None else Template(group, "group"),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are named, each once."""
        templates = (self.prompt, self.completion, self.choices, self.group)
        names = [name for template in templates if template for name in template.columns]
        return tuple(dict.fromkeys(names))

    def check(self, columns: Iterable[str]) -> None:
        """Check that each template's columns exist in the source.

        Raises:
            OfferError: a column that no row has; the message lists those that exist.
        """
        found = sorted(columns)
        for template in (self.prompt, self.completion, self.choices, self.group):
            for name in template.columns if template else ():
                if name not in found:
                    raise OfferError(
                        f"{template.role if template else ''} template: expected a column {name}, "
                        f"found {', '.join(found)}; name one of these in the template"
                    )

    def example(self, number: int, size: int, row: Mapping[str, Any]) -> Example:
        """One row as an example."""
        completion = self.completion.render(row)
        choices = choices_of(self.choices.render(row)) if self.choices else None
        if choices is not None and self.choices is not None and self.choices.unlabelled:
            choices = tuple(without_label(choice) for choice in choices)  # labels part them first
        return Example(
            row=number,
            size=size,
            prompt=self.prompt.render(row),
            completion=completion,
            choices=choices,
            answer=None if choices is None else answer_of(completion, choices),
            group=self.group.render(row) if self.group else None,
        )
