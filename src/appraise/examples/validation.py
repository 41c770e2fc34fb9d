"""Validation of incoming rows with Great Expectations, and its Data Docs.

The suite is built from `rules`, and the verdict is what Great Expectations says: a row that fails
an expectation is dropped for the reason of its rule, the first of `REASONS` where there are
several. This is the only module that imports Great Expectations, which takes seconds: whoever
needs it imports this module when it is called for.
"""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it

import great_expectations as gx
from great_expectations import expectations
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    FilesystemStoreBackendDefaults,
    InMemoryStoreBackendDefaults,
)
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.expectations.expectation import Expectation

from appraise.examples.reading import SourceExamples
from appraise.examples.rules import (
    REASONS,
    SOURCE,
    AnyRow,
    Column,
    Limits,
    Rule,
    TableRule,
    rules,
    value,
)
from appraise.examples.verdicts import CheckResult, FailedRow, Validation

_SHOWN_ROWS = 20
_SHOWN_TEXT = 80


def validate(
    name: str, dataset: SourceExamples, tokens: Sequence[int], limits: Limits
) -> Validation:
    """Check schema, non-empty text, encoding, choices, pairs, lengths, row sizes, duplicates.

    Args:
        name: the dataset's id, for Data Docs.
        tokens: tokens of prompt and completion (of a pair the longer one), of each example.
    """
    templates = dataset.templates
    listed = rules(
        templates.columns,
        limits,
        choices=templates.choices is not None,
        pairs=templates.rejected is not None,
    )
    suite = [_expectation(rule) for rule in listed]
    result = _run(name, suite, _table(dataset, tokens))
    outcomes = {_name(outcome.expectation_config): outcome for outcome in result.results}
    checks = []
    reasons: dict[int, str] = {}
    for rule, expectation in zip(listed, suite, strict=True):
        # Great Expectations groups its results by column: they are looked up by name
        outcome = outcomes[_name(expectation.configuration)]
        failed = outcome.result.get("unexpected_index_list") or []
        checks.append(_check(rule, str(expectation.configuration.type), outcome.success, failed))
        if isinstance(rule, Rule):
            for item in failed:
                row = int(item["row"])
                reasons[row] = min(reasons.get(row, rule.reason), rule.reason, key=REASONS.index)
    return Validation(tuple(checks), dict(sorted(reasons.items())), result)


def _expectation(rule: Rule | TableRule) -> Expectation:
    said = rule.condition if isinstance(rule, Rule) else rule
    column = {"column": rule.column} if isinstance(rule, Rule) else {}
    kind: Any = getattr(expectations, said.expectation)
    return kind(**column, **said.arguments)


def _run(
    name: str, suite: Sequence[Expectation], table: pd.DataFrame
) -> ExpectationSuiteValidationResult:
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=stores)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    return batch.validate(
        gx.ExpectationSuite(name=name, expectations=list(suite)),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["row"],
            "return_unexpected_index_query": False,
        },
    )


def _table(dataset: SourceExamples, tokens: Sequence[int]) -> pd.DataFrame:
    """All rows in the source's order, with the columns that rules are about."""
    rows: list[tuple[int, AnyRow, int]] = [
        *(
            (example.source.row, example, count)
            for example, count in zip(dataset.examples, tokens, strict=True)
        ),
        *((lost.row, lost, 0) for lost in dataset.unreadable),
        *((lost.row, lost, 0) for lost in dataset.not_understood),
    ]
    rows.sort(key=lambda item: item[0])
    table = pd.DataFrame({"row": [number for number, _, _ in rows]})
    for column in get_args(Column):
        values = [value(column, row, count) for _, row, count in rows]
        table[column] = pd.Series(values, dtype="Int64") if column == "answer" else values
    for name in dataset.columns & set(dataset.templates.columns):
        table[f"{SOURCE}{name}"] = True
    return table


def _name(config: Any) -> tuple[str, str]:
    return config.type, str(config.kwargs.get("column", ""))


def _check(
    rule: Rule | TableRule, expectation: str, success: bool | None, failed: Iterable[Any]
) -> CheckResult:
    column = rule.column.split(",")[0]
    items = sorted(failed, key=lambda item: int(item["row"]))
    rows = tuple(
        FailedRow(int(item["row"]), rule.column, _shortened(item.get(column)), rule.sentence)
        for item in items[:_SHOWN_ROWS]
    )
    return CheckResult(expectation, rule.column, bool(success), len(items), rows)


def _shortened(content: object) -> str:
    shown = "" if content is None else str(content)
    shown = shown if len(shown) <= _SHOWN_TEXT else f"{shown[:_SHOWN_TEXT]}…"
    return shown.replace("\x00", "\\0")


def write_data_docs(root: Path, results: Mapping[str, Validation]) -> Path:
    """Write Great Expectations' Data Docs under `.appraise/data_docs/`; other datasets' pages stay.

    They carry the time of the run and are no artifact: nothing is computed from them.

    Args:
        results: what was said of each dataset.

    Returns:
        The index page.
    """
    pages, store = root / ".appraise" / "data_docs", root / ".appraise" / "gx"
    store.mkdir(parents=True, exist_ok=True)
    config = DataContextConfig(
        store_backend_defaults=FilesystemStoreBackendDefaults(root_directory=str(store)),
        data_docs_sites={"appraise": _site(pages)},
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    now = datetime.datetime.now(datetime.UTC)
    identifiers = []
    for name, validation in results.items():
        for old in (pages / "validations" / name, store / "uncommitted" / "validations" / name):
            shutil.rmtree(old, ignore_errors=True)
        identifier = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name),
            run_id=RunIdentifier(run_name="latest", run_time=now),
            batch_identifier=name,
        )
        context.validation_results_store.set(identifier, validation.result)
        identifiers.append(identifier)
    if identifiers:
        context.build_data_docs(resource_identifiers=identifiers)
    return pages / "index.html"


def _site(pages: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(pages),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
