"""Validation of incoming rows with Great Expectations, and its Data Docs.

The verdict is what Great Expectations says: a row that fails an expectation is dropped for the
reason that belongs to the expectation, the first of `REASONS` where several do.
"""

from __future__ import annotations

import datetime
import importlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appraise.examples.sources import Examples
from appraise.examples.templates import Example

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation import Expectation

FATAL = ("unreadable", "too_large")  # the file is not what it claims to be
INVALID = ("empty", "encoding", "answer_not_in_choices", "no_preference")  # the provider's fault
REASONS = (*FATAL, *INVALID, "too_long")
_BROKEN = "[\x00\ufffd]"
_SHOWN_ROWS = 20
_SHOWN_TEXT = 80


@dataclass(frozen=True)
class Limits:
    """What a row may be, and whether it must have a worse answer too."""

    max_row_bytes: int
    max_tokens: int
    min_rows: int
    pairs: bool = False


@dataclass(frozen=True)
class Validation:
    """What Great Expectations said of a dataset.

    Attributes:
        checks: one record per expectation: {expectation, column, success, unexpected_count,
            failed_rows: at most 20 of {row, column, value, reason}}.
        reasons: row number → why it is dropped, one of `REASONS`.
        result: Great Expectations' own result, for Data Docs.
    """

    checks: list[dict[str, Any]]
    reasons: dict[int, str]
    result: ExpectationSuiteValidationResult

    def valid(self, examples: Iterable[Example]) -> list[Example]:
        """The examples that failed nothing."""
        return [example for example in examples if example.row not in self.reasons]

    def counts(self) -> dict[str, int]:
        """Dropped rows by reason, for the reasons that occurred."""
        found = list(self.reasons.values())
        return {reason: found.count(reason) for reason in REASONS if reason in found}


@dataclass(frozen=True)
class _Check:
    expectation: Expectation
    column: str
    reason: str | None  # None: a row is not dropped for it
    sentence: str


