"""The first rows of a source that lies on this machine, looked at before anything is computed."""

from __future__ import annotations

import itertools
from pathlib import Path

import fsspec

from appraise.errors import OfferError
from appraise.examples.columns import names_of
from appraise.examples.opening import absolute
from appraise.examples.reading import check_pairs
from appraise.examples.sources import Row, kind, read_rows
from appraise.examples.templates import RowTemplates
from appraise.examples.values import Refusal
from appraise.settings.data import Source

ROWS = 64
MOST_BYTES = 64 * 2**20  # of a source that is hashed and opened for it


def first_fault(
    source: Source, root: Path, max_row_bytes: int, *, group: str | None = None, pairs: bool = False
) -> str | None:
    """What would keep the source from being read as it is asked for, or None.

    Templates are always checked; whether there is a file with the right SHA-256, rows, and the
    columns that the templates name, if it is here and small. Where the first rows have different
    columns nothing is said of those that are missing: others may have them.

    Args:
        group: template of what no two splits may share.
        pairs: whether each row must have a worse answer too.
    """
    try:
        templates = RowTemplates.of(source, group)
        check_pairs(source, templates, pairs)
        if not _is_here(source, root):
            return None
        first = list(itertools.islice(read_rows(source, root, max_row_bytes), ROWS))
        layouts = {frozenset(names_of(row.columns)) for row in first if _is_kept(row, templates)}
        if len(layouts) == 1:
            templates.check(layouts.pop())
    except OfferError as error:
        return str(error)
    return None


def _is_kept(row: Row, templates: RowTemplates) -> bool:
    try:
        return bool(row.columns) and templates.keeps(row.columns)
    except Refusal:  # of a row that will be named when all are read
        return False


def _is_here(source: Source, root: Path) -> bool:
    """Whether it can be looked at in no time; SourceError where it should be here and is not."""
    what = kind(source.source, root)
    last = source.source.split("::")[-1]
    if what == "hub" or "://" in last:
        return False
    if what == "folder":
        files = (path for path in (root / source.source).rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) <= MOST_BYTES
    try:
        system, path = fsspec.core.url_to_fs(absolute(source.source, root))
        return int(system.size(path) or 0) <= MOST_BYTES
    except (OSError, ValueError, KeyError):
        return True  # reading it says what is wrong
