"""Folders and the hub's datasets: which files a split has.

A folder is either what `datasets.save_to_disk` wrote, or in the hub's layout, in which the library
`datasets` says which files belong to a configuration and a split. The files themselves are read
here as any other file is: text stays text, whatever it looks like. Code is never run.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from appraise.errors import OfferError
from appraise.examples.formats.compression import split_name
from appraise.examples.opening import SourceError
from appraise.settings.data import Source
from appraise.settings.section import describe

SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"  # as `datasets` names them
_UNDERSTOOD = {  # of a configuration in the hub's layout; anything else would change what rows say
    "name", "version", "data_dir", "data_files", "description", "features", "columns",
    "sep", "delimiter", "field", "chunksize", "batch_size", "use_threads", "block_size",
}  # fmt: skip
_CONFIGS = re.compile(rb"^configs:", re.MULTILINE)
_TABLES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow")


T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Split:
    """The files of a split, and how they are read.

    Attributes:
        files: paths or URLs, in their order.
        delimiter: between columns, as the folder says; None: as usual.
        field: under which key of a JSON object the rows are, as the folder says.
    """

    files: tuple[str, ...]
    delimiter: str | None = None
    field: str | None = None


def split_of(source: Source, root: Path) -> Split:
    """The split that an offer names, of a local folder or of a dataset on the hub.

    Raises:
        SourceError: the hub is out of reach, or there is no such dataset, configuration or split.
        OfferError: there is code in place of data, or something else that cannot be read.
    """
    folder = root / source.source
    if (folder / SAVED_SPLITS).is_file() or (folder / SAVED).is_file():
        return _saved(source, folder)
    return _laid_out(source, root)


class _Splits(BaseModel):
    """What `dataset_dict.json` says."""

    splits: list[str]


class _File(BaseModel):
    """A file of rows that `state.json` names."""

    filename: str


class _State(BaseModel):
    """What `state.json` says."""

    files: list[_File] = Field(alias="_data_files")
    split: str | None = Field(default=None, alias="_split")
    selection: list[_File] | None = Field(default=None, alias="_indices_data_files")


def _saved(source: Source, folder: Path) -> Split:
    """What `datasets.save_to_disk` wrote: a split, or a folder for each."""
    if source.config is not None:
        raise OfferError("config: expected none, found one: `save_to_disk` writes none")
    if (folder / SAVED_SPLITS).is_file():
        folder /= _chosen(source.split, _read(folder / SAVED_SPLITS, _Splits).splits)
    state = _read(folder / SAVED, _State)
    if source.split is not None and state.split not in (None, source.split):
        raise OfferError(f"split: expected {state.split} or none, found {source.split}")
    if state.selection:
        raise OfferError(
            "expected a dataset without a selection of rows beside it, found one; save it with "
            "`flatten_indices().save_to_disk(…)`"
        )
    names = [Path(file.filename).name for file in state.files]
    return Split(tuple(str((folder / name).absolute()) for name in names))


def _read(path: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SourceError(f"{path.name}: expected a file, found none; save it again") from None
    except ValidationError as error:
        raise SourceError(
            f"{path.name}: expected it as `save_to_disk` writes it, found {describe(error, most=2)}"
        ) from None


def _chosen(split: str | None, names: list[str]) -> str:
    if split in names:
        return split
    raise OfferError(_one_of("split", names, split))


def _laid_out(source: Source, root: Path) -> Split:
    """The hub's layout, local or on the hub, as the library `datasets` resolves it."""
    folder = root / source.source
    local = folder.is_dir()
    builder = _builder(source, str(folder) if local else source.source, root, local)
    splits = {str(name): tuple(files) for name, files in (builder.config.data_files or {}).items()}
    files = splits[_chosen(source.split, list(splits))]
    if local:
        _check_inside(folder, {file for files in splits.values() for file in files})
    usual = dataclasses.asdict(type(builder.config)())
    given = {name: getattr(builder.config, name) for name in usual.keys() - _UNDERSTOOD}
    strange = sorted(name for name, value in given.items() if value != usual[name])
    if strange:
        raise OfferError(
            f"expected files that are read as they are, found the settings {', '.join(strange)} in "
            "README.md; offer the files themselves"
        )
    delimiter = getattr(builder.config, "sep", None)
    return Split(
        files,
        None if delimiter in (",", "\t") else delimiter,
        getattr(builder.config, "field", None),
    )


def _builder(source: Source, path: str, root: Path, local: bool) -> Any:
    """What `datasets` knows of a dataset without reading any of its rows."""
    import datasets

    script = f"{Path(path).name}.py"
    if local and (Path(path) / script).is_file():
        raise _script_found(script)
    revision = None if local else source.revision
    try:
        names = datasets.get_dataset_config_names(path, revision=revision)
        name = source.config or datasets.get_dataset_default_config_name(path, revision=revision)
        if name not in names:
            raise OfferError(_one_of("config", names, source.config))
        cache = str(root / ".appraise" / "datasets")
        return datasets.load_dataset_builder(path, name, revision=revision, cache_dir=cache)
    except RuntimeError:  # which `datasets` raises for a script alone
        raise _script_found(script) from None
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise SourceError(f"expected a dataset in the hub's layout, found: {what}") from None


def _script_found(name: str) -> OfferError:
    return OfferError(
        f"expected files with rows, found the loading script {name}, which is never run; offer the "
        "files that it reads, or what the hub made of them in Parquet (the branch "
        "refs/convert/parquet), or run it yourself and save its rows with `save_to_disk`"
    )


def _one_of(field: str, names: list[str], given: str | None) -> str:
    found = f"none; add `{field}:`" if given is None else given
    return f"expected `{field}` to name one of {', '.join(names) or 'none'}, found {found}"


def _check_inside(folder: Path, used: set[str]) -> None:
    """Refuse files of other folders, and tables that no split has because of their kind."""
    top = folder.resolve()  # lexically: in the hub's cache files are links to a folder beside it
    outside = [file for file in used if ".." in file or not Path(file).is_relative_to(top)]
    if outside:
        raise OfferError(f"expected files within the folder, found {min(outside)} in README.md")
    kinds = {split_name(file)[0] for file in used}
    others = {
        split_name(path.name)[0]
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and str(top / path.relative_to(folder)) not in used
    }
    left = sorted(others.intersection(_TABLES) - kinds)
    if left and not _lists_files(folder):
        raise OfferError(
            f"expected files of one kind, found {', '.join(sorted(kinds))} and {', '.join(left)}; "
            "offer one of the files, or list those that count under `configs` in README.md"
        )


def _lists_files(folder: Path) -> bool:
    """Whether the folder's README.md says which files count."""
    card = folder / "README.md"
    return card.is_file() and _CONFIGS.search(card.read_bytes()) is not None
