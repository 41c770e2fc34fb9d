"""Which templates a source most likely wants: by the names of its columns, and what is in them.

| layout | columns, as examples | prompt | completion |
| --- | --- | --- | --- |
| prompt and completion | `prompt`, `completion` | `{prompt}` | `{completion}` |
| questions | `passage`, `question`, `answer`, `options` | both, a line each | `{answer}` |
| instructions, Alpaca | `instruction`, `input`, `output` | both, a line each | `{output}` |
| preferences | `prompt`, `chosen`, `rejected` | `{prompt}` | `{chosen}` |
| documents | `document`, `summary` | `{document}` | `{summary}` |
| conversations, ShareGPT | `messages`, `conversations` | the column as `messages` | |

A proposal is for a person to look at; nothing is taken over unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appraise.errors import OfferError
from appraise.examples.choices import choices_of
from appraise.examples.columns import value_at
from appraise.examples.fields import FIRST, MESSAGES, TRIMMED, UNLABELLED, Field
from appraise.examples.identity import without_label
from appraise.examples.layouts import holds_messages
from appraise.examples.template import Template
from appraise.examples.values import is_list

CONTEXTS = ("context", "passage", "paragraph", "article", "document", "background", "story")
QUESTIONS = (
    "prompt", "question", "instruction", "query", "problem", "goal", "source", "text", "sentence",
)  # fmt: skip
DETAILS = ("input",)  # comes after an instruction
ANSWERS = (
    "completion", "answer", "answers", "response", "output", "solution", "target", "summary",
    "highlights", "translation", "chosen", "label",
)  # fmt: skip
CHOICES = ("choices", "options", "endings")
WORSE = ("rejected",)
TALKS = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog", "chosen")
WITHIN = ("messages", "text")  # what an object is looked into for, as in `answers: {text: […]}`


class Columns:
    """The columns of some rows, found by what they are called."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows
        names = dict.fromkeys(name for row in rows for name in row if _usable(name))
        self.names = tuple(names)
        self._found = {_plain(name): self._within(name) for name in reversed(self.names)}

    def first(self, names: Sequence[str]) -> str | None:
        """The first of these that is there."""
        return next((self._found[name] for name in names if name in self._found), None)

    def values(self, name: str) -> list[Any]:
        """What is in a column, wherever there is anything."""
        found = (value_at(row, name) for row in self._rows)
        return [value for value in found if value not in (None, "", [])]

    def _within(self, name: str) -> str:
        """The column, or what is in its objects."""
        first = next(iter(self.values(name)), None)
        inner = first[0] if is_list(first) and first else first
        if isinstance(inner, Mapping):
            for key in WITHIN:
                if key in inner and not holds_messages(first):
                    return f"{name}.{key}"
        return name


def propose(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fields of a source (`prompt`, `completion`, …) for rows like these.

    Raises:
        OfferError: no column is known to be a question, or none an answer.
    """
    columns = Columns(rows)
    talk, worse = columns.first(TALKS), columns.first(WORSE)
    asked = columns.first(("prompt", "completion"))
    if asked is None and talk is not None and _all(holds_messages, columns.values(talk)):
        found = {"messages": talk}
        form = (MESSAGES,) if worse and _all(_is_text, columns.values(worse)) else ()
    else:
        found, form = _asked_and_answered(columns), ()
    return found if worse is None else found | {"rejected": str(Field(worse, form))}


def _plain(name: str) -> str:
    """A name as it is looked up: `Best Answer` is `best_answer`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _usable(name: str) -> bool:
    """Whether a template can name it."""
    try:
        return Template(f"{{{name}}}", "prompt").columns == (name,)
    except OfferError:
        return False


def _all(holds: Any, values: Sequence[Any]) -> bool:
    return bool(values) and all(map(holds, values))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_labelled(text: Any) -> bool:
    return _is_text(text) and without_label(text) != text


def _asked_and_answered(columns: Columns) -> dict[str, str]:
    parts = [columns.first(names) for names in (CONTEXTS, QUESTIONS, DETAILS)]
    asked = [_in_prompt(columns, part) for part in parts if part is not None]
    answer, choices = columns.first(ANSWERS), columns.first(CHOICES)
    if not asked or answer is None:
        lacking = "what the model should write" if asked else "what it is given"
        raise OfferError(
            f"expected columns such as prompt and completion, question and answer or messages, "
            f"found {', '.join(columns.names) or 'none'}, of which none is known to be "
            f"{lacking}; say it with --prompt and --completion, as in '{{column}}'"
        )
    found = {"prompt": "\n".join(asked), "completion": ""}
    answers = columns.values(answer)
    forms = [FIRST] if _all(is_list, answers) and not _all(holds_messages, answers) else []
    if choices is not None:
        bare = _all(_is_labelled, list(_texts(columns.values(choices))))
        found["choices"] = str(Field(choices, (UNLABELLED,) if bare else ()))
        forms += [UNLABELLED] if bare and _all(_is_labelled, list(_texts(answers))) else []
    return found | {"completion": str(Field(answer, tuple(forms)))}


def _in_prompt(columns: Columns, name: str) -> str:
    """A column in a prompt; white space around it, where a text has any, says nothing there."""
    texts = [value for value in columns.values(name) if _is_text(value)]
    return str(Field(name, (TRIMMED,) if any(text != text.strip() for text in texts) else ()))


def _texts(values: Sequence[Any]) -> Iterator[Any]:
    """Elements of lists, and the choices in a text."""
    for value in values:
        yield from value if is_list(value) else choices_of(value) if _is_text(value) else [value]
