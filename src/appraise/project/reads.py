"""What a step reads, said once.

A step declares the settings, parts and facts that it reads. The declaration, resolved for one
partition, is hashed into that partition's recipe, and it is all that the step's `make` is given:
whatever else is asked for is refused. It also proves what `dvc.yaml` says of the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, JsonValue
from pydantic_core import to_jsonable_python

from appraise.errors import ArtifactError
from appraise.project.keys import WHOLE, target_of
from appraise.project.layout import Project, R, Readable
from appraise.project.manifest import Input, Recipe
from appraise.project.params import Params
from appraise.storage.files import sha256_file, sha256_json

OWN = "*"  # in the name of a setting: the partition's own target


class Undeclared(Exception):  # noqa: N818 - a defect of a step, never a user's error
    """A step asked for something that it did not declare."""


Keys = Callable[[Project, str], Iterable[str]]


def only(_: Project, __: str) -> tuple[str]:
    """The key of a step without partitions."""
    return (WHOLE,)


def same(_: Project, key: str) -> tuple[str]:
    """The partition's own key."""
    return (key,)


def own_target(_: Project, key: str) -> tuple[str]:
    """The target of the partition's key."""
    return (target_of(key),)


def all_targets(project: Project, _: str) -> list[str]:
    """Every target."""
    return sorted(project.params.target_sets)


@dataclass(frozen=True)
class Part:
    """Records in partitions of another step.

    Attributes:
        noun: the other step.
        records: what of its partitions is read; nothing for all of each partition.
        keys: which partitions.
    """

    noun: str
    records: tuple[type[Readable], ...] = ()
    keys: Keys = only

    @property
    def files(self) -> tuple[str | None, ...]:
        """The files that are read; None for the whole partition."""
        return tuple(record.FILE for record in self.records) or (None,)


@dataclass(frozen=True)
class Fact:
    """A value of which nothing else matters: the offers' prices, but not their titles.

    Attributes:
        name: what `make` asks for it by.
        value: works it out for a partition; of what JSON can hold.
        nouns: the steps whose outputs it is taken from.
        settings: the settings that it is taken from.
        large: the recipe has its hash in place of the value.
    """

    name: str
    value: Callable[[Project, str], Any]
    nouns: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    large: bool = False

    def stated(self, project: Project, key: str) -> Any:
        """The value as the recipe has it, and as it comes back from a manifest."""
        value = _as_json(self.value(project, key))
        return {"sha256": sha256_json(value)} if self.large else value


@dataclass(frozen=True)
class Reads:
    """What a step reads.

    Attributes:
        settings: names in `params.yaml`, dotted; `target_sets.*` is the section of the partition's
            own target.
        parts: records of other steps.
        facts: values of which nothing else matters.
        outside: gives the files outside of `data/` that are read, by a name for each.
        how: settings that say how something is computed and not what: seen, but not hashed.
    """

    settings: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    facts: tuple[Fact, ...] = ()
    outside: Callable[[Project, str], Mapping[str, Path]] | None = None
    how: tuple[str, ...] = ()

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            (*self.settings, *other.settings),
            (*self.parts, *other.parts),
            (*self.facts, *other.facts),
            self.outside or other.outside,
            (*self.how, *other.how),
        )

    @property
    def nouns(self) -> tuple[str, ...]:
        """The steps whose outputs are read, each once."""
        taken = (noun for fact in self.facts for noun in fact.nouns)
        return tuple(dict.fromkeys([*(part.noun for part in self.parts), *taken]))

    @property
    def names(self) -> frozenset[str]:
        """All settings that decide the content, dotted, without the target's own name."""
        taken = (name for fact in self.facts for name in fact.settings)
        return frozenset(name.removesuffix(f".{OWN}") for name in (*self.settings, *taken))

    def recipe(self, project: Project, key: str, version: str) -> Recipe:
        """What decides the content of a partition, all of it by value or by hash.

        Raises:
            ArtifactError: something that is read has not been made.
        """
        inputs = {
            Input(part.noun, other, file): project.content(part.noun, other, file)
            for part in self.parts
            for other in part.keys(project, key)
            for file in part.files
        }
        outside = {} if self.outside is None else self.outside(project, key)
        return Recipe(
            version=version,
            settings={name: _setting(project.params, name, key) for name in self.settings},
            facts={fact.name: fact.stated(project, key) for fact in self.facts},
            inputs=inputs,
            outside={name: sha256_file(path) for name, path in outside.items()},
        )


def _named(name: str, key: str) -> tuple[str, ...]:
    return tuple(target_of(key) if part == OWN else part for part in name.split("."))


def _setting(params: Params, name: str, key: str) -> Any:
    """A setting as JSON."""
    value: Any = params
    for part in _named(name, key):
        value = value[part] if isinstance(value, Mapping) else getattr(value, part)
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else _as_json(value)


def _as_json(value: Any) -> JsonValue:
    """As it comes back from a manifest: no tuples, no paths."""
    content: JsonValue = to_jsonable_python(value)
    return content


