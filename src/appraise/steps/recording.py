"""What was made is recorded, by each recorder that it concerns.

A recorder that fails undoes nothing: the partitions are on disk, the other recorders are asked all
the same, and the steps go on. What it missed is noted in `.appraise/unrecorded/<noun>.json`, and
it is asked for it again when the next step is recorded, until it has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from appraise.errors import ArtifactError, RecorderError
from appraise.errors.edge import as_ours, said
from appraise.project import Project
from appraise.steps.recorder import By, Recorded, Recorder
from appraise.storage.files import read_object, write_json


def record(
    recorders: Sequence[Recorder], project: Project, noun: str, by: By, run_id: str
) -> tuple[dict[str, Recorded], dict[str, str]]:
    """Have a step recorded, and what was missed of others.

    Args:
        recorders: those that the step concerns.

    Returns:
        What each recorder says, by its name; and why those could not that did not.
    """
    recorded: dict[str, Recorded] = {}
    missed: dict[str, str] = {}
    for recorder in recorders:
        try:
            recorded[recorder.name] = recorder.record(project, noun, run_id)
            _catch_up(recorder, project, noun, by, run_id)
        except Exception as error:  # of any kind: it is other software, and must not stop ours
            missed[recorder.name] = said(as_ours(error, project.root))
    _note(project, noun, dict.fromkeys(recorded, "") | missed)
    return recorded, missed


def _catch_up(recorder: Recorder, project: Project, noun: str, by: By, run_id: str) -> None:
    """Have a recorder that works again record the steps that it missed."""
    for other, why in unrecorded(project).items():
        if other != noun and recorder.name in why and recorder.applies(project, other, by):
            recorder.record(project, other, run_id)
            _note(project, other, {recorder.name: ""})


def report_failure(
    recorders: Sequence[Recorder], project: Project, noun: str, error: Exception
) -> None:
    """Have all recorders take note of a failure; what they raise is a note on its error."""
    for recorder in recorders:
        try:
            recorder.failed(project, noun, error)
        except Exception as second:
            line = said(as_ours(second, project.root))
            error.add_note(f"{recorder.name} did not take note of this failure: {line}")


def unrecorded(project: Project) -> dict[str, dict[str, str]]:
    """Step → recorder → why it has no record of it; {} when all is recorded."""
    return {path.stem: _noted(path) for path in sorted(_folder(project).glob("*.json"))}


def not_recorded(missed: Mapping[str, Mapping[str, str]]) -> RecorderError:
    """The error that says what has no record, by whom and why; steps of one reason together.

    Args:
        missed: step → recorder → why, as `unrecorded` has it.
    """
    nouns: dict[tuple[str, str], list[str]] = {}
    for noun, reasons in missed.items():
        for name, why in reasons.items():
            nouns.setdefault((name, why), []).append(noun)
    said = (f"{', '.join(of)}: made, but not recorded by {name}: {why}"
            for (name, why), of in nouns.items())  # fmt: skip
    return RecorderError("\n".join(said))


def _note(project: Project, noun: str, why: Mapping[str, str]) -> None:
    """Note why recorders have no record of a step; "" for those that have."""
    path = _folder(project) / f"{noun}.json"
    left = {name: line for name, line in {**_noted(path), **why}.items() if line}
    if left:
        write_json(path, left)
    else:
        path.unlink(missing_ok=True)


def _noted(path: Path) -> dict[str, str]:
    try:
        return {str(name): str(why) for name, why in read_object(path).items()}
    except ArtifactError:  # nothing is missing, or the note is damaged: the next one is whole
        return {}


def _folder(project: Project) -> Path:
    return project.root / ".appraise" / "unrecorded"
