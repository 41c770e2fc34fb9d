"""Tables and pictures as Dagster's pages draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dagster import MarkdownMetadataValue, MetadataValue, TableMetadataValue, TableRecord
from pydantic import JsonValue

from appraise.presentation.pictures import as_markdown

Metadata = dict[str, MetadataValue | JsonValue]


def table(rows: Iterable[Mapping[str, object]]) -> TableMetadataValue | str:
    """Rows with the same columns as a table; no rows are the word `none`."""
    records = [TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return MetadataValue.table(records) if records else "none"


def picture(png: bytes, alt: str) -> MarkdownMetadataValue:
    """A PNG within the metadata itself: shown after a click on "Show Markdown"."""
    return MetadataValue.md(as_markdown(png, alt))


def _cell(value: object) -> str | int | float | bool:
    if value is None:
        return ""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if isinstance(value, str | int | bool) else str(value)
