"""Which templates a source most likely wants: by the names of its columns, and what is in them.

| layout | columns, as examples | prompt | completion |
| --- | --- | --- | --- |
| prompt and completion | `prompt`, `completion` | `{prompt}` | `{completion}` |
| questions | `passage`, `question`, `answer`, `options` | both, a line each | `{answer}` |
| instructions, Alpaca | `instruction`, `input`, `output` | both | `{output}` |
| preferences | `prompt`, `chosen`, `rejected` | `{prompt}` | `{chosen}` |
| documents | `document`, `summary` | `{document}` | `{summary}` |
| conversations (also ShareGPT) | `messages`, `conversations` | the column as `messages` | |

A proposal is for a person to look at; nothing is taken over unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from appraise.errors import OfferError
from appraise.examples.choices import choices_of
from appraise.examples.conversations import conversation
from appraise.examples.identity import without_label
from appraise.examples.templates import Template

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

Rows = Sequence[Mapping[str, Any]]


def propose(rows: Rows) -> dict[str, str]:
    """The fields of a source (`prompt`, `completion`, …) for rows like these.

    Raises:
        OfferError: no column is known to be a question, or none an answer.
    """
    columns = {_plain(name): name for row in rows for name in row if _usable(name)}
    talk = _first(columns, TALKS)
    if talk is not None and _all_talk(rows, talk) and not {"prompt", "completion"} & set(columns):
        found = {"messages": talk}
    else:
        found = _asked_and_answered(columns)
        found |= _choices(rows, columns, found)
    worse = _first(columns, WORSE)
    return found if worse is None else found | {"rejected": f"{{{worse}}}"}


def _plain(name: str) -> str:
    """A name as it is looked up: `Best Answer` is `best_answer`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _usable(name: str) -> bool:
    """Whether a template can name it."""
    try:
        return Template(f"{{{name}}}", "prompt").columns == (name,)
    except OfferError:
        return False


def _first(columns: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def _all_talk(rows: Rows, name: str) -> bool:
    """Whether a column holds conversations, wherever it holds anything."""
    values = [row[name] for row in rows if row.get(name)]
    return bool(values) and all(conversation(value) is not None for value in values)


def _asked_and_answered(columns: Mapping[str, str]) -> dict[str, str]:
    parts = [_first(columns, names) for names in (CONTEXTS, QUESTIONS, DETAILS)]
    prompt = "\n".join(f"{{{part}}}" for part in parts if part is not None)
    answer = _first(columns, ANSWERS)
    if not prompt or answer is None:
        lacking = "what the model should write" if prompt else "what it is given"
        raise OfferError(
            f"expected columns such as prompt and completion, question and answer or messages, "
            f"found {', '.join(columns.values()) or 'none'}, of which none is known to be "
            f"{lacking}; say it with --prompt and --completion, as in '{{column}}'"
        )
    return {"prompt": prompt, "completion": f"{{{answer}}}"}


def _choices(rows: Rows, columns: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The choices, if there are any; labels such as `B. ` are left out where all have them."""
    name = _first(columns, CHOICES)
    if name is None:
        return {}
    choices, completion = f"{{{name}}}", found["completion"]
    shown = [choices_of(Template(choices, "choices").render(row)) for row in rows]
    if not _labelled([choice for each in shown for choice in each]):
        return {"choices": choices}
    answers = [Template(completion, "completion").render(row) for row in rows]
    bare = {"choices": f"{{{name}:unlabelled}}"}
    return bare | {"completion": f"{completion[:-1]}:unlabelled}}"} if _labelled(answers) else bare


def _labelled(texts: Sequence[str]) -> bool:
    return bool(texts) and all(without_label(text) != text for text in texts)
