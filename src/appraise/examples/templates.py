"""Row templates: a row's columns become a prompt, a completion, its choices, a worse answer.

A template is text with `{column}` in it, as in `"{passage}\\n{question}\\n{options}"`. It can name
columns and nothing else: no attributes, indexes, conversions or formats. `{column:-text}` leaves
out `text` where the column starts with it; `{column:unlabelled}` leaves out an answer's label, as
in `B. bank`. `{{` and `}}` are braces.

A column with a conversation can stand for prompt and completion: the assistant's last message is
the completion, and what goes before it the prompt (`conversations`).
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
from appraise.examples.choices import answer_of, choices_of, wrong_choice
from appraise.examples.conversations import conversation, last_answer
from appraise.examples.example import Example, Origin, Prompt
from appraise.examples.identity import example_id, without_label
from appraise.settings.data import Source

_SURROGATE = re.compile("[\ud800-\udfff]")
UNLABELLED = "unlabelled"
SEARCHED = 10_000  # characters of a column in which a `where` is looked for

Role = Literal["prompt", "completion", "rejected", "choices", "group", "messages", "where"]
_ANSWERS = ("completion", "rejected")


@dataclass(frozen=True)
class Template:
    """A parsed template.

    Raises:
        OfferError: it is not text with plain `{column}` names.
    """

    text: str
    role: Role

    def __post_init__(self) -> None:
        if not self.parts:
            raise OfferError(
                f"{self.role} template: expected text with {{column}} names, found none"
            )

    @classmethod
    def of_column(cls, name: str, role: Role) -> Template:
        """The template that is a column as text; OfferError when the name cannot be one."""
        template = cls(f"{{{name}}}", role)
        if template.columns != (name,):
            raise OfferError(f"{role}: expected the name of a column, found {name!r}")
        return template

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

        A list gives its first element in an answer (several right ones) and a line for each
        element elsewhere (options). A conversation gives its last answer in an answer.
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
        messages = conversation(value) if self.role in _ANSWERS else None
        if messages is not None:
            return last_answer(messages)[1]
        if isinstance(value, str):
            listed = _listed(value) if self.role in _ANSWERS else None
            return value.strip() if listed is None else self._value(listed)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, Mapping):
            return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        if isinstance(value, Iterable):
            items = [self._value(item) for item in value]
            return (items[0] if items else "") if self.role in _ANSWERS else "\n".join(items)
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


@dataclass(frozen=True)
class RowTemplates:
    """The templates of one source.

    Attributes:
        rejected: the worse answer; without it a wrong one of the `choices` is drawn by `seed`.
        messages: the column with a conversation, in place of prompt and completion.
        where: columns, and what must be found in each of them for a row to be read.

    Raises:
        OfferError: one of them is not a template.
    """

    prompt: Template
    completion: Template
    choices: Template | None = None
    group: Template | None = None
    rejected: Template | None = None
    messages: Template | None = None
    where: tuple[tuple[Template, re.Pattern[str]], ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, source: Source, group: str | None = None, seed: int = 0) -> RowTemplates:
        """The templates of an offer or of a target's component.

        Raises:
            OfferError: one of them is not a template, an expression does not compile, or there are
                both messages and a prompt or a completion.
        """
        _check_messages(source)
        return cls(
            prompt=Template(source.prompt, "prompt"),
            completion=Template(source.completion, "completion"),
            choices=_optional(source.choices, "choices"),
            group=_optional(group, "group"),
            rejected=_optional(source.rejected, "rejected"),
            messages=(
                None if source.messages is None else Template.of_column(source.messages, "messages")
            ),
            where=tuple(
                (Template.of_column(name, "where"), _compiled(name, expression))
                for name, expression in source.where.items()
            ),
            seed=seed,
        )

    @property
    def used(self) -> tuple[Template, ...]:
        """Those that a row goes through."""
        asked = (self.messages,) if self.messages else (self.prompt, self.completion)
        columns = tuple(template for template, _ in self.where)
        templates = (*asked, self.rejected, self.choices, self.group, *columns)
        return tuple(template for template in templates if template)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are named, each once."""
        return tuple(dict.fromkeys(name for template in self.used for name in template.columns))

    @property
    def gives_pairs(self) -> bool:
        """Whether a row has a worse answer too."""
        return self.rejected is not None or self.choices is not None

    def check(self, columns: Iterable[str]) -> None:
        """Check that each template's columns exist in the source.

        Raises:
            OfferError: a column that no row has; the message lists those that exist.
        """
        existing = sorted(columns)
        for template in self.used:
            for name in template.columns:
                if name not in existing:
                    raise OfferError(
                        f"{template.role} template: expected a column {name}, "
                        f"found {', '.join(existing)}; name one of these in the template"
                    )

    def keeps(self, row: Mapping[str, Any]) -> bool:
        """Whether every expression of `where` is found in the first 10,000 characters."""
        return all(
            pattern.search(template.render(row)[:SEARCHED]) for template, pattern in self.where
        )

    def example(self, number: int, size: int, row: Mapping[str, Any]) -> Example:
        """One row as an example.

        Args:
            number: line or row number in the source, from 1.
            size: bytes of the row in the source.
            row: column → value.
        """
        prompt, completion = self._asked(row)
        choices = choices_of(self.choices.render(row)) if self.choices else None
        if choices is not None and self.choices is not None and self.choices.unlabelled:
            choices = tuple(without_label(choice) for choice in choices)  # they are split at them
        identity = example_id(prompt, completion, choices)
        if self.rejected is not None:
            rejected: str | None = self.rejected.render(row)
        else:
            rejected = wrong_choice(identity, completion, choices or (), self.seed)
        return Example(
            id=identity,
            prompt=prompt,
            completion=completion,
            rejected=rejected,
            choices=choices,
            answer=None if choices is None else answer_of(completion, choices),
            source=Origin(number, size, self.group.render(row) if self.group else None),
        )

    def _asked(self, row: Mapping[str, Any]) -> tuple[Prompt, str]:
        """Prompt and completion; a conversation without an answer has no text."""
        if self.messages is None:
            return self.prompt.render(row), self.completion.render(row)
        messages = conversation(row.get(self.messages.columns[0]))
        return ("", "") if messages is None else last_answer(messages)


def _optional(text: str | None, role: Role) -> Template | None:
    return None if text is None else Template(text, role)


def _check_messages(source: Source) -> None:
    for name in ("prompt", "completion"):
        given = getattr(source, name) != Source.model_fields[name].default
        if source.messages is not None and given:
            raise OfferError(
                f"messages: expected a conversation in place of prompt and completion, found "
                f"`{name}` too; leave one of them out"
            )


def _compiled(column: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise OfferError(
            f"where: {column}: expected a regular expression, found {expression[:60]!r}: {error}"
        ) from None
