"""What was asked, what was bought and what was refused, and why; named by its own SHA-256.

The decision of a target is one JSON file. Its `decision_id` is the SHA-256 of the canonical JSON of
all the rest, which names the content of everything it was drawn from: the same valuation gives the
same id wherever it is replayed, and a changed word in it is found out.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appraise.errors import ArtifactError
from appraise.presentation.reasons import Coverer, Refused, praise, reason, remedy
from appraise.presentation.wording import short_names
from appraise.project import Project, Recipe
from appraise.steps.evidence import evidence
from appraise.steps.step import Step, each_target
from appraise.storage.files import read_arrays, read_json, read_table, sha256_json, write_json

SECTIONS = (
    "base_model",
    "near_copies",
    "gradient_sketches",
    "kernel_matrix",
    "kmm_weights",
    "selected_subset",
)
SHOWN = ("title", "provider", "version", "licence", "price")
NUMBERS = (
    "weight", "low", "high", "mean_weight", "best_rank", "worst_rank", "chosen_probability",
    "alignment", "margin", "threshold", "walk_away_price", "value", "value_in_money", "penalty",
    "signed_weight", "signed_low", "signed_high",
)  # fmt: skip
RESAMPLED = (
    "low", "high", "mean_weight", "best_rank", "worst_rank", "chosen_probability", "signed_low",
    "signed_high",
)  # fmt: skip
REACHED = ("objective", "bound", "gap", "proof", "exchange_rate", "shadow_price", "frontier")


@dataclass(frozen=True)
class _Valued:
    """What the steps before say of one target.

    Attributes:
        rows: dataset → its row of weights.parquet, plus `rank` among the positive (0: zero).
        offers: dataset → its offer.
        subset: the subset.json of policy `kmm`, which is what is bought.
        names: dataset → its short name.
        entered: dataset → the part of λ_max below which it is in the mix, for those that ever are.
        copied: dataset → how many of its rows earlier offers have.
        evidence: "<noun>/<key>" → SHA-256.
        priced: whether the penalty follows the price.
    """

    rows: dict[str, dict[str, Any]]
    offers: dict[str, dict[str, Any]]
    subset: dict[str, Any]
    names: dict[str, str]
    entered: dict[str, float]
    copied: dict[str, dict[str, Any]]
    evidence: dict[str, str]
    priced: bool

    def name(self, dataset: str) -> str:
        """What it is called in a sentence."""
        return f"“{self.names[dataset]}”"

    def bought_before(self, rank: int) -> int:
        return sum(0 < self.rows[one]["rank"] < rank for one in self.subset["datasets"])

    def coverers(self, dataset: str) -> list[Coverer]:
        """The others that teach part of the same."""
        bought = set(self.subset["datasets"])
        covered_by = json.loads(self.rows[dataset]["covered_by"])
        return [
            Coverer(self.name(other), float(amount), other in bought)
            for other, amount, *_ in covered_by
            if other != dataset
        ]


def decide(project: Project, target: str) -> dict[str, Any]:
    """The decision on one target, with its id.

    Raises:
        ArtifactError: something it rests on is missing, damaged, or of another pool.
    """
    valued = _read(project, target)
    pool = read_json(project.open("offers") / "offers.json")
    decision: dict[str, Any] = {
        "target": target,
        "title": read_json(project.open("target_sets", target) / "card.json")["title"],
        "pool": pool["title"],
        "currency": pool["currency"],
        "prices_are_examples": pool["prices_are_examples"],
        "asked": _asked(project, valued.subset),
        "bought": [_bought(project, valued, dataset) for dataset in valued.subset["datasets"]],
        "cost": valued.subset["cost"],
        "reached": {name: valued.subset[name] for name in REACHED},
        "refused": _all_refused(project, valued),
        "screened": _screened(project, target),
        "set_aside": _set_aside(project, pool),
        "owners": _owners(project, target),
        "families": _families(valued),
        "policies": _policies(project, target),
        "certificate": read_json(project.open("kmm_weights", target) / "certificate.json"),
        "evidence": valued.evidence,
        "mlflow": {"experiment": f"appraise/{target}"},
    }
    return {"decision_id": sha256_json(decision), **decision}


def _read(project: Project, target: str) -> _Valued:
    table = read_table(project.open("kmm_weights", target) / "weights.parquet")
    plain = [_plain(row) for row in table.to_dict("records")]
    rows: dict[str, dict[str, Any]] = {row["id"]: row for row in plain}
    if project.params.kmm_weights.bootstraps == 0:  # nothing was resampled: claim no interval
        for row in rows.values():
            row |= dict.fromkeys(RESAMPLED)
    offers = {o["id"]: o for o in read_json(project.open("offers") / "offers.json")["offers"]}
    subset = read_json(project.open("selected_subset", f"{target}/kmm") / "subset.json")
    ranked = {item["id"] for item in subset["ranking"]}
    strangers = sorted((set(rows) - set(offers)) | (set(rows) ^ ranked))
    if strangers:
        raise ArtifactError(
            f"decision of {target}: expected weights, subset and offers of the same datasets, "
            f"found {', '.join(strangers)} in some only; run the steps from `appraise offers` on"
        )
    useful = [item["id"] for item in subset["ranking"] if rows[item["id"]]["weight"] > 0]
    for dataset, row in rows.items():
        row["rank"] = 1 + useful.index(dataset) if dataset in useful else 0
    priced = project.params.kmm_weights.penalty == "price"
    names = short_names({name: offer["title"] for name, offer in offers.items()})
    path = read_table(project.open("kmm_weights", target) / "path.parquet")
    entered = {str(name): float(at) for name, at in path.groupby("id")["enters"].max().items()}
    copied = read_json(project.open("near_copies") / "copies.json")
    return _Valued(rows, offers, subset, names, entered, copied, evidence(project, target), priced)


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with Python's own numbers; NaN, which Parquet has for null, is None."""
    values = {
        name: value.item() if hasattr(value, "item") else value for name, value in row.items()
    }
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }


