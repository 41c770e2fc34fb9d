"""What a recorder is: something that keeps a record of what a step made, such as DVC or MLflow.

Recorders are found by the entry points of installed packages, group `appraise.recorders`, so that
this library names none of them. An entry point is a registry: a mapping from a name to what makes
the recorder of that name, most often its class. They are called in the registry's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, Protocol

from appraise.errors import ParamsError
from appraise.project import Project
from appraise.project.finding import Finding

GROUP = "appraise.recorders"
OURS = "appraise"  # the distribution whose registry comes last

By = Literal["command", "dvc", "dagster"]


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a step.

    Attributes:
        facts: key of the partition ("" for all) → name → value, shown on Dagster's page.
        left_out: why it was not recorded, for a warning; "" when it was.
    """

    facts: Mapping[str, Mapping[str, str]]
    left_out: str = ""


class Recorder(Protocol):
    """Keeps a record of what a step made. It never computes, and may be asked again."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def applies(self, project: Project, noun: str, by: By) -> bool:
        """Whether it is set up here and has an interest in this step.

        Args:
            by: who runs the step: a subcommand, a stage of `dvc repro`, or Dagster.
        """
        ...

    def record(self, project: Project, noun: str, run_id: str) -> Recorded:
        """Record what is there of a step and not yet recorded.

        Args:
            run_id: of the Dagster run; "" outside of Dagster.
        """
        ...

    def check(self, project: Project, by: By) -> Sequence[Finding]:
        """Say what would keep it from recording here, before anything is computed.

        It takes a fraction of a second and never raises for what a user can put right: it opens no
        connection without a limit of time, and imports nothing that is slow to.

        Args:
            by: who is about to run steps.
        """
        ...

    def failed(self, project: Project, noun: str, error: Exception) -> None:
        """Take note that a step failed."""
        ...


Registry = Mapping[str, Callable[[], Recorder]]


def discovered() -> tuple[Recorder, ...]:
    """The recorders of all installed packages; ours last, since lineage joins what others report.

    Raises:
        ParamsError: a package's registry cannot be loaded.
    """
    points = sorted(entry_points(group=GROUP), key=lambda point: (_is_ours(point), point.name))
    return tuple(make() for point in points for make in _loaded(point).values())


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == OURS


def _loaded(point: EntryPoint) -> Registry:
    try:
        registry: Registry = point.load()
        if not isinstance(registry, Mapping):
            raise TypeError(f"{registry!r} and no mapping from names to recorders")
    except (ImportError, AttributeError, TypeError) as error:
        raise ParamsError(
            f"entry point {point.name} = {point.value} in {GROUP}: expected recorders, found "
            f"{error}; reinstall or remove that package, or run with --no-record"
        ) from error
    return registry
