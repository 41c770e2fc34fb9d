"""Tables and pictures as Dagster's pages draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagster import MarkdownMetadataValue, MetadataValue, TableMetadataValue, TableRecord

from appraise.presentation.pictures import as_markdown


def table(rows: Iterable[Mapping[str, Any]]) -> TableMetadataValue | str:
    """Rows with the same columns as a table; no rows are the word `none`."""
    records = [TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return MetadataValue.table(records) if records else "none"


def picture(png: bytes, alt: str) -> MarkdownMetadataValue:
    """A PNG within the metadata itself: shown after a click on "Show Markdown"."""
    return MetadataValue.md(as_markdown(png, alt))


def _cell(value: Any) -> str | int | float | bool:
    if value is None:
        return ""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if isinstance(value, str | int | bool) else str(value)
