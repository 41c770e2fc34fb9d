"""Rows as people have them, written to a file as a provider would give it.

A dataset of `datasets`, a data frame, a table of Arrow, or a list of mappings; a text or a path is
a source of its own: a file, a folder or a hub id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from pyarrow import parquet

from appraise.errors import ParamsError
from appraise.storage.files import replacing

SPLIT = ("DatasetDict", "IterableDatasetDict")


def written(name: str, rows: Any, file: Path) -> str:
    """Write rows to a Parquet file, unless they are in one; gives the name of the source.

    Args:
        name: what they are called in a message.

    Raises:
        ParamsError: they are no rows.
    """
    if isinstance(rows, str | PathLike):
        return str(rows)
    if type(rows).__name__ in SPLIT:
        raise ParamsError(
            f"{name}: expected rows, found the splits {', '.join(map(str, rows))}; give one of "
            "them, as in dataset['train']"
        )
    table = _table(name, rows)
    if not table.num_rows:
        raise ParamsError(f"{name}: expected rows, found none")
    with replacing(file) as temporary:
        parquet.write_table(table, temporary)
    return str(file)


def _table(name: str, rows: Any) -> pyarrow.Table:
    try:
        if isinstance(rows, pyarrow.Table):
            return rows
        if isinstance(rows, pd.DataFrame):
            return pyarrow.Table.from_pandas(rows, preserve_index=False)
        if hasattr(rows, "with_format") and hasattr(rows, "num_rows"):  # of `datasets`
            return rows.with_format("arrow")[:]
        return _of_mappings(name, rows)
    except pyarrow.ArrowException as error:
        what = " ".join(str(error).split())[:160]
        raise ParamsError(f"{name}: expected columns of one type each, found: {what}") from None


def _of_mappings(name: str, rows: Any) -> pyarrow.Table:
    if isinstance(rows, Mapping | bytes) or not isinstance(rows, Iterable):
        raise ParamsError(
            f"{name}: expected rows (a dataset of `datasets`, a data frame or a list of mappings) "
            f"or the name of a file, found {type(rows).__name__}"
        )
    listed = list(rows)
    for number, row in enumerate(listed, start=1):
        if not isinstance(row, Mapping):
            raise ParamsError(
                f"{name}: row {number}: expected a mapping from column to value, found "
                f"{type(row).__name__}"
            )
    columns = dict.fromkeys(column for row in listed for column in row)
    return pyarrow.table({c: pyarrow.array([row.get(c) for row in listed]) for c in columns})
