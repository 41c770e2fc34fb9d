"""Policies: how a subset is chosen within the buyer's limits, one entry for each.

CONTRIBUTING.md shows how one is added.
"""

from __future__ import annotations

from appraise.numerics.subsets import best, forward
from appraise.policies.at_random import at_random
from appraise.policies.by_objective import by_objective
from appraise.policies.by_value import by_mean_value, by_value
from appraise.policies.everything import everything
from appraise.policies.nothing import nothing
from appraise.policies.policy import Policy

_REGISTERED = (
    nothing(
        "none",
        title="Nothing bought",
        meaning="the base model as it is",
        target_data=False,
    ),
    by_objective(
        "kmm",
        best,
        title="Best mix",
        meaning="of all sets within the limits, the one that comes closest to the task",
        method="kmm",
        searches=True,
    ),
    by_value(
        "largest_weights",
        title="Largest shares",
        meaning="the largest weights in the mix of everything on offer",
        method="kmm",
        pooling="sum",
    ),
    by_mean_value(
        "kmm_bagged",
        title="Steadiest mix",
        meaning="the largest weights on average, when the samples are drawn again and again",
        method="kmm",
        pooling="sum",
    ),
    by_objective(
        "greedy",
        forward,
        title="One after another",
        meaning="each time the dataset that adds most to those already taken",
        method="kmm",
    ),
    by_value(
        "one_step",
        title="Best one by one",
        meaning="the datasets that look best when each is judged on its own",
        method="alignment",
    ),
    by_value(
        "task_vectors",
        title="Best by task vector",
        meaning="the datasets on which a short training run moves the model as the task does",
        method="task_vectors",
    ),
    at_random(
        "random",
        title="Drawn at random",
        meaning="as many datasets, drawn at random",
    ),
    nothing(
        "target_only",
        title="Own data only",
        meaning="trained on the task's own examples, nothing bought",
        target_data=True,
    ),
    everything(
        "all",
        title="Everything",
        meaning="all datasets on offer",
    ),
)
POLICIES: dict[str, Policy] = {policy.name: policy for policy in _REGISTERED}
