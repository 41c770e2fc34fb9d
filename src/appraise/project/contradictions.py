"""What sections of `params.yaml` say against each other, and names in them that nobody knows.

Each function here gets the sections that its parameters are named after, and gives a line for each
fault: the place, what was expected, what was found, what to do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from appraise.language_model.mixes import MIXES
from appraise.methods import METHODS
from appraise.policies import POLICIES
from appraise.project.sketching import GradientSketchesParams
from appraise.settings.data import TargetParams
from appraise.settings.model import BaseModelParams
from appraise.settings.section import expected_one_of
from appraise.settings.training import LoraAdapterParams
from appraise.settings.valuation import DatasetValuesParams, SelectedSubsetParams


def contradictions(sections: Mapping[str, Any]) -> list[str]:
    """All that can be said of these sections; one that is not there contradicts nothing."""
    found: list[str] = []
    for check in CHECKS:
        names = inspect.signature(check).parameters
        if sections.keys() >= names.keys():
            found += check(**{name: sections[name] for name in names})
    return found


def meaningful(asked: SelectedSubsetParams, training: LoraAdapterParams) -> tuple[str, ...]:
    """The policies asked for that mean something: some need target data in the mix."""
    mixed = training.target_share > 0
    known = (name for name in asked.policies if name in POLICIES)
    return tuple(name for name in known if mixed or not POLICIES[name].needs_target_data)


def methods_read(policies: tuple[str, ...]) -> dict[str, str]:
    """Policy → the method whose values it reads, for those that read any."""
    methods = {name: POLICIES[name].method for name in policies}
    return {name: method for name, method in methods.items() if method is not None}


def methods_of(values: DatasetValuesParams, policies: tuple[str, ...]) -> tuple[str, ...]:
    """The methods that value the datasets: those asked for, or those that policies read."""
    wanted = values.methods or methods_read(policies).values()
    return tuple(name for name in METHODS if name in wanted)


def _target_data(
    lora_adapter: LoraAdapterParams, target_sets: Mapping[str, TargetParams]
) -> Iterator[str]:
    if lora_adapter.target_share > 0:
        for name, target in target_sets.items():
            if target.train == 0:
                yield (
                    f"target_sets.{name}.train: expected examples for training, because "
                    f"lora_adapter.target_share is {lora_adapter.target_share:g}, found 0; raise "
                    "it, or set target_share to 0"
                )


def _mix(lora_adapter: LoraAdapterParams) -> Iterator[str]:
    if lora_adapter.mix not in MIXES:
        yield f"lora_adapter.mix: {expected_one_of(MIXES, lora_adapter.mix)}"


def _policies(
    selected_subset: SelectedSubsetParams, lora_adapter: LoraAdapterParams
) -> Iterator[str]:
    for place, name in enumerate(selected_subset.policies):
        if name not in POLICIES:
            yield f"selected_subset.policies.{place}: {expected_one_of(POLICIES, name)}"
    able = [n for n in meaningful(selected_subset, lora_adapter) if POLICIES[n].decides]
    if selected_subset.decide_by not in able:
        yield (
            "selected_subset.decide_by: expected one of selected_subset.policies that buys within "
            f"the limits ({', '.join(able) or 'there is none'}), found "
            f"{selected_subset.decide_by!r}"
        )


def _methods(
    dataset_values: DatasetValuesParams,
    selected_subset: SelectedSubsetParams,
    lora_adapter: LoraAdapterParams,
) -> Iterator[str]:
    asked = dataset_values.methods or ()
    for place, name in enumerate(asked):
        if name not in METHODS:
            yield f"dataset_values.methods.{place}: {expected_one_of(METHODS, name)}"
    for policy, method in methods_read(meaningful(selected_subset, lora_adapter)).items():
        if asked and method not in asked:
            yield (
                f"dataset_values.methods: expected {method} among them, whose values policy "
                f"{policy} reads, found {', '.join(asked)}; add it, or leave out the policy"
            )


def _vectors(
    gradient_sketches: GradientSketchesParams,
    dataset_values: DatasetValuesParams,
    selected_subset: SelectedSubsetParams,
    lora_adapter: LoraAdapterParams,
) -> Iterator[str]:
    vectors, policies = gradient_sketches.vectors, meaningful(selected_subset, lora_adapter)
    for name in methods_of(dataset_values, policies):
        able = METHODS[name].vectors
        if vectors not in able:
            readers = [one for one, method in methods_read(policies).items() if method == name]
            yield (
                f"gradient_sketches.vectors: expected {' or '.join(sorted(able))}, "
                f"which method {name} values, found {vectors}; change it, or leave out "
                f"{' and '.join(['the method', *(f'policy {one}' for one in readers)])}"
            )


def _room_for_completions(
    base_model: BaseModelParams, gradient_sketches: GradientSketchesParams
) -> Iterator[str]:
    sampled = gradient_sketches.objective.sampled
    if sampled >= base_model.max_length:
        yield (
            f"gradient_sketches.objective.max_new_tokens: expected fewer tokens than "
            f"base_model.max_length ({base_model.max_length}), which a prompt and its completion "
            f"share, found {sampled}; lower it, or raise max_length"
        )


CHECKS: tuple[Callable[..., Iterator[str]], ...] = (
    _target_data,
    _mix,
    _policies,
    _methods,
    _vectors,
    _room_for_completions,
)
