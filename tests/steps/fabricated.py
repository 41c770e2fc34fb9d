"""A finished valuation made up in a second: sixteen datasets, the numbers consistent, no model.

Gradients are drawn so that datasets of one theme share a direction; K, c and the weights follow
from them by the formulas of the program, with a solver of a few lines.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from appraise.project import Project, Recipe
from appraise.storage.files import write_arrays, write_json, write_table

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


def write(project: Project, noun: str, key: str, files: dict[str, Any], **inputs: str) -> None:
    """Write a partition: JSON values, tables and (arrays, meta) by the ending of each name."""
    with project.writing(noun, key, Recipe("1", {"made": "up"}, inputs)) as folder:
        for name, value in files.items():
            if name.endswith(".json"):
                write_json(folder / name, value)
            elif name.endswith(".parquet"):
                write_table(folder / name, value)
            else:
                write_arrays(folder / name, *value)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sketch(rows: int = 24, dimension: int = 8, seed: int = 0) -> tuple[dict[str, Any], Any]:
    """The content of a sketch file: arrays and description."""
    values = np.random.default_rng(seed).normal(size=(rows, dimension)).astype("float32")
    arrays = {
        "rows": values, "mean": values.mean(axis=0, dtype="float64"),
        "loss": np.ones(rows, "float32"), "norms": np.ones(rows, "float32"),
        "tokens": np.full(rows, 44), "truncated": np.zeros(rows, "int64"),
    }  # fmt: skip
    meta = {
        "fingerprint": "f", "objective": '{"kind":"sft"}', "vectors": "gradients",
        "projection": "countsketch", "dimension": dimension, "seed": 0, "dtype": "float32",
        "examples": rows, "example_ids": [f"{n:016x}" for n in range(rows)],
        "dropped_not_finite": [], "too_long": [], "no_signal": 0,
        "distortion": {"rows": rows, "rms": 0.02, "largest": 0.05, "zeroed": 0},
    }  # fmt: skip
    return arrays, meta


def offers() -> dict[str, Any]:
    """The content of offers.json; one entry was set aside there."""
    found = [
        {
            "id": name,
            "title": title,
            "provider": PROVIDERS[len(name) % 3],
            "version": "1.0",
            "licence": "NOASSERTION" if len(name) % 2 else "CC-BY-4.0",
            "price": price,
            "source": f"zip://{name}.jsonl::pool.whl",
            "sha256": sha(name),
            "split": None,
            "revision": None,
            "prompt": "{question}",
            "completion": "{answer}",
            "choices": None,
        }
        for name, (title, price, *_) in {**DATASETS, "boolq": ("BoolQ", 130.0)}.items()
    ]
    return {
        "title": "Demonstration pool",
        "currency": "USD",
        "prices_are_examples": True,
        "offers": sorted(found, key=lambda offer: offer["id"]),
        "set_aside": [
            {"id": "../../x", "reason": "id: expected a name, found '../../x'; rename it"}
        ],
    }


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


def valuation(project: Project, relative_lambda: float = 0.2) -> dict[str, Any]:
    """Write kernel_matrix and kmm_weights; give back what the other partitions need."""
    import pandas as pd

    ids = sorted(DATASETS)
    G, target = gradients()
    K, c = G @ G.T, G @ target
    prices = np.array([DATASETS[name][1] for name in ids])
    penalty = prices / prices.mean()
    lam = relative_lambda * float((c / penalty).max())
    w = minimise(K, c, lam * penalty)
    margins, rng = c - K @ w, np.random.default_rng(0)
    signed = minimise(K, c, lam * penalty, signed=True)
    spread = 0.035 + 0.02 * rng.random(len(ids))
    samples = np.clip(w + spread * rng.normal(size=(100, len(ids))) - 0.02 * (w == 0), 0, None)
    low, high = np.quantile(samples, [0.05, 0.95], axis=0)
    lambdas = lam / relative_lambda * np.linspace(1, 0, 26)
    path = np.array([minimise(K, c, value * penalty) for value in lambdas])
    rows = []
    for i, name in enumerate(ids):
        amounts = [(ids[j], float(K[i, j] * w[j])) for j in range(len(ids)) if w[j] > 0]
        covered_by = [[j, a, a / c[i]] for j, a in sorted(amounts, key=lambda x: -x[1])]
        outside = margins[i] + K[i, i] * w[i]
        rows.append(
            {
                "id": name, "price": prices[i], "penalty": penalty[i], "weight": w[i],
                "owner": PROVIDERS[len(name) % 3], "rows": 24, "cosine": c[i],
                "mean_weight": float(samples[:, i].mean()), "best_rank": 1.0, "worst_rank": 9.0,
                "value_in_money": 0.5 * w[i] ** 2 * prices.mean() / lam,
                "family": "drugswap_brand" if name == "drugswap_generic" else name,
                "family_weight": w[i], "family_value": 0.5 * w[i] ** 2,
                "low": low[i], "high": high[i],
                "chosen_probability": float((samples[:, i] > 0).mean()),
                "signed_weight": signed[i], "signed_low": signed[i] - 0.05,
                "signed_high": -0.01 if name in SIGNED_BELOW_ZERO else signed[i] + 0.05,
                "alignment": c[i], "margin": margins[i], "threshold": lam * penalty[i],
                "walk_away_price": max(0.0, outside / lam * prices.mean()),
                "value": 0.5 * w[i] ** 2,
                "near_threshold": bool(abs(outside / lam / penalty[i] - 1) < 0.1),
                "covered_by": json.dumps(covered_by), "status": "in" if w[i] > 0 else "out",
            }
        )  # fmt: skip
    certificate = {
        "lambda": lam, "lambda_max": lam / relative_lambda, "relative_lambda": relative_lambda,
        "penalty_scale": float(prices.mean()), "ridge": 0.0, "nonnegative": True,
        "status": "solved", "iterations": 275, "primal": 0.31415, "dual": 0.31415,
        "gap": 3.2e-12, "kkt_violation": 8.1e-11, "relative_error": 8.1e-11,
        "primal_residual": 1e-12, "dual_residual": 2e-12, "condition_number": 41.0,
        "min_eigenvalue": 0.05, "tolerance": 1e-7, "tau": 1.0, "residual_norm": 0.52,
        "limits": {}, "signed": {"gap": 2e-12, "kkt_violation": 1e-11},
    }  # fmt: skip
    made_from = {f"target_sketches/{TARGET}": sha("sketch"), "gradient_sketches/csqa/x": sha("x")}
    write(project, "candidates", "", {
        "candidates.json": {"ids": ids, "screened": 0, "certificates": {}},
    })  # fmt: skip
    write(project, "kernel_matrix", "", {
        "kernel.safetensors": (
            {"K": K, "C": c[None], "tau": np.ones(1), "G": G, "T": target[None]},
            {"ids": ids, "targets": [TARGET]},
        ),
        "kernel.json": {"n": len(ids), "symmetric": True},
    }, **made_from)  # fmt: skip
    transfer = np.where(np.eye(len(ids)) > 0, np.nan, 0.4 * K)
    pair = {"of": ids[0], "for": ids[1], "weight": 0.3}
    write(project, "transfer_matrix", "", {
        "transfer.safetensors": ({"M": transfer}, {"ids": ids}),
        "transfer.json": {"datasets": 16, "left_out": 0, "helps": [pair], "hinders": []},
    })  # fmt: skip
    write(project, "kmm_weights", TARGET, {
        "weights.parquet": pd.DataFrame(rows),
        "certificate.json": certificate,
        "path.safetensors": ({"lambdas": lambdas, "weights": path}, {"ids": ids}),
        "path.parquet": pd.DataFrame(
            [{"id": name, "enters": 0.9 - 0.05 * i, "leaves": np.nan}
             for i, name in enumerate(name for name, x in zip(ids, w, strict=True) if x > 0)]
        ),
        "owners.parquet": pd.DataFrame(
            [{"owner": owner, "weight": 0.3, "value": 0.02, "value_in_money": 7.5,
              "datasets": json.dumps([n for n in ids if PROVIDERS[len(n) % 3] == owner])}
             for owner in PROVIDERS]
        ),
        "bootstrap.safetensors": ({"weights": samples, "chosen": samples > 0}, {"ids": ids}),
    })  # fmt: skip
    ranked = sorted((i for i in range(len(ids)) if w[i] > 0), key=lambda i: -w[i])
    return {"ids": ids, "weights": w, "ranked": [ids[i] for i in ranked], "alignment": c}


def alternatives(ids: list[str], chosen: list[str]) -> dict[str, Any]:
    """What the subset of `kmm` says beyond that of other policies."""
    points = [
        {"budget": 70.0 * n, "cost": 70.0 * n, "datasets": chosen[:n], "objective": 0.5 - 0.06 * n,
         "matched": 0.2 * n}
        for n in range(len(chosen) + 1)
    ]  # fmt: skip
    refused = [name for name in ids if name not in chosen]
    cut = {"rival": ids[0], "difference": 0.02, "low": -0.03, "high": 0.07}
    return {
        "exchange_rate": 0.0004, "shadow_price": {"more": 0.0, "less": 0.0003},
        "frontier": points,
        "changes": {
            name: {"price": 42.5 if name == "obqa" else None, "k": 4 if name == "obqa" else None,
                   "budget": None}
            for name in refused
        },
        "separations": {
            name: {**cut, "tied": name == "obqa", "more_rows": 31 if name == "obqa" else 0}
            for name in ids
        },
    }  # fmt: skip


def subsets(project: Project, found: dict[str, Any], barred: dict[str, str] | None = None) -> None:
    """Write selected_subset of every policy; `barred` datasets are not eligible."""
    barred = barred or {}
    by_alignment = sorted(found["ids"], key=lambda i: -found["alignment"][found["ids"].index(i)])
    free = {
        "none": [],
        "kmm": [name for name in found["ranked"] if name not in barred][:3],
        "one_step": [name for name in by_alignment if name not in barred][:3],
        "random": ["asdiv", "piqa", "truthfulqa"],
    }
    for policy, chosen in free.items():
        ranking = [
            {
                "id": name,
                "score": 0.0,
                "eligible": name not in barred,
                "reason": barred.get(name, ""),
            }
            for name in [*found["ranked"], *sorted(set(found["ids"]) - set(found["ranked"]))]
        ]
        subset = {
            "policy": policy, "k": 3, "budget": None, "datasets": chosen, "currency": "USD",
            "cost": sum(DATASETS[name][1] for name in chosen), "ranking": ranking,
            "objective": 0.31, "bound": 0.3, "gap": 0.01, "proof": "relaxation",
        }  # fmt: skip
        if policy == "kmm":
            subset |= alternatives(found["ids"], chosen)
        write(project, "selected_subset", f"{TARGET}/{policy}", {"subset.json": subset})


def datasets(project: Project) -> None:
    """Write offers, the target's card, auxiliary_datasets (boolq set aside) and sketches."""
    write(project, "offers", "", {"offers.json": offers()}, pool=sha("pool"))
    components = [{"name": name, "rows": 1000, "value": 16, "train": 0, "test": 60}
                  for name in ("mmlu_clinical", "boolq", "siqa")]  # fmt: skip
    card = {"title": "A clinic's help desk", "components": components}
    write(project, "target_sets", TARGET, {"card.json": card})
    copied: dict[str, Any] = {}
    for offer in offers()["offers"]:
        name, overlap = offer["id"], 295 if offer["id"] == "mmlu" else 0
        dropped = {"duplicate": 4, "overlap": {TARGET: overlap}}
        card = {**offer, "rows": 900, "usable": 896 - overlap, "kept": 512, "dropped": dropped,
                "overlap_questions": {TARGET: overlap},
                "tokens": {"mean": 44.1, "p95": 81, "max": 140}}  # fmt: skip
        files: dict[str, Any] = {"card.json": card, "validation.json": []}
        if name == "boolq":
            files["set_aside.json"] = {"reason": "boolq: expected at least 24 examples, found 3"}
        write(project, "auxiliary_datasets", name, files)
        if name != "boolq":
            copied[name] = {"rows": 512, "copied": 0, "of": {}}
            inputs = {f"auxiliary_datasets/{name}": sha(name), "base_model": sha("model")}
            write(project, "gradient_sketches", name, {"sketch.safetensors": sketch()}, **inputs)
    write(project, "target_sketches", TARGET, {"sketch.safetensors": sketch()})
    copied["drugswap_generic"] |= {"copied": 207, "of": {"drugswap_brand": 207}}
    write(project, "near_copies", "", {"copies.json": copied})


