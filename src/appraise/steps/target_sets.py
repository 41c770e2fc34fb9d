"""The task to improve, in three disjoint splits: value, train and test.

Rows that are empty, too long, repeated or without a right answer are dropped; what is left goes
into the splits in the order of SHA-256(seed, id), whatever the order of the rows. No prompt, no
question and no group (a passage, say) occurs in two splits, of whatever components.

`fingerprints.parquet` holds what each prompt of the components' sources is recognised by, chosen
for a split or not: `auxiliary_datasets` removes them all from the pool. So neither the splits'
sizes nor their seed change what is offered. Rows that `where` leaves out do not count.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from appraise.errors import OfferError
from appraise.examples.lengths import TOKENIZER, TokenCounter, length_settings
from appraise.examples.overlap import known_fingerprints
from appraise.examples.sources import Examples, read_examples
from appraise.examples.splits import Splits, split_examples, without_duplicates
from appraise.examples.templates import Example
from appraise.examples.validation import FATAL, Limits, Validation, validate
from appraise.project import Project, Recipe
from appraise.settings.data import Component, TargetParams
from appraise.steps.step import Step, each_target
from appraise.storage.files import sha256_file, write_json, write_table

FINGERPRINTS = "fingerprints.parquet"
SPLITS = ("value", "train", "test")


def _recipe(project: Project, key: str) -> Recipe:
    target = project.params.target_sets[key]
    inputs = {f"base_model/{TOKENIZER}": project.content("base_model", file=TOKENIZER)}
    for component in target.components:
        path = project.root / component.source.split("::")[-1]
        if component.sha256 is None and path.is_file():  # not pinned: the file decides
            inputs[f"source of {component.name}"] = sha256_file(path)
    settings = {
        "target": target.model_dump(mode="json"),
        "base_model": length_settings(project),
        "max_row_bytes": project.params.auxiliary_datasets.max_row_bytes,
        **pair_settings(project),
    }
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def needs_pairs(project: Project) -> bool:
    """Whether the objective compares a better answer with a worse one."""
    return project.params.gradient_sketches.objective.pairs


def pair_settings(project: Project) -> dict[str, bool]:
    """What of the objective matters to tables of examples, for a step's recipe."""
    return {"pairs": True} if needs_pairs(project) else {}


def count_tokens(project: Project, counter: TokenCounter, examples: Sequence[Example]) -> list[int]:
    """Tokens of prompt and completion; of a pair, if needed, with its longer answer."""
    tokens = counter.count(examples)
    if not needs_pairs(project):
        return tokens
    worse = [dataclasses.replace(example, completion=example.rejected) for example in examples]
    return [max(pair) for pair in zip(tokens, counter.count(worse), strict=True)]


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    counter = TokenCounter(project)
    for key in tqdm(keys, desc="target_sets", unit="target", disable=None, file=sys.stderr):
        _make_one(project, key, counter)


def _make_one(project: Project, key: str, counter: TokenCounter) -> None:
    target = project.params.target_sets[key]
    taken: dict[str, str] = {}
    cards: list[dict[str, Any]] = []
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPLITS}
    prompts: list[str] = []
    with STEP.writing(project, key) as folder:
        for component in target.components:
            place = f"target {key}, component {component.name}"
            dataset, validation = _read(project, component, counter, place, target.seed)
            prompts += [example.prompt for example in dataset.examples if example.prompt]
            valid = validation.valid(dataset.examples)
            usable = without_duplicates(valid, by_prompt=True)
            splits = split_examples(usable, _sizes(target), target.seed, taken)
            card = _card(component, dataset, validation, len(valid) - len(usable), splits)
            _check_sizes(place, target, card)
            cards.append(card)
            for name, examples in splits.items():
                rows[name] += [_columns(example, component.name) for example in examples]
        for name in SPLITS:
            if rows[name]:
                write_table(folder / f"{name}.parquet", _table(rows[name]))
        write_table(folder / FINGERPRINTS, _fingerprint_table(prompts))
        write_json(folder / "card.json", {"title": target.title, "components": cards})


def _sizes(target: TargetParams) -> dict[str, int]:
    # the test split first: it keeps its examples when `value` or `train` change
    return {"test": target.test, "value": target.value, "train": target.train}


def _read(
    project: Project, component: Component, counter: TokenCounter, place: str, seed: int
) -> tuple[Examples, Validation]:
    """A component's rows and what Great Expectations says of them; OfferError names the place."""
    limit, pairs = project.params.auxiliary_datasets.max_row_bytes, needs_pairs(project)
    try:
        dataset = read_examples(
            component, project.root, limit, group=component.group, seed=seed, pairs=pairs
        )
        dataset.check_columns()
        limits = Limits(limit, project.params.base_model.max_length, 1, pairs)
        tokens = count_tokens(project, counter, dataset.examples)
        validation = validate(component.name, dataset, tokens, limits)
        for row, reason in validation.reasons.items():
            if reason in FATAL:
                bad = next(example for example in dataset.examples if example.row == row)
                raise OfferError(
                    f"{component.source}: row {row}: expected a row that can be read, found "
                    f"{bad.unreadable or f'{bad.size} bytes, above the limit of {limit}'}"
                )
    except OfferError as error:
        raise OfferError(f"{place}: {error}") from None
    return dataset, validation


def _card(
    component: Component, dataset: Examples, validation: Validation, repeated: int, splits: Splits
) -> dict[str, Any]:
    dropped = validation.counts() | ({"duplicate": repeated} if repeated else {})
    return {
        "name": component.name,
        "source": component.source,
        "rows": len(dataset.examples),
        "usable": len(dataset.examples) - sum(dropped.values()),
        "dropped": dropped,
        **{name: len(splits[name]) for name in SPLITS},
    }


def _check_sizes(place: str, target: TargetParams, card: dict[str, Any]) -> None:
    wanted = _sizes(target)
    short = [name for name in SPLITS if card[name] < wanted[name]]
    if short:
        dropped = ", ".join(f"{count} {reason}" for reason, count in card["dropped"].items())
        raise OfferError(
            f"{place}: expected {wanted['value']} value, {wanted['train']} train and "
            f"{wanted['test']} test examples that share no prompt, found {card['usable']} usable "
            f"of {card['rows']} rows, enough for {card['value']}, {card['train']} and "
            f"{card['test']} (dropped: {dropped or 'none'}); lower the sizes in params.yaml or add "
            "rows"
        )


def _columns(example: Example, component: str) -> dict[str, Any]:
    return {
        "id": example.id,
        "prompt": example.prompt,
        "completion": example.completion,
        "component": component,
        "choices": None if example.choices is None else list(example.choices),
        "answer": example.answer,
        "rejected": example.rejected,
    }


def _table(rows: list[dict[str, Any]]) -> Any:
    """The examples of a split; a column `rejected` when any of them is a pair."""
    import pandas as pd

    table = pd.DataFrame(rows)
    if table["rejected"].isna().all():
        table = table.drop(columns="rejected")
    return table.assign(answer=table["answer"].astype("Int64"))


def _fingerprint_table(prompts: list[str]) -> Any:
    import pandas as pd

    return pd.DataFrame({"fingerprint": pd.Series(known_fingerprints(prompts), dtype="str")})


STEP = Step(
    noun="target_sets",
    needs=("base_model",),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: the worse answer of a pair
)