class _Allowed:
    """Settings of which only some may be seen; the others raise `Undeclared`."""

    def __init__(self, value: Any, allowed: Sequence[tuple[str, ...]], place: str = "") -> None:
        self._value, self._allowed, self._place = value, allowed, place

    def __getattr__(self, name: str) -> Any:
        return self._at(name, lambda: getattr(self._value, name))

    def __getitem__(self, name: str) -> Any:
        return self._at(name, lambda: self._value[name])

    def _at(self, name: str, value: Callable[[], Any]) -> Any:
        place = f"{self._place}.{name}".lstrip(".")
        below = [rest for first, *rest in self._allowed if first == name]
        if not below:
            raise Undeclared(f"setting {place}: read, but not declared")
        if [] in below:
            return value()
        return _Allowed(value(), [tuple(rest) for rest in below], place)


@dataclass(frozen=True)
class Given:
    """What the making of one partition may see: what its step declared, and nothing else.

    Attributes:
        key: of the partition.
        recipe: what was declared, resolved.
    """

    key: str
    recipe: Recipe
    _project: Project
    _reads: Reads
    _noun: str

    @property
    def root(self) -> Path:
        """The project's folder, for sources that are pinned by their hash."""
        return self._project.root

    @property
    def params(self) -> Params:
        """The settings; one that was not declared raises `Undeclared`."""
        names = (*self._reads.settings, *self._reads.how)
        allowed = [_named(name, self.key) for name in names]
        return cast("Params", _Allowed(self._project.params, allowed))

    def keys(self, noun: str) -> list[str]:
        """The partitions of another step that may be read, in the order of the declaration."""
        return list(dict.fromkeys(each.key for each in self.recipe.inputs if each.noun == noun))

    def read(self, record: type[R], noun: str, key: str = WHOLE) -> R:
        """A record of another step's partition, after its files were hashed again.

        Raises:
            ArtifactError: a file is not what the recipe says.
            Undeclared: the step did not declare it.
        """
        self.sha256(noun, key, record.FILE)
        return self._project.read(record, noun, key)

    def sha256(self, noun: str, key: str, file: str | None = None) -> str:
        """The hash of a declared part."""
        sha256 = self._declared(noun, key, file)
        if sha256 is None:
            raise Undeclared(f"{self._noun}: {noun} {key} {file}: read, but not declared")
        return sha256

    def _declared(self, noun: str, key: str, file: str | None) -> str | None:
        inputs = self.recipe.inputs
        return inputs.get(Input(noun, key, file)) or inputs.get(Input(noun, key, None))

    def folder(self, noun: str, key: str = WHOLE) -> Path:
        """The folder of another step's partition, all of which was declared and is hashed again.

        Raises:
            ArtifactError: a file is not what its manifest says.
            Undeclared: the step did not declare the whole partition.
        """
        if Input(noun, key, None) not in self.recipe.inputs:
            raise Undeclared(f"{self._noun}: all of {noun} {key}: read, but not declared")
        return self._project.open(noun, key)

    def fact(self, name: str) -> Any:
        """The value of a declared fact.

        Raises:
            ArtifactError: it is not what it was when the recipe was made.
        """
        declared = next((fact for fact in self._reads.facts if fact.name == name), None)
        if declared is None:
            raise Undeclared(f"{self._noun}: fact {name}: read, but not declared")
        if not declared.large:
            return self.recipe.facts[name]
        value = _as_json(declared.value(self._project, self.key))
        if {"sha256": sha256_json(value)} != self.recipe.facts[name]:
            raise ArtifactError(
                f"{self._noun} {self.key}: {name} changed while this was computed; run the step "
                "again"
            )
        return value

    def outside(self, name: str) -> Path:
        """A file outside of `data/`."""
        paths = {} if self._reads.outside is None else self._reads.outside(self._project, self.key)
        if name not in paths:
            raise Undeclared(f"{self._noun}: file {name}: read, but not declared")
        return paths[name]

    def before(self, record: type[R]) -> R | None:
        """A record of this very partition as it is now, of which something may be taken over.

        None where it has not been made, is damaged, or was made by other code or settings.
        """
        try:
            made = self._project.manifest(self._noun, self.key).recipe
            if (made.version, made.settings) != (self.recipe.version, self.recipe.settings):
                return None
            return self._project.read(record, self._noun, self.key)
        except ArtifactError:
            return None

    def made_from(self, noun: str, key: str = WHOLE) -> Recipe:
        """What a declared part was itself made from."""
        if not any((each.noun, each.key) == (noun, key) for each in self.recipe.inputs):
            raise Undeclared(f"{self._noun}: {noun} {key}: read, but not declared")
        return self._project.manifest(noun, key).recipe

    @property
    def work(self) -> str:
        """SHA-256 of all that decides the content: what work in progress is recognised by."""
        return sha256_json(self.recipe.as_json())

    @property
    def partial(self) -> Path:
        """The folder where work in progress is kept until it is a partition."""
        return self._project.partial(self._noun, self.key)
