"""Every dataset as the target of all others: who helps whom, and who pulls the other way.

M_ij is the weight of dataset i in the signed program whose target is dataset j (arXiv 2605.16704,
Figure 7). Of a large pool only the datasets most aligned with a target, either way, take part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.targets import transfer_matrix
from appraise.project.reads import Given, Part, Reads
from appraise.records.kernel import Kernel, Pair, Transfer, TransferFacts
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole

_NAMED = 20  # of the strongest pairs


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        params, kernel = given.params.transfer_matrix, given.read(Kernel, "kernel_matrix")
        strongest = np.argsort(-np.abs(kernel.C).max(axis=0), kind="stable")
        part = np.sort(strongest[: params.largest])
        try:
            M = transfer_matrix(kernel.K[np.ix_(part, part)], params.relative_lambda)
        except SolverError as error:
            raise SolverError(f"transfer_matrix: {error}") from None
        transfer = Transfer(M, tuple(kernel.ids[i] for i in part))
        yield Output(given.key, (transfer, _strongest(M, transfer.ids, len(kernel.ids))))


def _strongest(M: Floats, ids: Sequence[str], n: int) -> TransferFacts:
    """Who helps most, and who hinders most."""
    size = np.abs(np.nan_to_num(M))
    order = np.argsort(-size, axis=None, kind="stable")[: 2 * _NAMED]
    places = [divmod(int(place), len(ids)) for place in order]
    pairs = [
        Pair(of=ids[i], for_=ids[j], weight=float(M[i, j])) for i, j in places if size[i, j] > 0
    ]
    return TransferFacts(
        datasets=len(ids),
        left_out=n - len(ids),
        helps=tuple(pair for pair in pairs if pair.weight > 0)[:_NAMED],
        hinders=tuple(pair for pair in pairs if pair.weight < 0)[:_NAMED],
    )


STEP = Step(
    noun="transfer_matrix",
    partitions="",
    keys=whole,
    reads=Reads(settings=("transfer_matrix",), parts=(Part("kernel_matrix", (Kernel,)),)),
    writes=(Transfer, TransferFacts),
    make=_make,
)
