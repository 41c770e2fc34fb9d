"""Where partitions are made: the same bytes wherever it is, and an error that is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from small_project import offer, rows, small_project, write_pool  # type: ignore[import-not-found]

from appraise.errors import OfferError, ParamsError
from appraise.project import Project
from appraise.steps.executors import EXECUTORS, HERE, Produce, default_executor, executor
from appraise.steps.flow import step
from appraise.steps.runner import run

NOUN, KEYS = "auxiliary_datasets", ("a", "b", "c")
EXAMPLES = {"here": "here", "processes": "processes:2"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made: Project = small_project(tmp_path)
    write_pool(tmp_path, [offer(tmp_path, name, rows(30, name)) for name in KEYS])
    for noun in ("offers", "target_sets"):
        run(step(noun), made)
    return made


def test_every_executor_has_an_example() -> None:
    assert set(EXAMPLES) == set(EXECUTORS)


@pytest.mark.parametrize("text", EXAMPLES.values())
def test_the_bytes_are_the_same_wherever_they_are_made(project: Project, text: str) -> None:
    run(step(NOUN), project)
    before = [project.content(NOUN, key) for key in KEYS]
    made = run(step(NOUN), project, force=True, executor=executor(text))
    assert made.made == KEYS
    assert [project.content(NOUN, key) for key in KEYS] == before


def test_an_error_in_a_process_leaves_what_the_others_made(project: Project) -> None:
    run(step(NOUN), project)
    before = [project.content(NOUN, key) for key in KEYS]
    with pytest.raises(OfferError, match="b cannot be made"):
        executor("processes:2").make(NOUN, project, KEYS, all_but_b)
    assert [(project.root / f"made-{key}").exists() for key in KEYS] == [True, False, True]
    assert [project.content(NOUN, key) for key in KEYS] == before


def all_but_b(noun: str, project: Project, keys: Sequence[str]) -> None:
    assert noun == NOUN
    for key in keys:
        if key == "b":
            raise OfferError("b cannot be made")
        (project.root / f"made-{key}").touch()


class Reversed:
    """An executor of one's own, in a few lines."""

    def make(self, noun: str, project: Project, keys: Sequence[str], produce: Produce) -> None:
        HERE.make(noun, project, keys[::-1], produce)


def test_an_executor_of_ones_own_is_handed_in(project: Project) -> None:
    made = run(step(NOUN), project, executor=Reversed())
    assert made.made == KEYS
    assert all(project.intact(NOUN, key) for key in KEYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "executor: expected one of here, processes"),
        ("slurm:4", "expected one of here, processes .*, found 'slurm:4'"),
        ("here:2", "executor here: expected no number, found 2"),
        ("processes", "executor processes: expected how many, found none"),
        ("processes:", "executor processes: expected a number after the colon, found ''"),
        ("processes:two", "expected a number after the colon, found 'two'"),
        ("processes:-1", "expected a number after the colon, found '-1'"),
        ("processes:0", "processes: expected 1 to"),
        ("processes:4096", "processes: expected 1 to .* on this machine, found 4096"),
    ],
)
def test_what_names_no_executor_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        executor(text)


def test_the_default_is_here_unless_the_environment_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("APPRAISE_EXECUTOR", raising=False)
    assert default_executor() == executor("here")
    monkeypatch.setenv("APPRAISE_EXECUTOR", "processes:1")
    assert default_executor() == executor("processes:1")
