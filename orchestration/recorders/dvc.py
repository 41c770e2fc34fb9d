"""DVC as a recorder: `dvc status` is clean after a step, and `dvc repro` has nothing to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from appraise.errors import ParamsError
from appraise.orchestration.recorders.dvc_lock import locked_md5, stages
from appraise.project import Project
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
            raise ParamsError(
                f"{project.root}: expected a DVC project, found no .dvc folder; run `dvc init` "
                "(`dvc init --no-scm` outside of git)"
            )
        from appraise.orchestration.recorders.dvc_commit import commit

        left_out = commit(project, self.step(noun), self.walked)
        md5 = locked_md5(project.root, noun)
        return Recorded({"": {"dvc_md5": md5}} if md5 and not left_out else {}, left_out)

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Nothing: `dvc.lock` still says what there was before."""


def is_set_up(project: Project) -> bool:
    """Whether DVC is installed and the folder is a DVC project."""
    return (project.root / ".dvc").is_dir() and find_spec("dvc") is not None