def _asked(project: Project, subset: dict[str, Any]) -> dict[str, Any]:
    sections = {name: getattr(project.params, name).model_dump(mode="json") for name in SECTIONS}
    policies = list(project.params.policies())
    return {"k": subset["k"], "budget": subset["budget"], "policies": policies, "params": sections}


def _facts(valued: _Valued, dataset: str) -> dict[str, Any]:
    """What a decision says of every valued dataset, bought or refused."""
    row, offer = valued.rows[dataset], valued.offers[dataset]
    bought, alignment = set(valued.subset["datasets"]), row["alignment"]
    covered_by = [
        {
            "id": other,
            "title": valued.offers[other]["title"],
            "amount": amount,
            "share": amount / alignment if alignment > 0 else None,
            "bought": other in bought,
        }
        for other, amount, *_ in json.loads(row["covered_by"])
        if other != dataset
    ]
    return {
        "id": dataset,
        "name": valued.names[dataset],
        **{name: offer[name] for name in SHOWN},
        **{name: row[name] for name in NUMBERS},
        "rank": row["rank"],
        "near_threshold": bool(row["near_threshold"]),
        "covered_by": covered_by,
        "enters": valued.entered.get(dataset),
        "copied": valued.copied[dataset],
        "cut": valued.subset["separations"].get(dataset),
    }


def _bought(project: Project, valued: _Valued, dataset: str) -> dict[str, Any]:
    row = valued.rows[dataset]
    place = 1 + sum(other["alignment"] > row["alignment"] for other in valued.rows.values())
    why = praise(place, len(valued.rows), row["alignment"], valued.coverers(dataset))
    return {
        **_facts(valued, dataset),
        "reason": why,
        "sha256": project.content("auxiliary_datasets", dataset),
        "source_sha256": valued.offers[dataset].get("sha256"),
    }


def _copies(project: Project, valued: _Valued) -> dict[str, str]:
    """Datasets whose gradient another one has too: the name of the first that has it."""
    from appraise.numerics.kernel import first_copies

    arrays, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    ids: list[str] = meta["ids"]
    pairs = zip(ids, first_copies(arrays["K"]), strict=True)
    return {copy: valued.name(ids[first]) for copy, first in pairs if copy != ids[first]}


