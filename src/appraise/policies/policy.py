"""What a policy is: a way to choose a subset, and what others must know of it to use it.

A policy is a record. Whatever differs between policies is said by an attribute, so that no code
outside of this room asks for a policy by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from appraise.numerics.selection import Choose

Dependency = Literal["seed", "resamples", "search_limit", "objective"]


@dataclass(frozen=True)
class Policy:
    """A way to choose which datasets are bought.

    Attributes:
        name: in settings, folders and partitions: lower case, digits and underscores.
        title: for a buyer, two to four words.
        meaning: for a buyer, half a sentence: what it buys.
        choose: from what is given to what is bought. The same for the same `Given`, whatever the
            order of the datasets.
        method: the method of valuation whose values, or program, it reads; None where it reads
            none.
        depends_on: what else of a `Given` it reads: "seed", "resamples" (the mean values),
            "search_limit", "objective" (the program and its λ).
        buys: whether it ever buys anything.
        within_limits: whether k, budget and exclusions bind it.
        needs_target_data: whether it means something only where training mixes in target data.
        mixes_target_data: whether its adapter's mix has the target data that others have.
    """

    name: str
    title: str
    meaning: str
    choose: Choose
    method: str | None = None
    depends_on: frozenset[Dependency] = frozenset()
    buys: bool = True
    within_limits: bool = True
    needs_target_data: bool = False
    mixes_target_data: bool = True

    @property
    def decides(self) -> bool:
        """Whether its purchase may be a decision: it buys, and within the buyer's limits."""
        return self.buys and self.within_limits

    @property
    def trains(self) -> bool:
        """Whether its adapter may be trained on anything; else it is the base model as it is."""
        return self.buys or self.mixes_target_data
