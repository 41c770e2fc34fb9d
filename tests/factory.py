"""Artifacts made up of records, for tests that need them and not the steps that make them.

`put` writes a partition; the other functions give records with values that a test may change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import yaml

from appraise.examples.auxiliary import Lengths
from appraise.examples.example import Example
from appraise.numerics.projection import Distortion
from appraise.project import Project, Recipe
from appraise.project.manifest import Input
from appraise.records.adapter import AdapterTraining, EvaluationMetrics, ItemsTable
from appraise.records.cards import ComponentCounts, DatasetCard, DatasetCounts, TargetCard
from appraise.records.kernel import Kernel, KernelFacts
from appraise.records.offers import Offer, Offers
from appraise.records.sketch import MadeAlike, Sketch, SketchMeta
from appraise.records.subset import Beside, Ranked, Reached, Subset
from appraise.records.values import WeightsTable

ALIKE = MadeAlike(
    fingerprint="f" * 64,
    objective='{"kind":"sft"}',
    vectors="gradients",
    projection="countsketch",
    dimension=64,
    seed=0,
    dtype="float32",
)


class Writes(Protocol):
    """Whatever writes a file into a partition's folder: every record does."""

    def write(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Files:
    """Files as they are."""

    content: Mapping[str, bytes]

    def write(self, folder: Path) -> None:
        for name, content in self.content.items():
            (folder / name).write_bytes(content)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put(
    project: Project,
    noun: str,
    key: str,
    *records: Writes,
    settings: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    inputs: Mapping[Input, str] | None = None,
    outside: Mapping[str, str] | None = None,
) -> None:
    """Write a partition: nothing but these records."""
    recipe = Recipe(
        "1",
        dict(settings or {"made": "up"}),
        dict(facts or {}),
        dict(inputs or {}),
        dict(outside or {}),
    )
    _write(project, noun, key, recipe, records)


def changed(project: Project, noun: str, key: str, *records: Writes) -> None:
    """Write a partition again, some of its files in place of what they were."""
    folder, manifest = project.folder(noun, key), project.manifest(noun, key)
    files = {name: (folder / name).read_bytes() for name in manifest.files}
    _write(project, noun, key, manifest.recipe, (Files(files), *records), manifest.schemas)


def _write(
    project: Project,
    noun: str,
    key: str,
    recipe: Recipe,
    records: Sequence[Writes],
    schemas: Mapping[str, int] | None = None,
) -> None:
    of = {one.FILE: one.SCHEMA for one in records if hasattr(one, "FILE")}  # type: ignore[attr-defined]
    with project.writing(noun, key, recipe, schemas={**(schemas or {}), **of}) as folder:
        for record in records:
            record.write(folder)


def write_params(root: Path, params: dict[str, Any], **sections: dict[str, Any]) -> Project:
    """Write `params.yaml`, sections changed as said, and give the project anew."""
    for section, change in sections.items():
        params = params | {section: params.get(section, {}) | change}
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return Project(root)


def offer(identity: str, **changes: Any) -> Offer:
    terms = {
        "id": identity,
        "title": identity,
        "provider": "a provider",
        "version": "1",
        "licence": "MIT",
        "price": 10.0,
        "source": f"files/{identity}.jsonl",
        "sha256": sha(identity),
    }
    return Offer(**(terms | changes))


def offers(*of: Offer, **changes: Any) -> Offers:
    content = {
        "title": "A pool",
        "currency": "EUR",
        "prices_are_examples": True,
        "offers": tuple(sorted(of, key=lambda one: one.id)),
        "order": tuple(one.id for one in of),
    }
    return Offers(**(content | changes))


def examples(name: str, number: int = 0, count: int = 30) -> list[Example]:
    """Examples with questions of their own."""
    return [
        Example(
            id=f"{number:03d}{i:013d}",
            prompt=f"What does the book called {name} have to say on its page number {i}?",
            completion=f"It says {i}",
        )
        for i in range(count)
    ]


def dataset_card(of: Offer, overlap: Mapping[str, int] | None = None) -> DatasetCard:
    """900 rows, of which those that a target has too are dropped."""
    shared = dict(overlap or {})
    counts = DatasetCounts(
        rows=900,
        usable=896 - sum(shared.values()),
        kept=512,
        dropped={"duplicate": 4},
        overlap=shared,
        overlap_questions=shared,
        tokens=Lengths(44.1, 81, 140),
    )
    return DatasetCard(of, counts)


def target_card(title: str, *components: str) -> TargetCard:
    """Components of 1,000 rows: 16 for the value split, 60 for the test split."""
    counts = (
        ComponentCounts(
            name=name, source=f"{name}.jsonl", rows=1000, usable=1000, dropped={}, value=16,
            train=0, test=60,
        )
        for name in components
    )  # fmt: skip
    return TargetCard(title, tuple(counts))


def sketch(rows: np.ndarray, example_ids: Iterable[str] | None = None, **alike: Any) -> Sketch:
    """A sketch of these rows (R, d), one for each example; `alike` changes how it was made."""
    count = len(rows)
    ids = [f"{n:016x}" for n in range(count)] if example_ids is None else example_ids
    how = replace(ALIKE, **({"dimension": rows.shape[1]} | alike))
    meta = SketchMeta(
        alike=how,
        native_dimension=how.dimension,
        batch_invariant=True,
        examples=count,
        example_ids=tuple(ids),
        dropped_not_finite=(),
        too_long=(),
        no_signal=0,
        distortion=Distortion(count, 0.02, 0.05, 0),
    )
    ones = np.ones(count, np.float32)
    return Sketch(rows, ones, ones, np.full(count, 44), np.zeros(count, np.int64), meta)


def drawn_sketch(count: int = 24, dimension: int = 8, seed: int = 0) -> Sketch:
    """A sketch of random rows."""
    return sketch(np.random.default_rng(seed).normal(size=(count, dimension)).astype("float32"))


def kernel(
    G: np.ndarray, ids: Sequence[str], target: np.ndarray, name: str
) -> tuple[Kernel, KernelFacts]:
    """The kernel of these gradients (n, d) and of one target's (d,)."""
    n, norms = len(ids), np.ones(len(ids) + 1)
    K = G @ G.T
    eigenvalues = np.linalg.eigvalsh(K)
    found = Kernel(
        K=K, C=(G @ target)[None], tau=np.array([float(target @ target)]), G=G, T=target[None],
        norms=norms, noise=0.1 * norms, ids=tuple(ids), targets=(name,),
        sketches={one: sha(one) for one in ids}, target_sketches={name: sha(name)},
        sketched=replace(ALIKE, dimension=G.shape[1]),
    )  # fmt: skip
    facts = KernelFacts(
        n=n, dimension=G.shape[1], normalize="unit", tolerance=1e-8, finite=True, symmetric=True,
        min_eigenvalue=float(eigenvalues[0]), max_eigenvalue=float(eigenvalues[-1]),
        condition_number=float(eigenvalues[-1] / eigenvalues[0]), standard_error=None,
        distortion={}, norms={}, noise_share={},
    )  # fmt: skip
    return found, facts


def values(owners: Mapping[str, str], alignment: np.ndarray, **columns: Any) -> WeightsTable:
    """What datasets are worth by a method: its value of each is the alignment, if not given.

    Args:
        columns: of `weights.parquet`, further ones or in place of these.
    """
    ids = sorted(owners)
    content: dict[str, Any] = {
        "id": ids,
        "owner": [owners[name] for name in ids],
        "rows": 24,
        "weight": alignment,
        "alignment": alignment,
        "cosine": alignment,
    }
    return WeightsTable(pd.DataFrame(content | columns))


def covered_by(pairs: Iterable[tuple[str, float]], alignment: float) -> str:
    """A cell of the column `covered_by`."""
    ordered = sorted(pairs, key=lambda pair: -pair[1])
    return json.dumps([[name, amount, amount / alignment] for name, amount in ordered])


def subset(
    policy: str,
    chosen: Sequence[str],
    ranked: Mapping[str, float],
    prices: Mapping[str, float],
    barred: Mapping[str, str] | None = None,
    beside: Mapping[str, Beside] | None = None,
    **changes: Any,
) -> Subset:
    """What a policy buys.

    Args:
        ranked: dataset → score, best first.
        barred: dataset → why it may not be bought.
        beside: dataset → how it stands to what is bought.
    """
    why = dict(barred or {})
    kept = {name: "chosen" if name in chosen else "beyond_k" for name in ranked}
    content = {
        "policy": policy, "k": 3, "budget": None, "exchange_rate": None,
        "datasets": tuple(chosen), "currency": "USD",
        "cost": float(sum(prices[name] for name in chosen)),
        "ranking": tuple(
            Ranked(
                id=name, score=score, eligible=name not in why, reason=why.get(name, kept[name]),
                beside=(beside or {}).get(name),
            )
            for name, score in ranked.items()
        ),
        "reached": Reached(objective=0.31, bound=0.3, gap=0.01, proof="relaxation"),
    }  # fmt: skip
    return Subset(**(content | changes))


def training(
    loss: Sequence[float] = (), reward: Sequence[float] = (), **changes: Any
) -> AdapterTraining:
    content = {
        "steps": len(loss), "loss": tuple(loss), "learning_rate": (1e-3,) * len(loss),
        "reward": tuple(reward), "tokens": 9000, "mix": {},
    }  # fmt: skip
    return AdapterTraining(**(content | changes))


def evaluation(
    nats: np.ndarray, tokens: np.ndarray, components: Sequence[str], **scores: Any
) -> tuple[ItemsTable, EvaluationMetrics]:
    """The evaluation of items (n,); a third of them without a choice."""
    count = len(nats)
    table = pd.DataFrame(
        {
            "id": [sha(str(i))[:16] for i in range(count)],
            "component": components,
            "nats": nats,
            "tokens": tokens,
            "correct": pd.array(([True, False, None] * count)[:count], "boolean"),
        }
    )
    content = {
        "loss": float(nats.sum() / tokens.sum()), "tokens": int(tokens.sum()), "items": count,
        "accuracy": 0.5, "accuracy_stderr": 0.037, "components": {},
    }  # fmt: skip
    return ItemsTable(table), EvaluationMetrics(**(content | scores))
