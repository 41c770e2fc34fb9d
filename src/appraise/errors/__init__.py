"""What can go wrong, in a handful of classes.

A message says what was expected, what was found and what to do. The command line prints it on
one line and exits with the class's code; there is no traceback for a user's mistake.
"""

from __future__ import annotations

from collections.abc import Sequence


class AppraiseError(Exception):
    """Base of every error this library raises on purpose."""

    exit_code = 2


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


def in_one_message(faults: Sequence[str]) -> str:
    """Several faults as one message, a line for each; of one fault the line."""
    if len(faults) == 1:
        return faults[0]
    return "\n".join([f"{len(faults)} things to put right first:", *(f"- {f}" for f in faults)])
