"""`params.yaml`: every setting of every step, checked when it is read.

One section per step, named by the step's noun. Unknown names, wrong types and values out of
range are refused with the place, what was expected and what was found.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from appraise.errors import ParamsError

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Policy = Literal[
    "none",
    "kmm",
    "kmm_bagged",
    "greedy",
    "best_subset",
    "one_step",
    "random",
    "target_only",
    "all",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sft(_Section):
    """Supervised fine-tuning: the mean negative log-likelihood of a completion's tokens."""

    kind: Literal["sft"] = "sft"


class Dpo(_Section):
    """Direct preference optimisation of pairs (chosen, rejected), the base model as reference."""

    kind: Literal["dpo"]
    beta: Annotated[float, Field(gt=0)] = 0.1


class Grpo(_Section):
    """Group-relative policy optimisation: completions sampled from the base model, with a reward.

    `reward` is a rule of ours (`rewards.RULES`) or a function of one's own, `module:function`, that
    is given the completion and the right answer and returns a number.
    """

    kind: Literal["grpo"]
    reward: str = "exact_number"
    generations: Annotated[int, Field(ge=2)] = 4
    max_new_tokens: Positive = 64
    temperature: Annotated[float, Field(gt=0)] = 1.0
    seed: int = 0


Objective = Annotated[Sft | Dpo | Grpo, Field(discriminator="kind")]


class Source(_Section):
    """Where rows come from, and how a row becomes a prompt and a completion.

    `source` is a path or URL that fsspec opens (a JSONL or Parquet file, `zip://a.jsonl::b.zip`,
    `hf://datasets/owner/name/file.parquet`), or a hub id or local folder in the hub's layout, in
    which case `split` names the split. `prompt`, `completion` and `choices` are templates over the
    row's columns: `"{question}\n{options}"`. `rejected` is the template of the worse answer of a
    pair; without it a wrong one of the `choices` is. `messages` names a column with a conversation
    in the hub's layout (a list of `{role, content}`), in place of prompt and completion. `where`
    keeps only the rows in whose columns these regular expressions are found.
    """

    source: str
    sha256: str | None = None
    split: str | None = None
    revision: str | None = None
    prompt: str = "{prompt}"
    completion: str = "{completion}"
    choices: str | None = None
    rejected: str | None = None
    messages: str | None = None
    where: dict[str, str] = {}


class Lora(_Section):
    """Which modules are adapted, and how A is drawn. Target modules and layers are as in PEFT.

    `target_modules` are names, or one regular expression over full names, or `all-linear`. `layers`
    are the numbers of the adapted layers; `last_layers` is short for the last so many of them.
    """

    rank: Positive = 8
    alpha: Positive = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: tuple[str, ...] | str = ("q_proj", "k_proj", "v_proj")
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None  # None: every layer
    last_layers: Positive | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _layers_once(self) -> Lora:
        if self.layers is not None and self.last_layers is not None:
            raise ValueError("give layers or last_layers, not both")
        return self


class BaseModelParams(_Section):
    """The language model, LoRA's shape, and how a prompt is put to the model."""

    source: str
    sha256: str | None = None
    revision: str | None = None
    prompt: str = "Question: {prompt}\nAnswer:"
    completion: str = " {completion}\n"
    chat: bool = False
    max_length: Positive = 512
    lora: Lora = Lora()


class OffersParams(_Section):
    """Where the pool of offers is described, and which licences may be bought; None for any."""

    pool: Path
    licences: tuple[str, ...] | None = None


class AuxiliaryDatasetsParams(_Section):
    """How much of a dataset is kept, and what refuses it."""

    max_examples: Positive = 512
    seed: int = 0
    min_examples: Positive = 8
    max_row_bytes: Positive = 1_000_000
    max_invalid_share: Share = 0.05


class NearCopiesParams(_Section):
    """How alike two rows are that count as one; None: nothing is compared."""

    similarity: Annotated[float, Field(gt=0, le=1)] | None = 0.4


class Component(Source):
    """One part of a target. Rows whose `group` (a template: `"{passage}"`) is the same never fall
    into two splits."""

    name: Name
    group: str | None = None


class TargetParams(_Section):
    """The task to improve: its components and how many examples of each go where."""

    title: str
    components: tuple[Component, ...] = Field(min_length=1)
    value: Positive = 16
    train: Annotated[int, Field(ge=0)] = 0
    test: Positive = 60
    seed: int = 0


class TaskVectors(_Section):
    """Short fine-tunes on a dataset's preview, cut into `parts`: one vector for each part."""

    parts: Positive = 2
    tokens: Positive = 4000  # trained on for each vector: the same budget for every dataset
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    seed: int = 0


class GradientSketchesParams(_Section):
    """How many examples are looked at, of which objective, and how their gradients are projected.

    `objective` is also what the adapters are trained with: value what you train. `dimension: null`
    takes d from `distortion`, the relative standard error of a squared norm. `vectors` says what
    stands for a dataset: gradients at the base model, or task vectors (θ after a short fine-tune
    minus θ before). A dataset of more than `max_rows` examples is kept as so many means of equally
    many examples. `device` is one of PyTorch's, or `auto` (a GPU if there is one), or `spread` (a
    model over several GPUs, by accelerate); `dtype: null` is bfloat16 on a GPU, else float32.
    """

    preview: Positive = 24
    objective: Objective = Sft()
    vectors: Literal["gradients", "task_vectors"] = "gradients"
    task_vectors: TaskVectors = TaskVectors()
    dimension: Positive | None = 4096
    distortion: Annotated[float, Field(gt=0, lt=1)] | None = None
    projection: Literal["countsketch", "none"] = "countsketch"
    max_rows: Annotated[int, Field(ge=2)] = 4096
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_size(self) -> GradientSketchesParams:
        if self.projection == "countsketch" and (self.dimension is None) == (
            self.distortion is None
        ):
            raise ValueError("give dimension or distortion, the other null")
        if self.vectors == "task_vectors" and self.objective.kind != "sft":
            raise ValueError("vectors is task_vectors, which are made with objective sft alone")
        return self


