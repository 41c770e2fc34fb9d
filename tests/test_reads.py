"""What each step reads is what it declares: files, contents and settings, watched while it runs.

The kind of fault: a step that reads what its recipe does not name counts as up to date when that
changes. So each step of a finished project is run again under a project that writes down whatever
is asked of it, in a copy that holds nothing but what was declared.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from tiny_project import write_project

from appraise.project import MANIFEST, Project
from appraise.project.params import Params
from appraise.project.reads import Undeclared
from appraise.steps.flow import NOUNS, step
from appraise.steps.progress import progress_of
from appraise.steps.runner import write
from appraise.steps.step import Step

ROOT = Path(__file__).parents[1]


class Watched(Project):
    """A project that writes down which steps' outputs and which settings are asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.nouns: set[str] = set()
        self.settings: set[str] = set()

    @cached_property
    def params(self) -> Params:
        return _Seen(super().params, (), self.settings)  # type: ignore[return-value]

    def folder(self, noun: str, key: str = "") -> Path:
        self.nouns.add(noun)
        return super().folder(noun, key)


class _Seen:
    """Settings that write down the names of those that are read."""

    def __init__(self, value: Any, place: tuple[str, ...], seen: set[str]) -> None:
        self._value, self._place, self._seen = value, place, seen

    def _next(self, name: str, value: Any) -> Any:
        place = (*self._place, name)
        if isinstance(value, BaseModel | dict):
            return _Seen(value, place, self._seen)
        self._seen.add(".".join(place))
        return value

    @property
    def __class__(self) -> type:  # sections are told from values by their type
        return type(self._value)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._value, name)
        if name.startswith("__"):
            return value
        if name in ("policies", "methods") and not self._place:
            self._seen |= {"selected_subset.policies", "lora_adapter.target_share"}
            self._seen |= {"dataset_values.methods"} if name == "methods" else set()
            return value
        if callable(value):  # a method of the whole section
            self._seen.add(".".join(self._place))
            return value
        return self._next(name, value)

    def __getitem__(self, name: str) -> Any:
        return self._next(name, self._value[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((name, self[name]) for name in self._value)


_opened: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.append(arguments[0])


sys.addaudithook(_watch)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """The files that Python opens meanwhile."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture(scope="module")
def done(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_project import all_of_it

    policies = ["none", "kmm", "one_step", "random", "kmm_bagged", "greedy", "target_only"]
    root = write_project(
        tmp_path_factory.mktemp("reads") / "project",
        tiny,
        selected_subset={"policies": policies},
        lora_adapter={"target_share": 0.5},
    )
    all_of_it(root)
    return root


def covered(name: str, declared: set[str]) -> bool:
    """Whether a setting is declared, or a section that it is in, or some of what is in it."""
    return any(
        name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")
        for other in declared
    )


def produce(one: Step, project: Project, key: str) -> str:
    """Make one partition anew; its content."""
    given = one.given(project, key)
    with progress_of(one.noun, 1) as progress:
        for output in one.make([given], progress):
            write(one, project, output, given.recipe)
    return project.content(one.noun, key)


def keys_of(noun: str, root: Path) -> list[str]:
    return step(noun).keys(Project(root))


@pytest.mark.parametrize("noun", NOUNS)
def test_a_step_asks_for_what_it_declares(noun: str, done: Path, tmp_path: Path) -> None:
    root, one = Path(shutil.copytree(done, tmp_path / "project")), step(noun)
    for key in one.keys(Project(root)):
        project = Watched(root)
        produce(one, project, key)
        reads = one.declared(key)
        nouns = {noun, *reads.nouns}
        assert project.nouns <= nouns, f"{noun} {key}: outputs of steps that it does not declare"
        settings = {name.replace("*", key.split("/")[0]) for name in (*reads.names, *reads.how)}
        settings |= {"target_sets"}  # which targets there are
        strange = {name for name in project.settings if not covered(name, settings)}
        assert not strange, f"{noun} {key}: settings that it does not declare"


@pytest.mark.parametrize("noun", NOUNS)
def test_a_step_needs_nothing_but_what_it_declares(noun: str, done: Path, tmp_path: Path) -> None:
    """Where everything else is missing, the same bytes are made."""
    one = step(noun)
    for number, key in enumerate(one.keys(Project(done))):
        root = tmp_path / str(number)
        expected = Project(done).content(noun, key)
        only_declared(one, key, done, root)
        with opened_files() as opened:
            assert produce(one, Project(root), key) == expected, f"{noun} {key}"
        inside = {Path(name) for name in opened if name.startswith(str(root / "data"))}
        inside = {path for path in inside if path.is_file()}
        allowed = declared_files(one, key, root)
        own = root / "data" / noun / key
        strange = {
            p for p in inside - allowed if not p.is_relative_to(own) and ".tmp-" not in str(p)
        }
        assert not strange, f"{noun} {key}: opens files that it does not declare"


def declared_files(one: Step, key: str, root: Path) -> set[Path]:
    """The declared files, their manifests, and all of the steps that facts are taken from."""
    project = Project(root)
    files = set()
    for each in one.recipe(project, key).inputs:
        folder = project.folder(each.noun, each.key)
        names = project.manifest(each.noun, each.key).files if each.file is None else [each.file]
        files |= {folder / MANIFEST, *(folder / name for name in names)}
    for fact in one.declared(key).facts:
        for noun in fact.nouns:
            files |= {path for path in (root / "data" / noun).rglob("*") if path.is_file()}
    for noun in one.keys.nouns:
        files |= {path for path in (root / "data" / noun).rglob("*") if path.is_file()}
    return files


def only_declared(one: Step, key: str, done: Path, root: Path) -> None:
    """Copy a project without what this partition does not declare."""
    shutil.copytree(done, root, ignore=shutil.ignore_patterns("data", ".appraise", "lineage"))
    for path in declared_files(one, key, done):
        copy = root / path.relative_to(done)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def test_what_is_not_declared_is_refused(done: Path) -> None:
    project = Project(done)
    given = step("transfer_matrix").given(project, "")
    with pytest.raises(Undeclared, match="setting kmm_weights"):
        _ = given.params.kmm_weights
    with pytest.raises(Undeclared, match="setting base_model"):
        _ = step("evaluation").given(project, "desk/kmm").params.base_model.source
    with pytest.raises(Undeclared, match="offers"):
        given.folder("offers")
    with pytest.raises(Undeclared, match="fact prices"):
        given.fact("prices")


@pytest.mark.parametrize("noun", NOUNS)
def test_dvc_yaml_says_what_the_step_declares(noun: str) -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][noun]
    one = step(noun)
    deps = {dep.removeprefix("data/") for dep in stage.get("deps", ()) if dep.startswith("data/")}
    assert deps == set(one.needs)
    sections = {name.partition(".")[0] for name in one.settings}
    assert set(stage.get("params", ())) == sections


@pytest.mark.parametrize("noun", ["gradient_sketches", "target_sketches", "lora_adapter"])
def test_another_precision_is_another_sketch_and_another_adapter(
    noun: str, done: Path, tmp_path: Path
) -> None:
    root, one = Path(shutil.copytree(done, tmp_path / "project")), step(noun)
    keys = one.keys(Project(root))
    assert all(one.current(Project(root), key) for key in keys)
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["gradient_sketches"]["dtype"] = "bfloat16"
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    assert not any(one.current(Project(root), key) for key in keys)
    evaluation = step("evaluation")
    assert not any(evaluation.current(Project(root), k) for k in evaluation.keys(Project(root)))