def adapters(project: Project, rewarded: bool = False) -> None:
    """Write lora_adapter and evaluation of every policy: 180 items, paired."""
    import pandas as pd

    rng = np.random.default_rng(1)
    tokens = rng.integers(1, 9, 180)
    hardness = rng.gamma(6, 1 / 6, 180)
    names = np.repeat(["mmlu_clinical", "boolq", "siqa"], 60)
    for place, (policy, loss) in enumerate(POLICIES.items()):
        nats = tokens * loss * hardness * rng.lognormal(0, 0.08, 180)
        table = pd.DataFrame(
            {
                "id": [sha(str(i))[:16] for i in range(180)], "component": names,
                "nats": nats, "tokens": tokens,
                "correct": pd.array([True, False, None] * 60, "boolean"),
            }
        )  # fmt: skip
        metrics = {"loss": loss, "tokens": int(tokens.sum()), "items": 180, "components": {},
                   "accuracy": 0.41 + 0.02 * place, "accuracy_stderr": 0.037}  # fmt: skip
        if rewarded:
            metrics["reward"] = 0.25 + 0.125 * place
        part = f"{TARGET}/{policy}"
        write(project, "evaluation", part, {"items.parquet": table, "metrics.json": metrics})
        curve = loss + 1.5 * np.exp(-np.arange(60) / 12) + 0.25 * rng.normal(size=60)
        training = {
            "steps": 60, "loss": [] if policy == "none" else curve.tolist(), "tokens": 9000,
            "reward": [0.25, 0.5] if rewarded else [], "mix": {},
            "examples": 0 if policy == "none" else 240,
        }  # fmt: skip
        write(project, "lora_adapter", part, {"training.json": training})


def settings(root: Path) -> Project:
    """A project folder with nothing but its settings."""
    params = {
        "base_model": {"source": "SmolLM2-135M-Instruct"},
        "offers": {"pool": "pools/demo.yaml"},
        "target_sets": {
            TARGET: {
                "title": "A clinic's help desk",
                "components": [{"name": "siqa", "source": "siqa.jsonl"}],
            }
        },
        "kmm_weights": {"penalty": "price"},
        "decision_outcome": {"resamples": 300},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    return Project(root)


def project(root: Path, rewarded: bool = False) -> Project:
    """Everything up to the evaluation; decision, outcome and report are left to make."""
    made = settings(root)
    datasets(made)
    subsets(made, valuation(made))
    adapters(made, rewarded)
    return made
