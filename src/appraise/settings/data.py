"""Offers, datasets, targets: where rows come from, and how many of them are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from appraise.settings.section import Name, Positive, Section, Sha256, Share


class Source(Section):
    """Where rows come from, and how a row becomes a prompt and a completion.

    `source` is a path or URL that fsspec opens (`a.jsonl`, `zip://a.csv::b.zip`,
    `hf://datasets/owner/name/file.parquet`; `examples.formats` has the endings), or a hub id or a
    local folder, in which case `config` and `split` name what is meant. `prompt`, `completion` and
    `choices` are templates over the row's columns: `"{question}\n{options}"`,
    `{answers.text:first}`. `rejected` is the template of the worse answer of a pair; without it a
    wrong one of the `choices` is. `messages` names a column with a whole conversation, in place of
    prompt and completion. `where` keeps only the rows in whose columns these regular expressions
    are found.
    """

    source: str
    """A path or URL that fsspec opens (JSONL, JSON, CSV, TSV, Parquet, Arrow, also compressed;
    `zip://member::archive`), a hub id, or a folder in the hub's layout or from `save_to_disk`."""
    sha256: Sha256 | None = None
    """Of the source's bytes; another content is refused. None for a hub id, which `revision`
    pins."""
    config: str | None = None
    """The configuration of a hub id or of a folder that has several."""
    split: str | None = None
    """The split of a hub id or of a folder that has splits."""
    revision: str | None = None
    """The commit of a hub id."""
    field: str | None = None
    """Of a JSON file that is one object: the key under which its rows are."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Between the columns of a CSV file; None: a comma, in a TSV file a tab."""
    prompt: str = "{prompt}"
    """Template of what the model is given: a text, or messages."""
    completion: str = "{completion}"
    """Template of what the model should write, the right answer: a text, or messages."""
    choices: str | None = None
    """Template of the answers to choose from: a list, or one on each line."""
    rejected: str | None = None
    """Template of the worse answer of a pair; None: a wrong one of the `choices`, if there are
    any."""
    messages: str | None = None
    """Name of a column with a conversation, in place of `prompt` and `completion`."""
    where: dict[str, str] = Field(default_factory=dict)
    """Column → regular expression that its text must contain; rows without are not read."""


class OffersParams(Section):
    """Where the pool of offers is described, and which licences may be bought; None for any."""

    pool: Path
    """The YAML file with the offers, relative to the project's folder."""
    licences: tuple[str, ...] | None = None
    """SPDX ids that may be bought, NOASSERTION among them for unknown terms; None: any. Other
    offers are set aside before their data is read."""


class AuxiliaryDatasetsParams(Section):
    """How much of a dataset is kept, and what refuses it."""

    max_examples: Positive = 512
    """Rows of each dataset that are kept, in a seeded order."""
    seed: int = 0
    """Of the order of rows, and of the wrong choice that serves as a worse answer."""
    min_examples: Positive = 8
    """Fewest usable rows; counted again without rows that others offered before. With fewer the
    dataset is set aside."""
    max_row_bytes: Positive = 1_000_000
    """Largest row, in bytes; a larger one is dropped and counts as invalid."""
    max_invalid_share: Share = 0.05
    """Largest share of invalid rows (too large, makes no text, empty, broken, answer not among
    the choices); above it the dataset is set aside."""

    @model_validator(mode="after")
    def _enough_may_be_kept(self) -> AuxiliaryDatasetsParams:
        if self.max_examples < self.min_examples:
            raise ValueError(
                f"max_examples: expected at least min_examples ({self.min_examples}), found "
                f"{self.max_examples}; every dataset would be set aside"
            )
        return self


class NearCopiesParams(Section):
    """How alike two rows are that count as one; None: nothing is compared."""

    similarity: Annotated[float, Field(gt=0, le=1)] | None = 0.4
    """Smallest Jaccard similarity (of five-letter pieces of the normalised text) of a copy; None:
    nothing is compared. Lower: more rewordings are found, and more honest rows are lost."""


class Component(Source):
    """One part of a target. Rows whose `group` (a template: `"{passage}"`) is the same never fall
    into two splits."""

    name: Name
    """What the component is called in metrics."""
    group: str | None = None
    """Template: rows for which it gives the same text never fall into two splits."""


class TargetParams(Section):
    """The task to improve: its components and how many examples of each go where."""

    title: str
    """What people see in reports."""
    components: tuple[Component, ...] = Field(min_length=1)
    """The parts of the task."""
    value: Positive = 16
    """Examples of each component whose gradients make the target's. More: less noise, more time."""
    train: Annotated[int, Field(ge=0)] = 0
    """Examples of each component that training may mix in."""
    test: Positive = 60
    """Examples of each component for evaluation only. More: narrower intervals of the outcome. The
    size of one split moves no example of the others, as long as there are rows enough."""
    seed: int = 0
    """Of the place of each example, and so of the split that it goes to."""

    @field_validator("components")
    @classmethod
    def _names_differ(cls, components: tuple[Component, ...]) -> tuple[Component, ...]:
        names = [component.name for component in components]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"expected a name of its own for each, found {name} twice")
        return components
