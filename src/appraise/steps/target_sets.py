"""The task to improve, in three disjoint splits: value, train and test.

Rows that are empty, too long, repeated or without a right answer are dropped; what is left goes
into the splits in the order of SHA-256(seed, id), whatever the order of the rows. No prompt, no
question and no group (a passage, say) occurs in two splits, of whatever components.

`fingerprints.parquet` holds what each prompt of the components' sources is recognised by, chosen
for a split or not: `auxiliary_datasets` removes them all from the pool. So neither the splits'
sizes nor their seed change what is offered. Rows that `where` leaves out do not count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
from tqdm import tqdm

from appraise.errors import ArtifactError, OfferError
from appraise.examples.lengths import TOKENIZER, TokenCounter, length_settings
from appraise.examples.reading import SourceExamples, read_examples
from appraise.examples.rules import Limits
from appraise.examples.targets import check_readable, place, split_target
from appraise.examples.verdicts import Validation
from appraise.project import Project, Recipe
from appraise.records import examples as tables
from appraise.records.cards import TargetCard
from appraise.settings.data import Component, Source
from appraise.steps.step import Step, each_target
from appraise.storage.files import sha256_file, write_table

FINGERPRINTS = "fingerprints.parquet"


def _recipe(project: Project, key: str) -> Recipe:
    target = project.params.target_sets[key]
    inputs = {f"base_model/{TOKENIZER}": project.content("base_model", file=TOKENIZER)}
    for component in target.components:
        path = project.root / component.source.split("::")[-1]
        if component.sha256 is None and path.is_file():  # not pinned: the file decides
            inputs[f"source of {component.name}"] = sha256_file(path)
    settings = {
        "target": target.model_dump(mode="json"),
        "base_model": length_settings(project.params.base_model),
        "max_row_bytes": project.params.auxiliary_datasets.max_row_bytes,
        **pair_settings(project),
        **conversation_settings(target.components),
    }
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def needs_pairs(project: Project) -> bool:
    """Whether the objective compares a better answer with a worse one."""
    return project.params.gradient_sketches.objective.kind == "dpo"


def pair_settings(project: Project) -> dict[str, bool]:
    """What of the objective matters to tables of examples, for a step's recipe."""
    return {"pairs": True} if needs_pairs(project) else {}


def conversation_settings(sources: Iterable[Source]) -> dict[str, str]:
    """How conversations stand in a table of examples, for a step's recipe; {} without any."""
    return {"conversations": "column"} if any(one.messages for one in sources) else {}


def token_counter(project: Project) -> TokenCounter:
    """The base model's tokenizer, to count with.

    Raises:
        ArtifactError: it has not been made or is damaged.
    """
    expected = project.content("base_model", file=TOKENIZER)
    path = project.folder("base_model") / TOKENIZER
    found = sha256_file(path)
    if found != expected:
        raise ArtifactError(
            f"base_model: expected {TOKENIZER} with SHA-256 {expected[:12]}…, found "
            f"{found[:12]}…; run `appraise base-model` again"
        )
    return TokenCounter(path, project.params.base_model)


def _make(project: Project, keys: Sequence[str]) -> None:
    counter = token_counter(project)
    for key in tqdm(keys, desc="target_sets", unit="target", disable=None, file=sys.stderr):
        target = project.params.target_sets[key]
        with STEP.writing(project, key) as folder:
            made = split_target(key, target, _parts(project, key, counter))
            for split, examples in made.splits.items():
                if examples:
                    tables.write(folder / tables.split_file(split), examples)
            marks = pd.DataFrame({"fingerprint": pd.Series(made.fingerprints, dtype="str")})
            write_table(folder / FINGERPRINTS, marks)
            TargetCard(target.title, made.components).write(folder)


def _parts(
    project: Project, key: str, counter: TokenCounter
) -> Iterator[tuple[Component, SourceExamples, Validation]]:
    """Each component with its rows and what Great Expectations says of them, read one by one."""
    from appraise.examples.validation import validate

    pairs = needs_pairs(project)
    target, limit = project.params.target_sets[key], project.params.auxiliary_datasets.max_row_bytes
    limits = Limits(limit, project.params.base_model.max_length, 1, pairs)
    for component in target.components:
        try:
            dataset = read_examples(
                component,
                project.root,
                limit,
                group=component.group,
                seed=target.seed,
                pairs=pairs,
            )
            dataset.check_columns()
            tokens = counter.count(dataset.examples, pairs=pairs)
            validation = validate(component.name, dataset, tokens, limits)
            check_readable(component, dataset, validation, limit)
        except OfferError as error:
            raise OfferError(f"{place(key, component)}: {error}") from None
        yield component, dataset, validation


STEP = Step(
    noun="target_sets",
    needs=("base_model",),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: the worse answer of a pair
)
