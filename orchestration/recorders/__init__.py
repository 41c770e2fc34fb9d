"""The recorders: what keeps a record of what a step made.

`RECORDERS` is the registry of ours, in the order in which they are called. Lineage comes last: it
joins what the others report of a decision (`orchestration.reported`). To add one, write a module
with a class that has what `appraise.steps.recorder.Recorder` says, and give it a line here. The
packages that recorders need are imported when something is recorded.
"""

from __future__ import annotations

from types import MappingProxyType

from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.lineage import Lineage
from appraise.orchestration.recorders.mlflow import Mlflow
from appraise.steps.recorder import Recorder, Registry, discovered

RECORDERS: Registry = MappingProxyType({"dvc": Dvc, "mlflow": Mlflow, "lineage": Lineage})


def registered() -> tuple[Recorder, ...]:
    """Those of other installed packages, then ours, whether or not our own package is installed.

    Raises:
        ParamsError: a package's registry cannot be loaded.
    """
    ours = tuple(make() for make in RECORDERS.values())
    kinds = {type(recorder) for recorder in ours}
    return (*(each for each in discovered() if type(each) not in kinds), *ours)
