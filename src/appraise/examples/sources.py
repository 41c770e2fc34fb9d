"""Where rows come from: files, members of archives, URLs, folders and the hub's datasets.

Nothing that arrives is trusted: the content is hashed before it is parsed, rows and files have a
size limit, a row that cannot be read says so, and no code that comes with a dataset is ever run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from appraise.errors import OfferError
from appraise.examples.folders import Split, split_of
from appraise.examples.formats import Options, Row, is_file_name, rows_of
from appraise.examples.opening import SourceError, opened
from appraise.settings.data import Source
from appraise.storage.files import sha256_file, sha256_json

__all__ = ["Row", "SourceError", "kind", "read_rows", "source_sha256"]

Kind = Literal["file", "folder", "hub"]
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HIDDEN = re.compile(r"(^|/)\.")


def kind(source: str, root: Path) -> Kind:
    """What a source is: `file` (local or URL), `folder` or `hub` (an id).

    Raises:
        SourceError: it is none of these.
    """
    if "://" in source:
        return "file"
    path = root / source
    if path.is_dir():
        return "folder"
    if path.is_file() or is_file_name(source):
        return "file"
    if _HUB_ID.fullmatch(source):
        return "hub"
    raise SourceError(
        f"{source}: expected a file with rows, a folder or a hub id owner/name, found nothing by "
        "that name; check the source"
    )


def source_sha256(source: str, root: Path) -> str | None:
    """SHA-256 of the source's bytes; of a folder: of its files' names and hashes. None of a hub id.

    Hidden files of a folder do not count: they are what programs leave there.

    Raises:
        SourceError: it cannot be read.
    """
    what = kind(source, root)
    if what == "hub":
        return None
    if what == "folder":
        folder = root / source
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {path.relative_to(folder).as_posix(): path for path in files}
        return sha256_json(
            {name: sha256_file(path) for name, path in names.items() if not _HIDDEN.search(name)}
        )
    with opened(source, root) as (_, digest):
        return digest


def read_rows(source: Source, root: Path, max_row_bytes: int) -> Iterator[Row]:
    """The rows of a source, after its SHA-256 was checked.

    Raises:
        SourceError: missing, damaged, out of reach, or not the file that was offered.
        OfferError: the content is not what its name says, or larger than this reads.
    """
    options = Options(max_row_bytes, source.delimiter, source.field)
    if kind(source.source, root) == "file":
        with opened(source.source, root) as (file, digest), _named(source.source):
            _check(source, digest)
            yield from rows_of(_file_name(source.source), file, options)
        return
    with _named(source.source):
        _check(source, source_sha256(source.source, root))
        split = split_of(source, root)
        options = dataclasses.replace(
            options,
            delimiter=options.delimiter or split.delimiter,
            field=options.field or split.field,
        )
        yield from _split_rows(split, root, options)


def _split_rows(split: Split, root: Path, options: Options) -> Iterator[Row]:
    """The rows of several files, numbered through; what is wrong with one names its file too."""
    before = 0
    for name in split.files:
        last, short = before, name.rsplit("/", 1)[-1]
        with opened(name, root) as (file, _), _named(short):
            for row in rows_of(name, file, options):
                last = before + row.number
                wrong = row.unreadable and f"{row.unreadable} ({short}, row {row.number})"
                yield dataclasses.replace(row, number=last, unreadable=wrong)
        before = last


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Put a name in front of what is wrong."""
    try:
        yield
    except OfferError as error:
        raise type(error)(f"{name}: {error}") from None


def _file_name(source: str) -> str:
    """The name of the file that a source leads to, without the query of a URL."""
    name = source.split("::", 1)[0]
    return urlsplit(name).path if name.startswith(("http://", "https://")) else name


def _check(source: Source, digest: str | None) -> None:
    if source.sha256 is not None and digest is not None and digest != source.sha256:
        raise SourceError(
            f"expected SHA-256 {source.sha256[:12]}…, found {digest[:12]}…; the file is damaged or "
            "another version: get it again, or offer it as a new version"
        )
