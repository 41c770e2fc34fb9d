"""`params.yaml`: every setting of every step, checked when it is read.

One section per step, named by the step's noun. Unknown names, wrong types and values out of
range are refused with the place, what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError, model_validator

from appraise.errors import ParamsError
from appraise.project.contradictions import contradictions, meaningful, methods_of
from appraise.project.sketching import GradientSketchesParams
from appraise.settings.data import (
    AuxiliaryDatasetsParams,
    NearCopiesParams,
    OffersParams,
    TargetParams,
)
from appraise.settings.model import BaseModelParams
from appraise.settings.section import Name, Section, described
from appraise.settings.training import DecisionOutcomeParams, EvaluationParams, LoraAdapterParams
from appraise.settings.valuation import (
    CandidatesParams,
    DatasetValuesParams,
    KernelMatrixParams,
    KmmWeightsParams,
    SelectedSubsetParams,
    TransferMatrixParams,
)
from appraise.storage.yaml_files import read_yaml


def _some_target(targets: dict[str, TargetParams]) -> dict[str, TargetParams]:
    if not targets:
        raise ValueError(
            "expected a target, found none; `appraise target-sets add FILE` makes one of a file"
        )
    return targets


class _Sections(Section):
    """The sections of `params.yaml`, each for itself."""

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
    lora_adapter: LoraAdapterParams = LoraAdapterParams()
    evaluation: EvaluationParams = EvaluationParams()
    decision_outcome: DecisionOutcomeParams = DecisionOutcomeParams()


class Params(_Sections):
    """All of `params.yaml`, of which nothing contradicts anything else."""

    @model_validator(mode="after")
    def _nothing_contradicts(self) -> Params:
        found = contradictions(dict(self))
        if found:
            raise ValueError("; ".join(found))
        return self

    def methods(self) -> tuple[str, ...]:
        """The methods that value the datasets."""
        return methods_of(self.dataset_values, self.policies())

    def policies(self) -> tuple[str, ...]:
        """The policies that mean something here: some need target data in the mix."""
        return meaningful(self.selected_subset, self.lora_adapter)


def read_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Raises:
        ParamsError: the file is missing, is not YAML or has values that cannot be used: a line for
            each.
    """
    sections, faults = read_sections(path)
    if faults:
        raise ParamsError(*(f"{path}: {fault}" for fault in faults))
    return Params.model_validate(sections)


def read_sections(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The sections of `params.yaml` that can be used, and a line for each fault.

    Raises:
        ParamsError: the file is missing or is not YAML.
    """
    content = _content(path)
    try:
        sections, faults = dict(_Sections.model_validate(content)), list[str]()
    except ValidationError as error:
        sections, faults = _usable(content), described(error)
    return sections, [*faults, *contradictions(sections)]


def _content(path: Path) -> Any:
    try:
        return read_yaml(path, ParamsError)
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: expected the project's settings, found no file; run inside a project folder "
            "or name one with --project"
        ) from None


def _usable(content: Any) -> dict[str, Any]:
    """The sections that nothing is wrong with; of the targets those."""
    given = content if isinstance(content, Mapping) else {}
    sections: dict[str, Any] = {}
    for name, field in _Sections.model_fields.items():
        kind: Any = Annotated[field.annotation, field]
        if name not in given and not field.is_required():
            sections[name] = field.get_default()
        elif name == "target_sets" and isinstance(given.get(name), Mapping):
            parts = (_valid(kind, {key: one}) for key, one in given[name].items())
            sections[name] = {key: one for part in parts for key, one in (part or {}).items()}
        elif (section := _valid(kind, given.get(name))) is not None:
            sections[name] = section
    return sections


def _valid(kind: Any, given: Any) -> Any:
    """What is given, as what it must be; None where it cannot be used."""
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError:
        return None
