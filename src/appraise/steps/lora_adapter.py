"""A LoRA adapter trained on each policy's subset, in PEFT's own layout.

Every policy starts from the same A and B = 0 and trains for the same number of steps, by the
objective that the datasets were valued for (`gradient_sketches.objective`), on a mix of the
target's training split and, in equal parts, the datasets bought. A policy that buys nothing,
with no target data in the mix, gives the initialisation itself: the base model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model.mixes import TARGET, mix_of
from appraise.language_model.prompts import fits
from appraise.language_model.protocols import Tokenizer
from appraise.project import Project, Recipe
from appraise.records.examples import read
from appraise.settings.model import BaseModelParams
from appraise.settings.training import LoraAdapterParams
from appraise.steps.step import Step
from appraise.storage.files import read_json, write_json

Fitting = Callable[[str, Path], list[Example]]


def keys(project: Project) -> list[str]:
    """target/policy for every target and every policy that means something here."""
    policies = project.params.policies()
    return sorted(f"{t}/{policy}" for t in project.params.target_sets for policy in policies)


def _subset(project: Project, key: str) -> list[str]:
    return list(read_json(project.open("selected_subset", key) / "subset.json")["datasets"])


def _target_share(project: Project, key: str) -> float:
    return 0.0 if key.endswith("/none") else project.params.lora_adapter.target_share


def _recipe(project: Project, key: str) -> Recipe:
    subset = _subset(project, key)
    file = "examples.parquet"
    inputs = {
        f"auxiliary_datasets/{d}/{file}": project.content("auxiliary_datasets", d, file=file)
        for d in subset
    }
    inputs["base_model"] = project.content("base_model")
    if _target_share(project, key) > 0:
        target = key.split("/")[0]
        train = project.content("target_sets", target, file="train.parquet")
        inputs[f"target_sets/{target}/train.parquet"] = train
    settings = {
        **project.params.lora_adapter.model_dump(mode="json"),
        "objective": project.params.gradient_sketches.objective.model_dump(mode="json"),
        "datasets": sorted(subset),
    }
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    from appraise.language_model import adapters, base, training
    from appraise.language_model.placement import Placement
    from appraise.language_model.trunk import Trunk

    folder, params = project.open("base_model"), project.params.base_model
    sketches = project.params.gradient_sketches
    tokenizer, a = base.load_tokenizer(folder), base.read_lora(folder)
    model = base.load(folder, Placement.of(sketches.device, sketches.dtype))
    trunk, fitting = Trunk(model, params.lora), cache(partial(_fitting, tokenizer, params))
    for key in keys:
        settings = project.params.lora_adapter.model_copy(
            update={"target_share": _target_share(project, key)}
        )
        mix = mix_of(_pools(project, key, settings, fitting), settings)
        adapted = adapters.with_adapter(model, params.lora, a)
        bar = tqdm(
            total=settings.steps,
            desc=f"{STEP.noun} {key}",
            unit="step",
            file=sys.stderr,
            disable=mix is None,
        )
        with bar, STEP.writing(project, key) as written:
            done = training.train(
                adapted, trunk, tokenizer, mix, sketches.objective, params, settings, bar.update
            )
            adapters.save(adapted, written)
            write_json(written / "training.json", asdict(done))
        model = adapted.unload().eval().requires_grad_(False)


def _pools(
    project: Project, key: str, settings: LoraAdapterParams, fitting: Fitting
) -> dict[str, list[Example]]:
    """The examples that the mix may draw, by the names of their datasets."""
    pools = {
        dataset: fitting(dataset, project.open("auxiliary_datasets", dataset) / "examples.parquet")
        for dataset in _subset(project, key)
    }
    if settings.target_share > 0:
        target = key.split("/")[0]
        pools[TARGET] = fitting(TARGET, project.open("target_sets", target) / "train.parquet")
    return pools


def _fitting(tokenizer: Tokenizer, params: BaseModelParams, name: str, path: Path) -> list[Example]:
    """Of a dataset, or of the target, the examples whose completions leave room for their prompts.

    Lengths were checked when the data came in, but a chat format adds tokens of its own. How many
    are left out is printed.
    """
    examples = read(path)
    fitting = [example for example in examples if fits(tokenizer, params, example)]
    if examples and not fitting:
        raise ModelError(
            f"{STEP.noun}: expected rows of {name} of at most {params.max_length} "
            f"tokens, found none among {len(examples)}; raise base_model.max_length"
        )
    if len(fitting) < len(examples):
        left = len(examples) - len(fitting)
        print(f"{STEP.noun}: {left} rows of {name} too long", file=sys.stderr)
    return fitting


STEP = Step(
    noun="lora_adapter",
    needs=("selected_subset", "auxiliary_datasets", "target_sets", "base_model"),
    partitions="target/policy",
    keys=keys,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: trained by TRL, by the objective of the sketches
)
