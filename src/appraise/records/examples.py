"""Tables of examples: the kept rows of a dataset, and each split of a target.

A row has `id`, `prompt` and `completion`; of a target also `component`, `choices` and `answer`.
Columns are there only when some example needs them: of a dataset `choices` and `answer`; of both
`rejected`, the worse answer of a pair, and `conversation`, whether the prompt is the JSON of one.
The reader goes by that column alone: a text that looks like a conversation is a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from appraise.errors import ArtifactError
from appraise.examples.conversations import conversation_of, text_of
from appraise.examples.example import Conversation, Example, Prompt
from appraise.storage.files import read_table, table_batches, write_table

EXAMPLES = "examples.parquet"
_COLUMNS = ("id", "prompt", "completion")


def split_file(split: str) -> str:
    """The file of a target's split: value, train or test."""
    return f"{split}.parquet"


def write(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as a table, atomically; where they stood in their source is left out."""
    columns: dict[str, Any] = {
        "id": [example.id for example in examples],
        "prompt": [text_of(example.prompt) for example in examples],
        "completion": [example.completion for example in examples],
    }
    targets = any(example.component for example in examples)
    if targets:
        columns["component"] = [example.component for example in examples]
    if targets or any(example.choices is not None for example in examples):
        columns |= {
            "choices": [None if one.choices is None else list(one.choices) for one in examples],
            "answer": pd.array([example.answer for example in examples], dtype="Int64"),
        }
    rejected = [example.rejected for example in examples]
    if any(answer is not None for answer in rejected):
        columns["rejected"] = rejected
    conversations = [isinstance(example.prompt, Conversation) for example in examples]
    if any(conversations):
        columns["conversation"] = conversations
    write_table(path, pd.DataFrame(columns))


def read(path: Path) -> list[Example]:
    """All examples of a table, in its order.

    Raises:
        ArtifactError: it is missing, damaged or no table of examples.
    """
    return _examples(path, read_table(path))


def batches(path: Path, rows: int) -> Iterator[list[Example]]:
    """The examples of a table, so many at a time.

    Raises:
        ArtifactError: it is missing, damaged or no table of examples.
    """
    for table in table_batches(path, None, rows):
        yield _examples(path, table)


def _examples(path: Path, table: pd.DataFrame) -> list[Example]:
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ArtifactError(
            f"{path}: expected the columns {', '.join(_COLUMNS)}, found none called "
            f"{', '.join(missing)}; run the step again"
        )
    try:
        return [_example(row) for row in table.to_dict("records")]
    except ValueError as error:
        raise ArtifactError(
            f"{path}: expected examples, found {error}; run the step again"
        ) from None


def _example(row: Mapping[Any, Any]) -> Example:
    choices, answer, rejected = row.get("choices"), row.get("answer"), row.get("rejected")
    return Example(
        id=str(row["id"]),
        prompt=_prompt(str(row["prompt"]), bool(row.get("conversation", False))),
        completion=str(row["completion"]),
        rejected=rejected if isinstance(rejected, str) else None,
        choices=None if choices is None else tuple(str(choice) for choice in choices),
        answer=None if answer is None or pd.isna(answer) else int(answer),
        component=str(row.get("component", "")),
    )


def _prompt(text: str, conversation: bool) -> Prompt:
    return conversation_of(text) if conversation else text
