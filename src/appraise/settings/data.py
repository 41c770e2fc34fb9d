"""Offers, datasets, targets: where rows come from, and how many of them are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from appraise.settings.section import Name, Positive, Section, Share


class Source(Section):
    """Where rows come from, and how a row becomes a prompt and a completion.

    `source` is a path or URL that fsspec opens (a JSONL or Parquet file, `zip://a.jsonl::b.zip`,
    `hf://datasets/owner/name/file.parquet`), or a hub id or local folder in the hub's layout, in
    which case `split` names the split. `prompt`, `completion` and `choices` are templates over the
    row's columns: `"{question}\n{options}"`. `rejected` is the template of the worse answer of a
    pair; without it a wrong one of the `choices` is. `messages` names a column with a conversation
    in the hub's layout (a list of `{role, content}`), in place of prompt and completion. `where`
    keeps only the rows in whose columns these regular expressions are found.
    """

    source: str
    sha256: str | None = None
    split: str | None = None
    revision: str | None = None
    prompt: str = "{prompt}"
    completion: str = "{completion}"
    choices: str | None = None
    rejected: str | None = None
    messages: str | None = None
    where: dict[str, str] = Field(default_factory=dict)


class OffersParams(Section):
    """Where the pool of offers is described, and which licences may be bought; None for any."""

    pool: Path
    licences: tuple[str, ...] | None = None


class AuxiliaryDatasetsParams(Section):
    """How much of a dataset is kept, and what refuses it."""

    max_examples: Positive = 512
    seed: int = 0
    min_examples: Positive = 8
    max_row_bytes: Positive = 1_000_000
    max_invalid_share: Share = 0.05


class NearCopiesParams(Section):
    """How alike two rows are that count as one; None: nothing is compared."""

    similarity: Annotated[float, Field(gt=0, le=1)] | None = 0.4


class Component(Source):
    """One part of a target. Rows whose `group` (a template: `"{passage}"`) is the same never fall
    into two splits."""

    name: Name
    group: str | None = None


class TargetParams(Section):
    """The task to improve: its components and how many examples of each go where."""

    title: str
    components: tuple[Component, ...] = Field(min_length=1)
    value: Positive = 16
    train: Annotated[int, Field(ge=0)] = 0
    test: Positive = 60
    seed: int = 0
