"""One self-contained page per decision, for somebody who buys data.

The page needs no network and runs no script: pictures are inline SVG, style is inline, and a
content security policy forbids everything else. Titles and reasons come from strangers and are
escaped. Same inputs, same bytes.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appraise.policies import POLICIES
from appraise.presentation.wording import (
    listed,
    money,
    number_word,
    one_line,
    percent,
    scientific,
    signed,
)
from appraise.project import Project, Recipe
from appraise.review.sketch_costs import costs
from appraise.steps.step import Step, each_target
from appraise.storage.files import (
    read_arrays,
    read_json,
    read_table,
    sha256_bytes,
    sha256_file,
    write_bytes,
)

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parents[1] / "presentation" / "templates"
TEMPLATE = "report.html.j2"
DECISION = ("This decision", "the datasets bought above")  # in place of its policy's own texts


def page(project: Project, target: str) -> str:
    """The report of a target's decision, as HTML."""
    return _environment().get_template(TEMPLATE).render(_content(project, target))


def _content(project: Project, target: str) -> dict[str, Any]:
    """All that the template shows."""
    decision = read_json(project.open("valuation_decision", target) / "decision.json")
    outcome = read_json(project.open("decision_outcome", target) / "outcome.json")
    table = read_table(project.open("kmm_weights", target) / "weights.parquet")
    cards = _cards(project)
    total, certificate = float(table["weight"].sum()), decision["certificate"]
    bought = [
        {**item, "share": item["weight"] / total, "card": cards[item["id"]]}
        for item in decision["bought"]
    ]
    valued = [*decision["bought"], *decision["refused"]]
    return {
        "decision": decision,
        "bought": bought,
        "candidates": len(table),
        "positive": int((table["weight"] > 0).sum()),
        "widest": max((item["high"] or item["weight"] for item in decision["bought"]), default=1.0),
        "reach": max(max(item["alignment"], item["threshold"]) for item in valued) or 1.0,
        "priced": any(item["walk_away_price"] is not None for item in valued),
        "proven": certificate["relative_error"] <= certificate["tolerance"],
        "overlaps": _overlaps(cards, target),
        "resold": _resold(valued),
        "tied": _tied(decision),
        "entries": sorted(
            (item for item in valued if item["enters"] is not None),
            key=lambda item: (-item["enters"], item["id"]),
        ),
        "outcome": _outcome(outcome),
        "base_model": _model_name(decision["asked"]["params"]["base_model"]["source"]),
        "settings": decision["asked"]["params"],
        "policies": _titles(decision["asked"]["params"]["selected_subset"]["decide_by"]),
        "costs": costs(project, target),
        "figures": _figures(project, target, decision, table),
    }


def _cards(project: Project) -> dict[str, Any]:
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    return {
        offer["id"]: read_json(project.open("auxiliary_datasets", offer["id"]) / "card.json")
        for offer in offers
    }


def _overlaps(cards: dict[str, Any], target: str) -> list[tuple[str, int]]:
    """Title, and how many rows were removed because the target has them too; most first."""
    removed = [
        (card["title"], card.get("dropped", {}).get("overlap", {}).get(target, 0))
        for card in cards.values()
    ]
    return sorted((pair for pair in removed if pair[1]), key=lambda pair: (-pair[1], pair[0]))


