"""A manifest: what a partition was made from, and the hash of each of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from appraise.errors import ArtifactError
from appraise.settings.section import describe
from appraise.storage.files import read_json, sha256_file, sha256_json, write_json

MANIFEST = "manifest.json"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, order=True)
class Input:
    """A partition of another step that was read, or one file of it.

    Attributes:
        noun: the step.
        key: of the partition.
        file: None for all of it.
    """

    noun: str
    key: str
    file: str | None = None

    @property
    def name(self) -> str:
        """As people and decisions name it: `noun/key/file`."""
        return "/".join(part for part in (self.noun, self.key, self.file) if part)


@dataclass(frozen=True)
class Recipe:
    """What decides the content of a partition.

    Attributes:
        version: of the step's code.
        settings: name in `params.yaml` → value.
        facts: name → value.
        inputs: what was read of other steps → SHA-256.
        outside: name of a file outside of `data/` → SHA-256.
    """

    version: str
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    inputs: dict[Input, str] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, JsonValue]:
        """As the manifest states it."""
        return {
            "version": self.version,
            "settings": dict(self.settings),
            "facts": dict(self.facts),
            "inputs": [
                {"noun": each.noun, "key": each.key, "file": each.file, "sha256": sha256}
                for each, sha256 in sorted(
                    self.inputs.items(), key=lambda item: (item[0].noun, item[0].key, item[0].name)
                )
            ],
            "outside": dict(self.outside),
        }


class _InputEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    noun: str
    key: str
    file: str | None
    sha256: Sha256


class Manifest(BaseModel):
    """The content of `manifest.json`.

    Attributes:
        noun: the step that made the partition.
        key: of the partition.
        schemas: file name → version of the record that wrote it.
        files: file name → SHA-256.
        content: SHA-256 of `files`: the partition's identity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    noun: str
    key: str
    version: str
    settings: dict[str, JsonValue]
    facts: dict[str, JsonValue]
    inputs: tuple[_InputEntry, ...]
    outside: dict[str, str]
    schemas: dict[str, int]
    files: dict[str, Sha256]
    content: Sha256

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it; ArtifactError where it is missing or is not a manifest of this version."""
        content = read_json(folder / MANIFEST)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ArtifactError(
                f"{folder.name}/{MANIFEST}: expected a manifest as this version writes them, found "
                f"{describe(error)[:200]}; run the step again"
            ) from None

    @classmethod
    def of(
        cls, noun: str, key: str, recipe: Recipe, files: dict[str, str], schemas: dict[str, int]
    ) -> Manifest:
        """The manifest of files that were just written."""
        stated: Any = recipe.as_json()
        content = sha256_json(files)
        return cls(noun=noun, key=key, **stated, schemas=schemas, files=files, content=content)

    def write(self, folder: Path) -> None:
        """Write it, last of all files."""
        write_json(folder / MANIFEST, self.model_dump(mode="json"))

    def describes(self, folder: Path) -> bool:
        """Whether every file in a folder is there and is what this says."""
        return all(
            (folder / name).is_file() and sha256_file(folder / name) == sha256
            for name, sha256 in self.files.items()
        )

    @property
    def recipe(self) -> Recipe:
        """What the partition was made from."""
        inputs = {Input(each.noun, each.key, each.file): each.sha256 for each in self.inputs}
        return Recipe(self.version, self.settings, self.facts, inputs, self.outside)