def _all_refused(project: Project, valued: _Valued) -> list[dict[str, Any]]:
    """Those not bought: the useful ones by rank, then the others by how little they lack."""
    copies = _copies(project, valued)
    barred = {r["id"]: r["reason"] for r in valued.subset["ranking"] if not r["eligible"]}
    positive = sum(row["rank"] > 0 for row in valued.rows.values())
    refused = []
    for dataset in sorted(set(valued.rows) - set(valued.subset["datasets"])):
        row = valued.rows[dataset]
        case = Refused(
            alignment=row["alignment"],
            margin=row["margin"],
            threshold=row["threshold"],
            weight=row["weight"],
            signed_high=math.inf if row["signed_high"] is None else row["signed_high"],
            covered_by=valued.coverers(dataset),
            priced=valued.priced,
            rank=row["rank"],
            positive=positive,
            k=valued.subset["k"],
            bought_before=valued.bought_before(row["rank"]),
            ineligible=barred.get(dataset),
            copy_of=copies.get(dataset),
            excluded_by=_excluded_by(valued, dataset),
        )
        why = reason(case)
        change = valued.subset["changes"][dataset]
        said = remedy(change, valued.subset["k"], valued.subset["currency"])
        facts = _facts(valued, dataset) | {"change": change, "remedy": said}
        refused.append({**facts, "reason": why.sentence, "reason_kind": why.kind})
    return sorted(
        refused, key=lambda r: (r["rank"] or math.inf, r["threshold"] - r["margin"], r["id"])
    )


def _excluded_by(valued: _Valued, dataset: str) -> str | None:
    """The bought dataset beside which it, or what it is bundled with, is not sold."""
    barred = {r["id"] for r in valued.subset["ranking"] if r["reason"] == "excluded"}
    if dataset not in barred:
        return None
    bundle = valued.offers[dataset].get("bundle")
    with_it = {dataset} | {
        name for name, offer in valued.offers.items() if bundle and offer.get("bundle") == bundle
    }
    for other in valued.subset["datasets"]:
        against = set(valued.offers[other].get("excludes") or ())
        if against & with_it or any(
            other in (valued.offers[one].get("excludes") or ()) for one in with_it
        ):
            return valued.name(other)
    return None


def _owners(project: Project, target: str) -> list[dict[str, Any]]:
    """What each owner offers that nobody else does, most valuable first."""
    table = read_table(project.open("kmm_weights", target) / "owners.parquet")
    rows = [_plain(row) for row in table.to_dict("records")]
    return [{**row, "datasets": json.loads(row["datasets"])} for row in rows]


def _screened(project: Project, target: str) -> dict[str, Any] | None:
    """Of a large pool: how many datasets were proven to have no weight, and how."""
    found = read_json(project.open("candidates") / "candidates.json")
    if not found["screened"]:
        return None
    return {"datasets": found["screened"], "certificate": found["certificates"][target]}


def _families(valued: _Valued) -> list[dict[str, Any]]:
    """Datasets that cannot be told apart, with what they are worth as one."""
    members: dict[str, list[str]] = {}
    for dataset, row in sorted(valued.rows.items()):
        members.setdefault(row["family"], []).append(dataset)
    return [
        {
            "datasets": found,
            "weight": valued.rows[first]["family_weight"],
            "value": valued.rows[first]["family_value"],
        }
        for first, found in members.items()
        if len(found) > 1
    ]


def _set_aside(project: Project, pool: dict[str, Any]) -> list[dict[str, str]]:
    """Datasets that did not come as far as a valuation, with the step that stopped them."""
    aside = [{**item, "step": "offers"} for item in pool["set_aside"]]
    for dataset in sorted(offer["id"] for offer in pool["offers"]):
        for noun in ("auxiliary_datasets", "gradient_sketches"):
            why = project.set_aside(noun, dataset)
            if why is not None:
                aside.append({"id": dataset, "reason": why, "step": noun})
                break
    return aside


def _policies(project: Project, target: str) -> dict[str, Any]:
    subsets = {
        policy: read_json(project.open("selected_subset", f"{target}/{policy}") / "subset.json")
        for policy in project.params.policies()
    }
    return {p: {"datasets": s["datasets"], "cost": s["cost"]} for p, s in subsets.items()}


def _recipe(project: Project, key: str) -> Recipe:
    sections = {name: getattr(project.params, name).model_dump(mode="json") for name in SECTIONS}
    settings = {"policies": list(project.params.policies()), "params": sections}
    return Recipe(STEP.version, settings=settings, inputs=evidence(project, key))


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    for key in tqdm(keys, desc="valuation_decision", unit="target", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            write_json(folder / "decision.json", decide(project, key))


STEP = Step(
    noun="valuation_decision",
    needs=(
        "offers",
        "target_sets",
        "auxiliary_datasets",
        "near_copies",
        "gradient_sketches",
        "candidates",
        "kernel_matrix",
        "kmm_weights",
        "selected_subset",
    ),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="3",  # 3: objective, owners, families, what would have to change; 2: copies
)
