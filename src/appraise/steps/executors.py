"""Where a step's partitions are made: in this process, or shared out among several.

Partitions do not depend on each other, and their bytes are the same whoever makes them. An executor
knows nothing of steps: it is handed a function which makes the partitions that it is given.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from appraise.errors import ParamsError
from appraise.project import Project

VARIABLE = "APPRAISE_EXECUTOR"

Produce = Callable[[str, Project, Sequence[str]], None]
"""Makes partitions of a step: (noun, project, keys). It can be pickled."""


class Executor(Protocol):
    """Where a step's partitions are made."""

    def make(self, noun: str, project: Project, keys: Sequence[str], produce: Produce) -> None:
        """Have all of the partitions made.

        Raises:
            AppraiseError: the first that `produce` raised; partitions already made stay.
        """
        ...


@dataclass(frozen=True)
class Here:
    """One after another in this process."""

    def make(self, noun: str, project: Project, keys: Sequence[str], produce: Produce) -> None:
        """See `Executor.make`."""
        produce(noun, project, keys)


@dataclass(frozen=True)
class Processes:
    """Shared out among processes of this machine.

    Each process has its share of the cores and, where there are several, a GPU of its own.

    Attributes:
        number: of processes; fewer are started for fewer partitions, and none for one.

    Raises:
        ParamsError: no process, or more than there are cores.
    """

    number: int

    def __post_init__(self) -> None:
        cores = len(os.sched_getaffinity(0))
        if not 1 <= self.number <= cores:
            raise ParamsError(
                f"processes: expected 1 to {cores} on this machine, found {self.number}"
            )

    def make(self, noun: str, project: Project, keys: Sequence[str], produce: Produce) -> None:
        """See `Executor.make`. All processes end before the first error is raised."""
        workers = min(self.number, len(keys))
        if workers <= 1:
            HERE.make(noun, project, keys, produce)
            return
        cores = sorted(os.sched_getaffinity(0))
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            due = [
                pool.submit(
                    _work,
                    produce,
                    noun,
                    project.root,
                    keys[number::workers],
                    cores[number::workers],
                    number,
                )
                for number in range(workers)
            ]
            for done in as_completed(due):
                done.exception()  # waits for it; raised below, once all have ended
        for share in due:
            share.result()


def _work(
    produce: Produce,
    noun: str,
    root: Path,
    keys: Sequence[str],
    cores: Sequence[int],
    number: int,
) -> None:
    """In a new process: take its cores and GPU, then make its share of the partitions."""
    os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = str(len(cores))
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    os.environ["LOCAL_RANK"] = str(number)  # accelerate's name for a process's place on its machine
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    produce(noun, Project(root), keys)


HERE = Here()


def _here(number: int | None) -> Executor:
    if number is not None:
        raise ParamsError(f"executor here: expected no number, found {number}; processes:{number}?")
    return HERE


def _processes(number: int | None) -> Executor:
    if number is None:
        raise ParamsError("executor processes: expected how many, found none; processes:4 is four")
    return Processes(number)


EXECUTORS: Mapping[str, Callable[[int | None], Executor]] = MappingProxyType(
    {"here": _here, "processes": _processes}
)
"""Name → what makes an executor of the number behind the name's colon (None: there is none)."""


def executor(text: str) -> Executor:
    """The executor that a text such as `here` or `processes:4` names.

    Raises:
        ParamsError: there is none of this name, or the number does not fit it.
    """
    name, colon, number = text.strip().partition(":")
    if name not in EXECUTORS:
        names = ", ".join(EXECUTORS)
        raise ParamsError(f"executor: expected one of {names} (as in processes:4), found {text!r}")
    if not colon:
        return EXECUTORS[name](None)
    if not number.isascii() or not number.isdigit():
        raise ParamsError(f"executor {name}: expected a number after the colon, found {number!r}")
    return EXECUTORS[name](int(number))


def default_executor() -> Executor:
    """The executor that APPRAISE_EXECUTOR names; without it, here.

    Raises:
        ParamsError: the variable names none.
    """
    return executor(os.environ.get(VARIABLE) or "here")