def _resold(valued: Sequence[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Title, number of rows that were offered before, and by which dataset most of them."""
    found = [
        (item["title"], item["copied"]["copied"], next(iter(item["copied"]["of"])))
        for item in valued
        if item["copied"]["copied"]
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _tied(decision: dict[str, Any]) -> list[str]:
    """Names of refused datasets that other sample rows might have put into the purchase."""
    return [
        item["name"]
        for item in decision["refused"]
        if item["cut"] and item["cut"]["tied"] and item["weight"] > 0
    ]


def _outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome with policies best first, places for the bars, and a sentence for each pair."""
    policies = outcome["policies"]
    left = min(found["low"] for found in policies.values())
    width = max(found["high"] for found in policies.values()) - left or 1.0

    def place(value: float) -> float:
        return round(6 + 88 * (value - left) / width, 2)

    rows = [
        {
            "policy": policy,
            **found,
            "at": {name: place(found[name]) for name in ("low", "loss", "high")},
            "right_answer": math.exp(-found["loss"]),
        }
        for policy, found in policies.items()
    ]
    pairs = [{**pair, "sentence": verdict_sentence(pair)} for pair in outcome["comparisons"]]
    to_base = next((pair for pair in pairs if pair["b"] == "none"), None)
    return {
        **outcome,
        "rows": sorted(rows, key=lambda row: (row["loss"], row["policy"])),
        "ours": next(row for row in rows if row["policy"] == "kmm"),
        "base": next((row for row in rows if row["policy"] == "none"), None),
        "comparisons": pairs,
        "rewarded": all("reward" in found for found in policies.values()),
        "change": _change(to_base) if to_base else "",
        "standing": standing([pair for pair in pairs if pair is not to_base]),
    }


def _titles(decide_by: str) -> dict[str, tuple[str, str]]:
    """What each policy is called for a buyer, and what it means."""
    return {
        name: DECISION if name == decide_by else (policy.title, policy.meaning)
        for name, policy in POLICIES.items()
    }


def _title(policy: str) -> str:
    """What a policy is called for a buyer; its name, where it is not known any more."""
    return POLICIES[policy].title if policy in POLICIES else policy


def verdict_sentence(pair: dict[str, Any]) -> str:
    """One comparison in words."""
    other = _title(pair["b"]).lower()
    by = f"{abs(pair['difference']):.2f}"
    if pair["high"] < 0:
        return f"Better than “{other}”: its loss is lower by {by}."
    if pair["low"] > 0:
        return f"Worse than “{other}”: its loss is higher by {by}."
    return f"No detectable difference from “{other}”: what we measured could be chance."


def _change(pair: dict[str, Any]) -> str:
    if pair["high"] < 0:
        return "falls"
    return "rises" if pair["low"] > 0 else "does not change detectably"


def standing(pairs: Sequence[dict[str, Any]]) -> str:
    """How the purchase compares with the other ways of choosing, in a sentence or two."""
    by_case: dict[str, list[str]] = {"beats": [], "even": [], "loses": []}
    for pair in pairs:
        case = "beats" if pair["high"] < 0 else "loses" if pair["low"] > 0 else "even"
        by_case[case].append(f"“{_title(pair['b']).lower()}”")
    said = []
    if by_case["beats"]:
        said.append(f"It is better than {listed(by_case['beats'])}.")
    if by_case["even"]:
        said.append(f"No difference from {listed(by_case['even'])} could be detected.")
    if by_case["loses"]:
        said.append(f"It is worse than {listed(by_case['loses'])}.")
    return " ".join(said)


def _about(amount: float, currency: str) -> str:
    """An estimated amount, without false cents."""
    return _nicely(money(round(amount) if amount >= 10 else round(amount, 1), currency))


def _figures(project: Project, target: str, decision: dict[str, Any], table: Any) -> dict[str, Any]:
    """Name → inline SVG, trusted: drawn by us, its text escaped by the drawing library."""
    from markupsafe import Markup

    from appraise.presentation.pictures import (
        frontier_plot,
        kernel_heat_map,
        path_plot,
        training_curves,
        transfer_heat_map,
        weights_bar,
    )

    ids = list(table["id"])
    bought = [item["id"] for item in decision["bought"]]
    kernel, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    transfer, taking_part = read_arrays(project.open("transfer_matrix") / "transfer.safetensors")
    path, _ = read_arrays(project.open("kmm_weights", target) / "path.safetensors")
    trainings = {
        policy: read_json(project.open("lora_adapter", f"{target}/{policy}") / "training.json")
        for policy in decision["policies"]
    }
    weight = table["weight"].to_numpy("float64")  # no bootstrap: no interval to draw
    low, high = (table[end].fillna(table["weight"]).to_numpy("float64") for end in ("low", "high"))
    lam = decision["certificate"]["lambda"]
    drawn = {
        "weights": weights_bar(ids, weight, low, high, bought, fmt="svg"),
        "kernel": kernel_heat_map(kernel["K"], meta["ids"], bought, fmt="svg"),
        "transfer": transfer_heat_map(transfer["M"], taking_part["ids"], bought, fmt="svg"),
        "path": path_plot(path["lambdas"], path["weights"], ids, lam, bought, fmt="svg"),
    }
    points = decision["reached"]["frontier"]
    if len(points) > 1:
        names = {item["id"]: item["name"] for item in (*decision["bought"], *decision["refused"])}
        drawn["frontier"] = frontier_plot(
            [point["budget"] for point in points],
            [point["matched"] for point in points],
            [_step(points[j - 1] if j else None, points[j], names) for j in range(len(points))],
            decision["cost"],
            one_line(decision["currency"], 12),
            fmt="svg",
        )
    if any(training["loss"] for training in trainings.values()):
        drawn["training"] = training_curves(trainings, fmt="svg")
    return {name: Markup(_own_ids(name, svg.decode())) for name, svg in drawn.items()}


def _step(before: dict[str, Any] | None, point: dict[str, Any], names: dict[str, str]) -> str:
    """What a larger budget adds, and what it gives up for it."""
    had = set(before["datasets"]) if before else set()
    new = [f"+ {one_line(names[name], 18)}" for name in point["datasets"] if name not in had]
    gone = [f"− {one_line(names[name], 18)}" for name in had - set(point["datasets"])]
    return "\n".join([*new, *sorted(gone)])


def _own_ids(name: str, svg: str) -> str:
    """Ids made unique on the page: two pictures may both have an element `axes_1`."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    return svg.replace("url(#", f"url(#{name}-")


def _model_name(source: str) -> str:
    """The part of a model's source that people call it by."""
    member = source.removeprefix("zip://").split("::")[0]
    return one_line(member.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf"))


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _nicely(text: str) -> str:
    """No line break between a number and its unit."""
    return re.sub(r"(?<=[0-9]) (?=[%×A-Z])|(?<=<) (?=\d)", "\u00a0", text)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "money": lambda amount, currency: _nicely(money(amount, currency)),
        "about": _about,
        "percent": lambda share: "–" if share is None else _nicely(percent(share)),
        "number": _number,
        "signed": signed,
        "scientific": lambda value: _nicely(scientific(value)),
        "listed": listed,
        "word": number_word,
        "line": one_line,
        "nicely": _nicely,
    }
    environment.filters.update(filters)
    return environment


def _parts(project: Project, target: str) -> list[tuple[str, str]]:
    """The partitions that are read."""
    parts = [("offers", ""), ("kernel_matrix", ""), ("transfer_matrix", "")]
    parts += [("kmm_weights", target), ("target_sketches", target)]
    parts += [("gradient_sketches", key) for key in project.partitions("gradient_sketches")]
    parts += [("valuation_decision", target), ("decision_outcome", target)]
    parts += [("lora_adapter", f"{target}/{policy}") for policy in project.params.policies()]
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    return parts + [("auxiliary_datasets", offer["id"]) for offer in offers]


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {
        f"{noun}/{part}".rstrip("/"): project.content(noun, part)
        for noun, part in _parts(project, key)
    }
    drawn = "".join(sha256_file(path) for path in sorted(TEMPLATES.glob("report.*")))
    return Recipe(STEP.version, settings={"template": sha256_bytes(drawn.encode())}, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    for key in tqdm(keys, desc="report", unit="page", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            write_bytes(folder / "report.html", page(project, key).encode())


STEP = Step(
    noun="report",
    needs=(
        "offers",
        "auxiliary_datasets",
        "gradient_sketches",
        "target_sketches",
        "kernel_matrix",
        "transfer_matrix",
        "kmm_weights",
        "valuation_decision",
        "lora_adapter",
        "decision_outcome",
    ),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
)
