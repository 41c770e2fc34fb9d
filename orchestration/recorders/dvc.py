"""DVC as a recorder: `dvc status` is clean after a step, and `dvc repro` has nothing to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from appraise.errors import ParamsError
from appraise.orchestration.checkout import checkout_above
from appraise.orchestration.recorders.dvc_lock import locked_md5, stages
from appraise.project import Project
from appraise.project.finding import Finding, ok, wrong
from appraise.steps.flow import step
from appraise.steps.recorder import By, Recorded
from appraise.steps.step import Step

if TYPE_CHECKING:
    from appraise.orchestration.recorders.dvc_commit import Walked


@dataclass(frozen=True)
class Dvc:
    """Records a step's outputs and dependencies in `dvc.lock`, once all partitions are current.

    While some are not, `dvc.lock` is left alone, and `dvc status` says so, which is the truth.

    Attributes:
        step: the step of a noun.
        walked: what the folders hashed last had in them, so that none is hashed twice.
    """

    step: Callable[[str], Step] = step
    walked: Walked = field(default_factory=dict, repr=False, compare=False)
    name: str = "dvc"

    def applies(self, project: Project, noun: str, by: By) -> bool:
        """Not in a stage of `dvc repro`, which DVC records itself. For Dagster always, so that a
        project that is not set up is noticed; on the command line where it is set up."""
        if by == "command":
            return is_set_up(project) and noun in stages(project.root / "dvc.yaml")
        return by == "dagster"

    def record(self, project: Project, noun: str, run_id: str) -> Recorded:  # noqa: ARG002
        """Commit the stage.

        Raises:
            ParamsError: the folder is not a DVC project.
        """
        if not (project.root / ".dvc").is_dir():
            raise ParamsError(_not_set_up(project))
        from appraise.orchestration.recorders.dvc_commit import commit

        left_out = commit(project, self.step(noun), self.walked)
        md5 = locked_md5(project.root, noun)
        return Recorded({"": {"dvc_md5": md5}} if md5 and not left_out else {}, left_out)

    def check(self, project: Project, by: By) -> list[Finding]:
        """See `Recorder.check`; what DVC would need of git, its settings and files."""
        if find_spec("dvc") is None:
            return [ok(self.name, "not installed: no step is recorded")]
        if not (project.root / ".dvc").is_dir():
            if by == "dagster":
                return [wrong(self.name, _not_set_up(project))]
            return [ok(self.name, "no .dvc folder: no step is recorded")]
        from appraise.orchestration.recorders.dvc_checks import obstacles

        found = [wrong(self.name, line) for line in obstacles(project.root)]
        return found or [ok(self.name, "each step is recorded in dvc.lock")]

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Nothing: `dvc.lock` still says what there was before."""


def _not_set_up(project: Project) -> str:
    top = checkout_above(project.root)
    option = " --no-scm" if top is None else "" if top == project.root else " --subdir"
    found = f"{project.root}: expected a DVC project, found no .dvc folder"
    return f"{found}; run `dvc init{option}` in it"


def is_set_up(project: Project) -> bool:
    """Whether DVC is installed and the folder is a DVC project."""
    return (project.root / ".dvc").is_dir() and find_spec("dvc") is not None
