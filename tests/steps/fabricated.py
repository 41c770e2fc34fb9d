"""A finished valuation made up in a second: sixteen datasets, the numbers consistent, no model.

Gradients are drawn so that datasets of one theme share a direction; K, c and the weights follow
from them by the formulas of the program, with a solver of a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
from factory import put, sha

from appraise.numerics.beside import beside
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program as ConvexProgram
from appraise.project import Project
from appraise.project.manifest import Input
from appraise.records.candidates import Candidates
from appraise.records.cards import ValidationChecks
from appraise.records.certificate import ProgramCertificate, StatedCertificate, StatedLimits
from appraise.records.copies import Copied, CopiesSummary
from appraise.records.kernel import Kernel, Pair, Transfer, TransferFacts
from appraise.records.offers import Offers, Unusable
from appraise.records.set_aside import WhySetAside
from appraise.records.subset import (
    Alternatives,
    Beside,
    Change,
    Covered,
    FrontierPoint,
    ShadowPrice,
)
from appraise.records.values import EntriesTable, OwnersTable, PathKnots, Resamples, WeightsTable

TARGET = "clinic_desk"
HOSTILE = 'Fiscal questions <script>alert("fiqa")</script>'
# id: title, price, theme, share of the theme in it, share of the target in it
DATASETS: dict[str, tuple[str, float, str, float, float]] = {
    "abstract_narrative": ("Which abstract tells this story?", 60, "narrative", 0.5, -0.22),
    "asdiv": ("Arithmetic word problems (ASDiv)", 90, "sums", 0.7, 0.05),
    "consumer_contracts": ("Questions on consumer contracts", 150, "law", 0.75, 0.44),
    "csqa": ("CommonsenseQA", 110, "common_sense", 0.55, 0.55),
    "drugswap_brand": ("DrugSwap vignettes, brand names", 140, "vignettes", 0.95, 0.28),
    "drugswap_generic": ("DrugSwap vignettes, generic names", 130, "vignettes", 0.95, 0.3),
    "fiqa": (HOSTILE, 75, "finance", 0.8, 0.01),
    "logiqa": ("LogiQA", 80, "exams", 0.6, 0.12),
    "medqa": ("MedQA, licensing examination", 190, "exams", 0.72, 0.27),
    "mmlu": ("Measuring massive multitask language understanding", 160, "exams", 0.78, 0.3),
    "obqa": ("OpenBookQA", 80, "common_sense", 0.62, 0.4),
    "piqa": ("PIQA, physical common sense", 95, "common_sense", 0.8, 0.33),
    "privacy_policy": ("PrivacyQA: yes or no on privacy policies", 120, "law", 0.5, 0.66),
    "pubmedqa_artificial": ("PubMedQA, artificial labels", 100, "pubmed", 0.9, 0.42),
    "pubmedqa_labelled": ("PubMedQA, expert labels", 210, "pubmed", 0.88, 0.45),
    "truthfulqa": ("TruthfulQA", 70, "truth", 0.8, 0.1),
}
SIGNED_BELOW_ZERO = ("abstract_narrative",)
PROVIDERS = ("Lexa Data", "Open Benchmarks", "Medbridge")
POLICIES = {"none": 4.077, "kmm": 3.404, "one_step": 3.589, "random": 3.61}
PARAMS: dict[str, Any] = {
    "base_model": {"source": "SmolLM2-135M-Instruct"},
    "offers": {"pool": "pools/demo.yaml"},
    "target_sets": {
        TARGET: {
            "title": "A clinic's help desk",
            "components": [{"name": "siqa", "source": "siqa.jsonl"}],
        }
    },
    "decision_outcome": {"resamples": 300},
}


@dataclass(frozen=True)
class Valuation:
    """What of a valuation the purchases follow from.

    Attributes:
        ids: the datasets, sorted.
        weights: (n,).
        alignment: (n,).
        K: (n, n).
        lam: λ.
    """

    ids: list[str]
    weights: np.ndarray
    alignment: np.ndarray
    K: np.ndarray
    lam: float

    def beside(self, chosen: Sequence[str]) -> dict[str, Beside]:
        """Dataset → how it stands to what is bought."""
        n, bought = len(self.ids), [self.ids.index(name) for name in chosen]
        program = ConvexProgram(self.K, self.alignment, 1.0, np.ones(n))
        return {
            name: Beside(
                weight=one.weight,
                gain=one.gain,
                margin=one.margin,
                covered_by=tuple(Covered(id=self.ids[j], amount=a) for j, a in one.covered_by),
            )
            for name, one in zip(
                self.ids, beside(program, self.lam, lots_of(n), bought), strict=True
            )
        }

    def ranked(self, by: np.ndarray) -> dict[str, float]:
        """Dataset → number, largest first."""
        return {self.ids[i]: float(by[i]) for i in np.argsort(-by, kind="stable")}


def prices() -> dict[str, float]:
    return {name: float(price) for name, (_, price, *_) in DATASETS.items()}


def provider(name: str) -> str:
    return PROVIDERS[len(name) % 3]


def pool(without: Sequence[str] = ()) -> Offers:
    """The offers; one entry was set aside when they were read."""
    found = [
        factory.offer(
            name,
            title=title,
            price=price,
            provider=provider(name),
            version="1.0",
            licence="NOASSERTION" if len(name) % 2 else "CC-BY-4.0",
            source=f"zip://{name}.jsonl::pool.whl",
        )
        for name, (title, price, *_) in {**DATASETS, "boolq": ("BoolQ", 130.0)}.items()
        if name not in without
    ]
    unusable = Unusable(id="../../x", reason="id: expected a name, found '../../x'; rename it")
    return factory.offers(*found, title="Demonstration pool", currency="USD", set_aside=(unusable,))


def gradients(seed: int = 3, dimension: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Unit gradients of the datasets (n, d), in the order of their ids, and of the target (d,)."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=dimension)
    target /= np.linalg.norm(target)
    themes = {
        name: rng.normal(size=dimension) for name in sorted({d[2] for d in DATASETS.values()})
    }
    rows = []
    for _, _, theme, own, share in DATASETS.values():
        pull = themes[theme] - (themes[theme] @ target) * target
        noise = rng.normal(size=dimension)
        rest = own * pull / np.linalg.norm(pull) + (1 - own) * noise / np.linalg.norm(noise)
        rest -= (rest @ target) * target
        rows.append(share * target + np.sqrt(1 - share**2) * rest / np.linalg.norm(rest))
    return np.array(rows), target


def minimise(
    K: np.ndarray, c: np.ndarray, threshold: np.ndarray, signed: bool = False
) -> np.ndarray:
    """½wᵀKw − cᵀw + Σ threshold_i |w_i| by coordinate descent."""
    w = np.zeros(len(c))
    for _ in range(200):
        before = w.copy()
        for i in range(len(c)):
            rest = c[i] - K[i] @ w + K[i, i] * w[i]
            size = max(abs(rest) - threshold[i], 0) / K[i, i]
            w[i] = np.sign(rest) * size if signed else max(rest - threshold[i], 0) / K[i, i]
        if np.abs(w - before).max() < 1e-12:
            break
    return w


def valuation(project: Project, relative_lambda: float = 0.2, resamples: int = 100) -> Valuation:
    """Write candidates, kernel_matrix, transfer_matrix and the values of both methods."""
    ids = sorted(DATASETS)
    G, target = gradients()
    kernel, facts = factory.kernel(G, ids, target, TARGET)
    K, c = kernel.K, kernel.C[0]
    made_from = {
        Input("target_sketches", TARGET): sha("sketch"),
        Input("gradient_sketches", "csqa", "x"): sha("x"),
    }
    put(project, "candidates", "", Candidates(ids=tuple(ids)))
    put(project, "kernel_matrix", "", kernel, facts, inputs=made_from)
    transfer = Transfer(np.where(np.eye(len(ids)) > 0, np.nan, 0.4 * K), tuple(ids))
    pair = Pair(of=ids[0], for_=ids[1], weight=0.3)
    helps = TransferFacts(datasets=16, left_out=0, helps=(pair,), hinders=())
    put(project, "transfer_matrix", "", transfer, helps)
    program = Program.of(kernel, relative_lambda, resamples)
    put(project, "dataset_values", f"{TARGET}/kmm", *program.records())
    table = factory.values({name: provider(name) for name in ids}, c)
    put(project, "dataset_values", f"{TARGET}/alignment", table)
    return Valuation(ids, program.w, c, K, program.lam)


@dataclass(frozen=True)
class Program:
    """The program of the made-up target, solved.

    Attributes:
        kernel: its K and c.
        lam: λ.
        lambda_max: the smallest λ at which all weights are 0.
        w: (n,) weights.
        signed: (n,) of the signed program.
        samples: (B, n) weights of the resamples.
    """

    kernel: Kernel
    lam: float
    lambda_max: float
    w: np.ndarray
    signed: np.ndarray
    samples: np.ndarray

    @classmethod
    def of(cls, kernel: Kernel, relative_lambda: float, resamples: int) -> Program:
        K, c, n = kernel.K, kernel.C[0], len(kernel.ids)
        rng, lambda_max = np.random.default_rng(0), float(c.max())
        lam = relative_lambda * lambda_max
        w, signed = (minimise(K, c, np.full(n, lam), signed=sign) for sign in (False, True))
        spread = 0.035 + 0.02 * rng.random(n)
        noise = spread * rng.normal(size=(resamples, n))
        samples = np.clip(w + noise - 0.02 * (w == 0), 0, None)
        return cls(kernel, lam, lambda_max, w, signed, samples)

    def records(self) -> list[Any]:
        """The files of the method `kmm`."""
        ids = self.kernel.ids
        lambdas = self.lambda_max * np.linspace(1, 0, 26)
        K, c = self.kernel.K, self.kernel.C[0]
        path = np.array([minimise(K, c, np.full(len(c), value)) for value in lambdas])
        inside = [name for name, x in zip(ids, self.w, strict=True) if x > 0]
        entries = [
            {"id": name, "enters": 0.9 - 0.05 * i, "leaves": np.nan}
            for i, name in enumerate(inside)
        ]
        owners = [
            {
                "owner": owner, "weight": 0.3, "value": 0.02,
                "datasets": json.dumps([name for name in ids if provider(name) == owner]),
            }
            for owner in PROVIDERS
        ]  # fmt: skip
        return [
            self.table(),
            self.certificate(),
            PathKnots(lambdas, path, ids),
            EntriesTable(pd.DataFrame(entries)),
            OwnersTable(pd.DataFrame(owners)),
            Resamples(self.samples, ids, self.samples),
        ]

    def table(self) -> WeightsTable:
        ids, K, c, w = self.kernel.ids, self.kernel.K, self.kernel.C[0], self.w
        margins, threshold = c - K @ w, self.lam
        outside = margins + K.diagonal() * w
        covered = [
            factory.covered_by(
                [(ids[j], float(K[i, j] * w[j])) for j in np.flatnonzero(w)], float(c[i])
            )
            for i in range(len(ids))
        ]
        below = np.isin(ids, SIGNED_BELOW_ZERO)
        return factory.values(
            {name: provider(name) for name in ids}, c,
            weight=w, **self.ends(), signed_weight=self.signed,
            signed_low=self.signed - 0.05, signed_high=np.where(below, -0.01, self.signed + 0.05),
            margin=margins, threshold=threshold,
            value=0.5 * w**2,
            family=["drugswap_brand" if name == "drugswap_generic" else name for name in ids],
            family_weight=w, family_value=0.5 * w**2,
            near_threshold=np.abs(outside / threshold - 1) < 0.1,
            covered_by=covered, status=["in" if x > 0 else "out" for x in w],
        )  # fmt: skip

    def ends(self) -> dict[str, Any]:
        """What the resamples say; as the step writes it where there are none."""
        if not len(self.samples):
            same = dict.fromkeys(("low", "high", "mean_weight"), self.w)
            chosen = (self.w > 0).astype(float)
            return same | {"best_rank": np.nan, "worst_rank": np.nan, "weight_probability": chosen}
        low, high = np.quantile(self.samples, [0.05, 0.95], axis=0)
        return {
            "low": low, "high": high, "mean_weight": self.samples.mean(axis=0), "best_rank": 1.0,
            "worst_rank": 9.0, "weight_probability": (self.samples > 0).mean(axis=0),
        }  # fmt: skip

    def certificate(self) -> ProgramCertificate:
        stated = StatedCertificate(
            lam=self.lam, lambda_max=self.lambda_max, relative_lambda=self.lam / self.lambda_max,
            rule="relative", ridge=0.0, nonnegative=True, limits=StatedLimits(), primal=0.31415,
            dual=0.31415, gap=3.2e-12, kkt_violation=8.1e-11, residual_norm=0.52,
            relative_error=8.1e-11, tolerance=1e-7, tau=1.0, condition_number=41.0,
            min_eigenvalue=0.05,
            status="solved", iterations=275, primal_residual=1e-12, dual_residual=2e-12,
        )  # fmt: skip
        signed = stated.model_copy(update={"gap": 2e-12, "kkt_violation": 1e-11})
        return ProgramCertificate(**dict(stated), signed=signed)


def alternatives(ids: Sequence[str], chosen: Sequence[str]) -> Alternatives:
    """What is said of a purchase beyond its price and its objective."""
    points = tuple(
        FrontierPoint(
            budget=70.0 * n, cost=70.0 * n, datasets=tuple(chosen[:n]), objective=0.5 - 0.06 * n,
            matched=0.2 * n,
        )
        for n in range(len(chosen) + 1)
    )  # fmt: skip
    close = {name: name == "obqa" for name in ids}
    return Alternatives(
        shadow_price=ShadowPrice(more=0.0, less=0.0003),
        frontier=points,
        changes={
            name: Change(
                price=42.5 if close[name] else None, k=4 if close[name] else None, budget=None
            )
            for name in ids
            if name not in chosen
        },
        walk_away=dict.fromkeys(chosen, 210.0),
        bought_probability={
            name: 0.95 if name in chosen else 0.4 if close[name] else 0.02 for name in ids
        },
        separations={},
    )  # fmt: skip


def subsets(project: Project, found: Valuation, barred: Mapping[str, str] | None = None) -> None:
    """Write selected_subset of every policy; `barred` datasets are not eligible."""
    free = [name for name in found.ids if name not in (barred or {})]
    by_weight, by_alignment = found.ranked(found.weights), found.ranked(found.alignment)
    drawn = {name: 1 / (1 + i) for i, name in enumerate(["asdiv", "piqa", "truthfulqa"])}
    scores = {
        "none": dict.fromkeys(found.ids, 0.0),
        "kmm": by_weight,
        "one_step": by_alignment,
        "random": drawn | {name: 0.1 for name in found.ids if name not in drawn},
    }
    for policy, ranked in scores.items():
        chosen = [name for name, score in ranked.items() if name in free and score > 0][:3]
        more: dict[str, Any] = {}
        if policy == "kmm":
            more["alternatives"] = alternatives(found.ids, chosen)
            more["beside"] = found.beside(chosen)
        made = factory.subset(policy, chosen, ranked, prices(), barred, **more)
        put(project, "selected_subset", f"{TARGET}/{policy}", made)


def datasets(project: Project) -> None:
    """Write offers, the target's card, auxiliary_datasets (boolq set aside) and sketches."""
    offered = pool()
    put(project, "offers", "", offered, outside={"pool": sha("pool")})
    card = factory.target_card("A clinic's help desk", "mmlu_clinical", "boolq", "siqa")
    put(project, "target_sets", TARGET, card)
    copied: dict[str, Copied] = {}
    for offer in offered.offers:
        name = offer.id
        overlap = {TARGET: 295 if name == "mmlu" else 0}
        records: list[Any] = [factory.dataset_card(offer, overlap), ValidationChecks(())]
        if name == "boolq":
            why = WhySetAside(reason="boolq: expected at least 24 examples, found 3")
            put(project, "auxiliary_datasets", name, *records, why)
            continue
        put(project, "auxiliary_datasets", name, *records)
        copied[name] = Copied(rows=512, copied=0, of={})
        inputs = {
            Input("auxiliary_datasets", name): sha(name),
            Input("base_model", ""): sha("model"),
        }
        put(project, "gradient_sketches", name, factory.drawn_sketch(), inputs=inputs)
    put(project, "target_sketches", TARGET, factory.drawn_sketch())
    copied["drugswap_generic"] = Copied(rows=512, copied=207, of={"drugswap_brand": 207})
    put(project, "near_copies", "", CopiesSummary(datasets=copied))


