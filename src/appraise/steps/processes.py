"""A step's partitions, shared out among processes of one machine.

Partitions do not depend on each other. Each process has its share of the cores and, where there are
several, a GPU of its own; the bytes are the same whoever makes them.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from appraise.errors import ParamsError
from appraise.project import Project

if TYPE_CHECKING:
    from appraise.steps.step import Step


def share_out(step: Step, project: Project, keys: Sequence[str], workers: int) -> None:
    """Make the partitions: here, or in as many processes as asked for.

    Raises:
        ParamsError: no worker, or more than there are cores.
        AppraiseError: the first that a process raised, when the others have ended; what they made
            stays.
    """
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= workers <= len(cores):
        raise ParamsError(f"--workers: expected 1 to {len(cores)} on this machine, found {workers}")
    workers = min(workers, len(keys))
    if workers == 1:
        step.make(project, keys)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        due = [
            pool.submit(
                _make,
                step.noun,
                project.root,
                keys[number::workers],
                cores[number::workers],
                number,
            )
            for number in range(workers)
        ]
        for done in as_completed(due):
            done.exception()  # all end before the first of them speaks
    for one in due:
        one.result()


def _make(noun: str, root: Path, keys: Sequence[str], cores: Sequence[int], number: int) -> None:
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = str(len(cores))
    gpus = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    os.environ["LOCAL_RANK"] = str(number)  # accelerate's name for a process's place on its machine
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    from appraise.steps import step

    step(noun).make(Project(root), keys)
