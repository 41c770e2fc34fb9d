"""The templates of a source: a row becomes a prompt, a completion, choices, a worse answer.

Messages can stand for prompt and completion: the assistant's last one is the completion, and what
goes before it the prompt. A worse answer must answer the same prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appraise.errors import OfferError
from appraise.examples.choices import answer_of, wrong_choice
from appraise.examples.columns import value_at
from appraise.examples.conversations import answered, same_turns
from appraise.examples.example import Conversation, Example, Origin, Prompt
from appraise.examples.fields import MESSAGES, Field
from appraise.examples.identity import example_id
from appraise.examples.layouts import holds_messages
from appraise.examples.template import Role, Template
from appraise.examples.values import Refusal
from appraise.settings.data import Source

SEARCHED = 10_000  # characters of a column in which a `where` is looked for
LISTED = 40  # columns in a message


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

    def found(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The columns within objects that are named and that this row has."""
        within = (name for name in self.columns if "." in name)
        return (name for name in within if value_at(row, name) is not None)

    def check(self, columns: Iterable[str]) -> None:
        """Check that each template's columns exist in the source.

        Raises:
            OfferError: a column that no row has; the message lists those that exist.
        """
        existing = sorted(columns)
        for template in self.used:
            for name in template.columns:
                if name not in existing:
                    shown = ", ".join(existing[:LISTED]) + " …" * (len(existing) > LISTED)
                    raise OfferError(
                        f"{template.role} template: expected a column {name}, found {shown}; "
                        "name one of these in the template"
                    )

    def keeps(self, row: Mapping[str, Any]) -> bool:
        """Whether every expression of `where` is found in the first 10,000 characters.

        Raises:
            Refusal: a column of `where` has something that is no text.
        """
        return all(
            pattern.search(template.render(row)[:SEARCHED]) for template, pattern in self.where
        )

    def example(self, number: int, size: int, row: Mapping[str, Any]) -> Example:
        """One row as an example.

        Args:
            number: line or row number in the source, from 1.
            size: bytes of the row in the source.
            row: column → value.

        Raises:
            Refusal: a value makes no text, or the values make no example.
        """
        prompt, completion = self._asked(row)
        choices = self.choices.choices(row) if self.choices else None
        identity = example_id(prompt, completion, choices)
        if self.rejected is not None:
            rejected: str | None = self._worse(self.rejected, row, prompt)
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
        """Prompt and completion; both are empty where there is no conversation."""
        prompt = self.prompt.given(row) if self.messages is None else ""
        template = self.messages or self.completion
        answer = template.given(row)
        return (prompt, answer) if isinstance(answer, str) else _answered(template, prompt, answer)

    def _worse(self, template: Template, row: Mapping[str, Any], prompt: Prompt) -> str:
        """The worse answer to a prompt."""
        worse = template.given(row)
        if isinstance(worse, str):
            if self.messages and holds_messages(worse):
                raise Refusal(
                    "rejected: expected an answer, found a text that holds messages; ask for them, "
                    f"as in {Field(template.columns[0], (MESSAGES,))}"
                )
            return worse
        asked, text = _answered(template, prompt, worse)
        if not same_turns(asked, prompt):
            raise Refusal(
                "rejected: expected another answer to the same messages, found one to others; the "
                "two conversations may only differ in their last message"
            )
        return text


def _answered(template: Template, prompt: Prompt, answer: Conversation) -> tuple[Prompt, str]:
    try:
        return answered(prompt, answer)
    except Refusal as error:
        raise Refusal(f"{template.role}: {error}") from None


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