class CandidatesParams(_Section):
    """Of how many datasets the kernel matrix is made at most; of a larger pool those that count."""

    largest: Annotated[int, Field(ge=100)] = 2000


class KernelMatrixParams(_Section):
    """Whether gradients are scaled to unit length, and how exact K must be."""

    normalize: Literal["unit", "none"] = "unit"
    tolerance: Annotated[float, Field(gt=0)] = 1e-8


class TransferMatrixParams(_Section):
    """The programs with each dataset as the target, and how many datasets take part at most."""

    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.1
    largest: Positive = 200


class KmmWeightsParams(_Section):
    """The convex program, how λ is chosen, its intervals and how exact its solution must be.

    `rule: relative` takes λ as `relative_lambda` of λ_max; `number` the smallest λ at which at most
    `number` datasets have a weight; `budget` at which those with a weight cost at most `budget`.
    `cap` and `owner_cap` are the largest weights of a dataset and of all of an owner's together,
    `caps` those of datasets that have another one;
    `total` is what all weights add up to: 1 for shares of a mixture.
    """

    rule: Literal["relative", "number", "budget"] = "relative"
    number: Positive | None = None
    budget: Annotated[float, Field(gt=0)] | None = None
    relative_lambda: Annotated[float, Field(gt=0, le=1)] = 0.2
    penalty: Literal["uniform", "price"] = "uniform"
    ridge: Annotated[float, Field(ge=0)] = 0.0
    bootstraps: Annotated[int, Field(ge=0)] = 100
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    tolerance: Annotated[float, Field(gt=0)] = 1e-7
    cap: Annotated[float, Field(gt=0)] | None = None
    caps: dict[Name, Annotated[float, Field(gt=0)]] = {}
    owner_cap: Annotated[float, Field(gt=0)] | None = None
    total: Annotated[float, Field(gt=0)] | None = None
    family_cosine: Annotated[float, Field(gt=0, le=1)] = 0.8
    seed: int = 0

    @model_validator(mode="after")
    def _rule_has_its_number(self) -> KmmWeightsParams:
        if self.rule != "relative" and getattr(self, self.rule) is None:
            raise ValueError(f"rule is {self.rule}, but {self.rule} is not given")
        return self


class SelectedSubsetParams(_Section):
    """What is bought by which policy; `time_limit` is in seconds, of a mixed-integer program."""

    policies: tuple[Policy, ...] = ("none", "kmm", "one_step", "random")
    k: Positive = 3
    budget: Annotated[float, Field(gt=0)] | None = None
    time_limit: Annotated[float, Field(gt=0)] = 60.0
    seed: int = 0

    @field_validator("policies")
    @classmethod
    def _bought_first(cls, policies: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(policies)) != len(policies) or "kmm" not in policies:
            raise ValueError("must name each policy once, kmm among them")
        return policies


class LoraAdapterParams(_Section):
    """How adapters are trained, and on which mix."""

    steps: Positive = 60
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Share = 0.1
    target_share: Share = 0.0
    seed: int = 0


class EvaluationParams(_Section):
    """Whether lm-eval counts right answers besides the held-out loss."""

    lm_eval: bool = True


class DecisionOutcomeParams(_Section):
    """The paired bootstrap between policies."""

    resamples: Positive = 2000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: int = 0


class Params(_Section):
    """All of `params.yaml`."""

    base_model: BaseModelParams
    offers: OffersParams
    target_sets: dict[Name, TargetParams] = Field(min_length=1)
    auxiliary_datasets: AuxiliaryDatasetsParams = AuxiliaryDatasetsParams()
    near_copies: NearCopiesParams = NearCopiesParams()
    gradient_sketches: GradientSketchesParams = GradientSketchesParams()
    candidates: CandidatesParams = CandidatesParams()
    kernel_matrix: KernelMatrixParams = KernelMatrixParams()
    transfer_matrix: TransferMatrixParams = TransferMatrixParams()
    kmm_weights: KmmWeightsParams = KmmWeightsParams()
    selected_subset: SelectedSubsetParams = SelectedSubsetParams()
    lora_adapter: LoraAdapterParams = LoraAdapterParams()
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

    def policies(self) -> tuple[str, ...]:
        """The policies that mean something here: `target_only` needs target data in the mix."""
        share = self.lora_adapter.target_share
        return tuple(p for p in self.selected_subset.policies if p != "target_only" or share > 0)


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


def describe(error: ValidationError) -> str:
    """One line for all that pydantic found: place, what was expected, what was found."""
    found = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"]) or "the whole"
        value = repr(item["input"])
        shown = "" if isinstance(item["input"], dict) else f", found {value[:60]}"
        found.append(f"{place}: {item['msg']}{shown}")
    return "; ".join(found)
