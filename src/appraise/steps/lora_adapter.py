"""A LoRA adapter trained on each policy's subset, in PEFT's own layout.

Every policy starts from the same A and B = 0 and trains for the same number of steps, by the
objective that the datasets were valued for (`gradient_sketches.objective`) and in the same
precision, on a mix of the target's training split and, in equal parts, the datasets bought. A
policy that buys nothing, with no target data in the mix, gives the initialisation itself: the base
model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model.mixes import TARGET, mix_of
from appraise.language_model.prompts import fits
from appraise.policies import POLICIES
from appraise.project import Project
from appraise.project.keys import name_of, target_of
from appraise.project.reads import Fact, Given, Part, Reads
from appraise.records.adapter import AdapterTraining
from appraise.records.subset import Subset
from appraise.records.tables import DatasetExamples, ExampleTable, TrainSplit
from appraise.settings.model import BaseModelParams
from appraise.steps.base_model import USED
from appraise.steps.gradient_sketches import PLACED, PRECISION
from appraise.steps.progress import Progress
from appraise.steps.selected_subset import by_policy
from appraise.steps.step import Keys, Output, Step

if TYPE_CHECKING:
    from appraise.language_model.protocols import AdaptedModel, Tokenizer

DATASETS = "auxiliary_datasets"


@dataclass(frozen=True)
class _Adapter:
    """The weights of a trained adapter."""

    adapted: AdaptedModel

    def write(self, folder: Path) -> None:
        from appraise.language_model.adapters import save

        save(self.adapted, folder)


def _datasets(project: Project, key: str) -> list[str]:
    """What the policy buys: of the subset only this, so that another price trains nothing."""
    return sorted(project.read(Subset, "selected_subset", key).datasets)


def _target_share(project: Project, key: str) -> float:
    mixes = POLICIES[name_of(key)].mixes_target_data
    return project.params.lora_adapter.target_share if mixes else 0.0


def _target_data(project: Project, key: str) -> list[str]:
    return [target_of(key)] if _target_share(project, key) > 0 else []


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    from appraise.language_model import adapters, base, training
    from appraise.language_model.placement import Placement
    from appraise.language_model.trunk import Trunk

    first = partitions[0]
    folder, params = first.folder("base_model"), first.params.base_model
    sketches = first.params.gradient_sketches
    tokenizer, a = base.load_tokenizer(folder), base.read_lora(folder)
    model = base.load(folder, Placement.of(sketches.device, sketches.dtype))
    trunk, pools = Trunk(model, params.lora), _Pools(tokenizer, progress)
    for given in partitions:
        settings = given.params.lora_adapter.model_copy(
            update={"target_share": given.fact("target_share")}
        )
        mix = mix_of(pools.of(given), settings)
        adapted = adapters.with_adapter(model, params.lora, a)
        progress.count(0 if mix is None else settings.steps, "step", given.key)
        done = training.train(
            adapted, trunk, tokenizer, mix, sketches.objective, params, settings, progress.step
        )
        yield Output(given.key, (_Adapter(adapted), done))
        model = adapted.unload().eval().requires_grad_(False)


class _Pools:
    """The examples that mixes may draw, each dataset read and measured once."""

    def __init__(self, tokenizer: Tokenizer, progress: Progress) -> None:
        self._tokenizer, self._progress = tokenizer, progress
        self._fitting: dict[Path, list[Example]] = {}

    def of(self, given: Given) -> dict[str, list[Example]]:
        """By the names of their datasets, the target's under `target`."""
        tables: dict[str, ExampleTable] = {
            name: given.read(DatasetExamples, DATASETS, name) for name in given.fact("datasets")
        }
        for target in given.keys("target_sets"):
            tables[TARGET] = given.read(TrainSplit, "target_sets", target)
        return {name: self._read(given, name, table) for name, table in tables.items()}

    def _read(self, given: Given, name: str, table: ExampleTable) -> list[Example]:
        if table.path not in self._fitting:
            base = given.params.base_model
            kept = fitting(self._tokenizer, base, name, table.all(), self._progress)
            self._fitting[table.path] = kept
        return self._fitting[table.path]


def fitting(
    tokenizer: Tokenizer,
    base: BaseModelParams,
    name: str,
    examples: Sequence[Example],
    progress: Progress,
) -> list[Example]:
    """The examples of a dataset whose completions leave room for their prompts.

    Lengths were checked when the data came in, but a chat format adds tokens of its own. How many
    are left out is printed.

    Raises:
        ModelError: none of them fits.
    """
    kept = [each for each in examples if fits(tokenizer, base, each)]
    if examples and not kept:
        raise ModelError(
            f"lora_adapter: expected rows of {name} of at most {base.max_length} tokens, "
            f"found none among {len(examples)}; raise base_model.max_length"
        )
    if len(kept) < len(examples):
        progress.say(f"{len(examples) - len(kept)} rows of {name} too long")
    return kept


STEP = Step(
    noun="lora_adapter",
    partitions="target/policy",
    keys=Keys(by_policy),
    reads=Reads(
        settings=("lora_adapter", "gradient_sketches.objective", *USED),
        parts=(
            Part(DATASETS, (DatasetExamples,), _datasets),
            Part("target_sets", (TrainSplit,), _target_data),
            Part("base_model"),
        ),
        facts=(
            Fact("datasets", _datasets, nouns=("selected_subset",)),
            Fact("target_share", _target_share, settings=("lora_adapter.target_share",)),
            PRECISION,
        ),
        how=PLACED,
    ),
    writes=(AdapterTraining,),
    make=_make,
    alike="purchase",
    version="5",  # 5: exact_text keeps signs; 4: control tokens in a text are letters
)