def validate(name: str, dataset: Examples, tokens: Sequence[int], limits: Limits) -> Validation:
    """Check schema, non-empty text, encoding, choices, pairs, lengths, row sizes, duplicates.

    Args:
        name: the dataset's id, for Data Docs.
        tokens: tokens of prompt and completion (of a pair the longer one), of each example.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
    )

    checks = _checks(dataset, limits)
    suite = gx.ExpectationSuite(name=name, expectations=[check.expectation for check in checks])
    stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=stores)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
        {"dataframe": _table(dataset, tokens)}
    )
    result = batch.validate(
        suite,
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["row"],
            "return_unexpected_index_query": False,
        },
    )
    records = []
    reasons: dict[int, str] = {}
    for check, outcome in zip(checks, _in_order(checks, result), strict=True):
        failed = outcome.result.get("unexpected_index_list") or []
        records.append(_record(check, bool(outcome.success), failed))
        for item in failed if check.reason else ():
            old = reasons.get(item["row"])
            if old is None or REASONS.index(str(check.reason)) < REASONS.index(old):
                reasons[int(item["row"])] = str(check.reason)
    return Validation(records, dict(sorted(reasons.items())), result)


def _checks(dataset: Examples, limits: Limits) -> list[_Check]:
    gxe: Any = importlib.import_module("great_expectations.expectations")  # it exports by import

    checks = [
        _Check(gxe.ExpectColumnToExist(column=f"source.{name}"), name, None, "no such column")
        for name in dataset.templates.columns
    ]
    rows = gxe.ExpectTableRowCountToBeBetween(min_value=limits.min_rows)
    checks.append(_Check(rows, "", None, f"at least {limits.min_rows} rows"))
    unreadable = gxe.ExpectColumnValuesToBeNull(column="unreadable")
    checks.append(_Check(unreadable, "unreadable", "unreadable", "not UTF-8 or not a JSON object"))
    size = gxe.ExpectColumnValuesToBeBetween(column="size", max_value=limits.max_row_bytes)
    checks.append(_Check(size, "size", "too_large", f"at most {limits.max_row_bytes} bytes"))
    for column in ("prompt", "completion"):
        text = gxe.ExpectColumnValuesToMatchRegex(column=column, regex=r"\S")
        checks.append(_Check(text, column, "empty", "no text"))
        clean = gxe.ExpectColumnValuesToNotMatchRegex(column=column, regex=_BROKEN)
        checks.append(_Check(clean, column, "encoding", "U+FFFD or NUL in the text"))
    if dataset.templates.choices:
        answer = gxe.ExpectColumnValuesToNotBeNull(column="answer")
        sentence = "the completion is not one of the choices"
        checks.append(_Check(answer, "answer", "answer_not_in_choices", sentence))
    if dataset.templates.rejected or limits.pairs:
        pair = gxe.ExpectColumnValuesToNotBeNull(column="rejected")
        sentence = "no worse answer, or the same as the completion"
        checks.append(_Check(pair, "rejected", "no_preference", sentence))
        clean = gxe.ExpectColumnValuesToNotMatchRegex(column="rejected", regex=_BROKEN)
        checks.append(_Check(clean, "rejected", "encoding", "U+FFFD or NUL in the text"))
    length = gxe.ExpectColumnValuesToBeBetween(column="tokens", max_value=limits.max_tokens)
    checks.append(_Check(length, "tokens", "too_long", f"at most {limits.max_tokens} tokens"))
    unique = gxe.ExpectCompoundColumnsToBeUnique(column_list=["prompt", "completion"])
    checks.append(_Check(unique, "prompt, completion", None, "occurs more than once"))
    return checks


def _table(dataset: Examples, tokens: Sequence[int]) -> Any:
    import pandas as pd

    examples = dataset.examples
    table = pd.DataFrame(
        {
            "row": [example.row for example in examples],
            "prompt": [example.prompt for example in examples],
            "completion": [example.completion for example in examples],
            "rejected": [example.rejected if example.is_pair else None for example in examples],
            "tokens": list(tokens),
            "size": [example.size for example in examples],
            "answer": pd.array([example.answer for example in examples], dtype="Int64"),
            "unreadable": [example.unreadable for example in examples],
        }
    )
    for column in dataset.columns & set(dataset.templates.columns):
        table[f"source.{column}"] = True
    return table


def _in_order(checks: Sequence[_Check], result: ExpectationSuiteValidationResult) -> list[Any]:
    """Great Expectations groups its results by column; give them in the order of the checks."""
    by_expectation = {_name(outcome.expectation_config): outcome for outcome in result.results}
    return [by_expectation[_name(check.expectation.configuration)] for check in checks]


def _name(config: Any) -> tuple[str, str]:
    return config.type, str(config.kwargs.get("column", ""))


def _record(check: _Check, success: bool, failed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    column = check.column.split(",")[0]
    rows = [
        {
            "row": int(item["row"]),
            "column": check.column,
            "value": _shortened(item.get(column)),
            "reason": check.sentence,
        }
        for item in sorted(failed, key=lambda item: int(item["row"]))[:_SHOWN_ROWS]
    ]
    return {
        "expectation": str(check.expectation.configuration.type),
        "column": check.column,
        "success": success,
        "unexpected_count": len(failed),
        "failed_rows": rows,
    }


def _shortened(value: Any) -> str:
    text = "" if value is None else str(value)
    shown = text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"
    return shown.replace("\x00", "\\0")


def write_data_docs(root: Path, results: Mapping[str, ExpectationSuiteValidationResult]) -> Path:
    """Write Great Expectations' Data Docs under `.appraise/data_docs/`; other datasets' pages stay.

    They carry the time of the run and are no artifact: nothing is computed from them.

    Returns:
        The index page.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        FilesystemStoreBackendDefaults,
    )
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

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
    for name, result in results.items():
        for old in (pages / "validations" / name, store / "uncommitted" / "validations" / name):
            shutil.rmtree(old, ignore_errors=True)
        identifier = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name),
            run_id=RunIdentifier(run_name="latest", run_time=now),
            batch_identifier=name,
        )
        context.validation_results_store.set(identifier, result)
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