def adapters(project: Project, rewarded: bool = False) -> None:
    """Write lora_adapter and evaluation of every policy: 180 items, paired."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(1, 9, 180)
    hardness = rng.gamma(6, 1 / 6, 180)
    names = np.repeat(["mmlu_clinical", "boolq", "siqa"], 60)
    for place, (policy, loss) in enumerate(POLICIES.items()):
        nats = tokens * loss * hardness * rng.lognormal(0, 0.08, 180)
        scores: dict[str, Any] = {"loss": loss, "accuracy": 0.41 + 0.02 * place}
        scores |= {"reward": 0.25 + 0.125 * place} if rewarded else {}
        part = f"{TARGET}/{policy}"
        put(project, "evaluation", part, *factory.evaluation(nats, tokens, names, **scores))
        curve = loss + 1.5 * np.exp(-np.arange(60) / 12) + 0.25 * rng.normal(size=60)
        losses, rewards = [] if policy == "none" else curve.tolist(), [0.25, 0.5] * rewarded
        put(project, "lora_adapter", part, factory.training(losses, rewards, steps=60))


def settings(root: Path, **sections: dict[str, Any]) -> Project:
    """A project folder with nothing but its settings."""
    made: Project = factory.write_params(root, PARAMS, **sections)
    return made


def project(
    root: Path, rewarded: bool = False, resamples: int = 100, **sections: dict[str, Any]
) -> Project:
    """Everything up to the evaluation; decision, outcome and report are left to make."""
    made = settings(root, **sections)
    datasets(made)
    subsets(made, valuation(made, resamples=resamples))
    adapters(made, rewarded)
    return made
