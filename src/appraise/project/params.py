"""`params.yaml`: every setting of every step, checked when it is read.

One section per step, named by the step's noun. Unknown names, wrong types and values out of
range are refused with the place, what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from appraise.errors import ParamsError
from appraise.language_model.mixes import MIXES
from appraise.methods import METHODS
from appraise.objectives import OBJECTIVES
from appraise.objectives.objective import Objective
from appraise.objectives.sft import Sft
from appraise.policies import POLICIES
from appraise.settings.data import (
    AuxiliaryDatasetsParams,
    NearCopiesParams,
    OffersParams,
    TargetParams,
)
from appraise.settings.model import BaseModelParams
from appraise.settings.section import Name, Section, describe
from appraise.settings.sketches import SketchSettings
from appraise.settings.training import DecisionOutcomeParams, EvaluationParams, LoraAdapterParams
from appraise.settings.valuation import (
    CandidatesParams,
    DatasetValuesParams,
    KernelMatrixParams,
    KmmWeightsParams,
    SelectedSubsetParams,
    TransferMatrixParams,
)


def _one_of(name: str, known: Iterable[str], given: object) -> str:
    """A name that is registered; ValueError lists those that are."""
    if not isinstance(given, str) or given not in known:
        found = "none" if given is None else repr(given)
        raise ValueError(f"{name}: expected one of {', '.join(known)}, found {found}")
    return given


def _objective(value: object) -> object:
    """The settings of the objective that `kind` names."""
    if not isinstance(value, Mapping):
        return value
    chosen = OBJECTIVES[_one_of("kind", OBJECTIVES, value.get("kind"))]
    try:
        return chosen.model_validate(value)
    except ValidationError as error:
        raise ValueError(describe(error)) from None


class GradientSketchesParams(SketchSettings):
    """How many examples are looked at, for which objective, and how gradients are projected."""

    objective: Annotated[SerializeAsAny[Objective], BeforeValidator(_objective)] = Sft()
    """What adapters are trained for too: value what you train (`appraise.objectives`)."""

    @model_validator(mode="after")
    def _task_vectors_follow_it(self) -> GradientSketchesParams:
        if self.vectors == "task_vectors" and not self.objective.task_vectors:
            able = [name for name, kind in OBJECTIVES.items() if kind.task_vectors]
            raise ValueError(
                f"vectors is task_vectors, which are made with objective {' or '.join(able)} alone"
            )
        return self


def _known_mix(params: LoraAdapterParams) -> LoraAdapterParams:
    _one_of("mix", MIXES, params.mix)
    return params


def _some_target(targets: dict[str, TargetParams]) -> dict[str, TargetParams]:
    if not targets:
        raise ValueError(
            "expected a target, found none; `appraise target-sets add FILE` makes one of a file"
        )
    return targets


class Params(Section):
    """All of `params.yaml`."""

    base_model: BaseModelParams
    offers: OffersParams
    target_sets: Annotated[dict[Name, TargetParams], AfterValidator(_some_target)]
    auxiliary_datasets: AuxiliaryDatasetsParams = AuxiliaryDatasetsParams()
    near_copies: NearCopiesParams = NearCopiesParams()
    gradient_sketches: GradientSketchesParams = GradientSketchesParams()
    candidates: CandidatesParams = CandidatesParams()
    kernel_matrix: KernelMatrixParams = KernelMatrixParams()
    transfer_matrix: TransferMatrixParams = TransferMatrixParams()
    dataset_values: DatasetValuesParams = DatasetValuesParams()
    kmm_weights: KmmWeightsParams = KmmWeightsParams()
    selected_subset: SelectedSubsetParams = SelectedSubsetParams()
    lora_adapter: Annotated[LoraAdapterParams, AfterValidator(_known_mix)] = LoraAdapterParams()
    evaluation: EvaluationParams = EvaluationParams()
    decision_outcome: DecisionOutcomeParams = DecisionOutcomeParams()

    @model_validator(mode="after")
    def _target_data_exists(self) -> Params:
        if self.lora_adapter.target_share > 0:
            for name, target in self.target_sets.items():
                if target.train == 0:
                    raise ValueError(
                        f"lora_adapter.target_share is above 0 but target_sets.{name}.train is 0"
                    )
        return self

    @model_validator(mode="after")
    def _policies_exist(self) -> Params:
        asked = self.selected_subset
        for place, name in enumerate(asked.policies):
            if name not in POLICIES:
                raise ValueError(
                    f"selected_subset.policies.{place}: expected one of {', '.join(POLICIES)}, "
                    f"found {name!r}"
                )
        self._check_decide_by(asked.decide_by)
        return self

    @model_validator(mode="after")
    def _methods_exist(self) -> Params:
        asked = self.dataset_values.methods or ()
        for place, name in enumerate(asked):
            if name not in METHODS:
                raise ValueError(
                    f"dataset_values.methods.{place}: expected one of {', '.join(METHODS)}, "
                    f"found {name!r}"
                )
        for policy, method in self._read_by_policies().items():
            if asked and method not in asked:
                raise ValueError(
                    f"dataset_values.methods: expected {method} among them, whose values policy "
                    f"{policy} reads, found {', '.join(asked)}; add it, or leave out the policy"
                )
        return self

    def _read_by_policies(self) -> dict[str, str]:
        """Policy → the method whose values it reads, for those that read any."""
        methods = {name: POLICIES[name].method for name in self.policies()}
        return {name: method for name, method in methods.items() if method is not None}

    def methods(self) -> tuple[str, ...]:
        """The methods that value the datasets."""
        wanted = self.dataset_values.methods or self._read_by_policies().values()
        return tuple(name for name in METHODS if name in wanted)

    def _check_decide_by(self, name: str) -> None:
        """Of the policies that mean something here, one of which all can be said that is said."""
        ranking = [policy for policy in self.policies() if POLICIES[policy].ranks]
        if name not in ranking:
            raise ValueError(
                "selected_subset.decide_by: expected one of selected_subset.policies that ranks "
                "datasets, so that it can be said what would get a refused one bought "
                f"({', '.join(ranking) or 'there is none'}), found {name!r}"
            )

    def policies(self) -> tuple[str, ...]:
        """The policies that mean something here: some need target data in the mix."""
        mixed = self.lora_adapter.target_share > 0
        names = self.selected_subset.policies
        return tuple(name for name in names if mixed or not POLICIES[name].needs_target_data)


def read_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Raises:
        ParamsError: the file is missing, is not YAML or has a value that cannot be used.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: expected the project's settings, found no file; run inside a project folder "
            "or name one with --project"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: expected YAML, found {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{path}: {describe(error)}") from None
