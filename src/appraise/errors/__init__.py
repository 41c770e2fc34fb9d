"""What can go wrong, in a handful of classes.

A message says what was expected, what was found and what to do. The command line prints it on
one line and exits with the class's code; there is no traceback for a user's mistake.
"""

from __future__ import annotations


class AppraiseError(Exception):
    """Base of every error this library raises on purpose.

    Attributes:
        faults: what is wrong, one line for each thing; most errors are of one.
    """

    exit_code = 2

    def __init__(self, *faults: str) -> None:
        several = [f"{len(faults)} things to put right first:", *(f"- {each}" for each in faults)]
        super().__init__(faults[0] if len(faults) == 1 else "\n".join(several))
        self.faults = faults


class ParamsError(AppraiseError):
    """`params.yaml` or an argument is not what it must be."""


class OfferError(AppraiseError):
    """An offer, or the data behind it, cannot be used."""


class ArtifactError(AppraiseError):
    """A file that a step needs is missing, damaged or made with other settings."""


class ModelError(AppraiseError):
    """The base model, its tokenizer or its gradients cannot be used."""


class SolverError(AppraiseError):
    """The convex program is ill-posed or its answer fails its certificate."""


class RecorderError(AppraiseError):
    """A step was made, but DVC, MLflow or another recorder has no record of it."""


class MachineError(AppraiseError):
    """The machine is in the way: disk, memory, permissions, or a package that is missing."""


class DefectError(AppraiseError):
    """Something that nobody foresaw; the message names the file that holds the traceback."""

    exit_code = 1


class SetAside(AppraiseError):  # noqa: N818 - an end, not an error
    """Everything that could be done was done, but some datasets were set aside."""

    exit_code = 3
