"""S_t: per-example gradients of each target's value split, projected like the datasets'.

All value examples are used; one without a finite gradient is an error, as the target is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from appraise.errors import ModelError
from appraise.project.reads import Given, Part, Reads, same
from appraise.records.sketch import Sketch
from appraise.records.tables import ValueSplit
from appraise.steps.gradient_sketches import MADE_BY, READ, sketched
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, each_target

if TYPE_CHECKING:
    from appraise.language_model.sketcher import Order, Sketched


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    orders = [_order(given) for given in partitions]
    for made in sketched(partitions[0], orders, progress):
        _check_whole(made)
        yield Output(made.order.key, (made.sketch,), made.measured, written=made.forget)


def _order(given: Given) -> Order:
    from appraise.language_model.sketcher import Order

    table = given.read(ValueSplit, "target_sets", given.key)
    count = sum(len(batch) for batch in table.batches(READ))
    return Order(given.key, table.path, None, count, given.work, given.partial)


def _check_whole(made: Sketched) -> None:
    meta = made.sketch.meta
    lost = [*meta.dropped_not_finite, *meta.too_long]
    if lost or meta.no_signal == made.kept:
        raise ModelError(
            f"target {made.order.key}: expected finite gradients of all {made.asked} value "
            f"examples, found none of {', '.join(lost[:5]) or 'any: all rewards are equal'}; "
            "remove them from the target's source"
        )


STEP = Step(
    noun="target_sketches",
    partitions="target",
    keys=each_target,
    reads=MADE_BY | Reads(parts=(Part("target_sets", (ValueSplit,), same),)),
    writes=(Sketch,),
    make=_make,
    version="5",  # 5: exact_text keeps signs; 4: control tokens in a text are letters
)
