"""Datasets and a model in, a decision out: the steps of a project, run in a folder of its own.

Nothing is computed here. Rows become files, the arguments become `params.yaml` and a pool, and the
steps up to the decision are run on them: what is valued, set aside or refused, and why, is what
`appraise run --until valuation_decision` would say of the same files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from appraise.api import as_project
from appraise.api.model import source_of
from appraise.api.shown import UNKNOWN, Line, Shown
from appraise.authoring.new_project import POOL
from appraise.errors import ParamsError
from appraise.project import Project
from appraise.records.decision import Decision
from appraise.records.valued import Bought, Refused
from appraise.steps.asked import check
from appraise.steps.flow import step, until
from appraise.steps.runner import run

TARGET, DECIDED = "target", "valuation_decision"


@dataclass(frozen=True, repr=False)
class DatasetValuation(Shown):
    """What `value_datasets` returns.

    Attributes:
        decision: all that was decided, and why, as a project keeps it.
        project: the folder in which it was made.
        names: of the datasets, by their ids in the decision.
        priced: whether they have prices.
    """

    decision: Decision
    project: Project
    names: Mapping[str, str]
    priced: bool
    _kept: tempfile.TemporaryDirectory[str] | None = field(default=None, compare=False)

    @property
    def currency(self) -> str:
        """Of the prices."""
        return self.decision.currency

    @property
    def weights(self) -> dict[str, float]:
        """Dataset → what it is worth; those that were set aside have none."""
        return {line.dataset: line.weight for line in self.lines() if line.weight == line.weight}

    @property
    def selected(self) -> tuple[str, ...]:
        """The datasets to buy, best first."""
        return tuple(self.names[name] for name in self.decision.bought_ids)

    def lines(self) -> Sequence[Line]:
        """A line for each dataset: those bought, those refused, those set aside."""
        valued = [self._line(item) for item in self.decision.valued()]
        aside = [
            Line(
                dataset=self.names.get(item.id, item.id),
                bought=False,
                weight=UNKNOWN,
                low=UNKNOWN,
                high=UNKNOWN,
                bought_in=UNKNOWN,
                price=UNKNOWN,
                worth_up_to=UNKNOWN,
                alignment=UNKNOWN,
                why=f"Set aside ({item.step}): {item.reason}",
            )
            for item in self.decision.set_aside
        ]
        return [*valued, *aside]

    def _line(self, item: Bought | Refused) -> Line:
        spread = item.uncertainty
        return Line(
            dataset=self.names[item.id],
            bought=isinstance(item, Bought),
            weight=item.weight,
            low=spread.low if spread else UNKNOWN,
            high=spread.high if spread else UNKNOWN,
            bought_in=UNKNOWN,
            price=item.price if self.priced else UNKNOWN,
            worth_up_to=UNKNOWN,
            alignment=item.alignment,
            why=item.reason,
        )


def value_datasets(
    datasets: Mapping[str, Any],
    target: Any,
    *,
    model: Any,
    tokenizer: Any = None,
    templates: Mapping[str, Any] | None = None,
    prices: Mapping[str, float] | None = None,
    currency: str = "units",
    k: int = 3,
    budget: float | None = None,
    policy: str = "kmm",
    preview: int = 24,
    target_examples: int = 16,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    folder: str | PathLike[str] | None = None,
) -> DatasetValuation:
    """Value datasets for a target under a model, and decide which ones to buy.

    Rows are a dataset of `datasets`, a data frame, a list of mappings from column to value, or the
    name of a file, a folder or a dataset of the hub. Nothing is trained.

    Args:
        datasets: rows by name.
        target: rows like those that the model is to be good at; a mapping from a name to rows where
            the task has several parts.
        model: a model of transformers, its folder, a GGUF file or a hub id.
        tokenizer: of a model that is given as an object.
        templates: `prompt`, `completion`, `choices`, `messages`, …, as in a pool
            ({"prompt": "{question}", "completion": "{answer}"}), for all rows; or a mapping from
            name to these. What is not given is proposed by the names of the columns.
        prices: by name, 0 or more; None where nothing is paid.
        currency: of the prices.
        k: how many datasets to buy at most.
        budget: how much to spend at most.
        policy: which decides (`appraise.policies`).
        preview: examples of each dataset that are looked at; more: steadier values, more time.
        target_examples: examples of each part of the target whose gradients are its gradient.
        settings: sections of `params.yaml`, for everything else:
            {"base_model": {"chat": True}, "gradient_sketches": {"dimension": 4096}}.
        folder: where to keep all of it; a next call there computes only what has changed. None: in
            a temporary folder, until the valuation is deleted.

    Raises:
        ParamsError: an argument is missing, out of range, or does not fit the others.
        OfferError: rows cannot be used, all of them named; or too few of the target's can.
        ModelError: the model cannot be used.
    """
    kept = None if folder is not None else tempfile.TemporaryDirectory(prefix="appraise-")
    root = Path(kept.name if kept is not None else str(folder)).resolve()
    parts = target if as_project.is_parts(target) else {TARGET: target}
    ids, part_ids = as_project.ids_of(datasets, "datasets"), as_project.ids_of(parts, "target")
    as_project.begin(root)
    source, sha256 = source_of(model, tokenizer, root)
    asked = templates or {}
    seen = as_project.looks(root, datasets, ids, asked)
    seen_target = as_project.looks(root, parts, part_ids, asked)
    pool = {
        "title": "Datasets",
        "currency": currency,
        "offers": as_project.offers_of(seen, ids, _prices(ids, prices)),
    }
    params: dict[str, Mapping[str, Any]] = {
        "base_model": {"source": source, "sha256": sha256},
        "offers": {"pool": POOL},
        "target_sets": {TARGET: as_project.target_of(seen_target, part_ids, target_examples)},
        "gradient_sketches": {"preview": preview},
        "selected_subset": {"policies": [policy], "decide_by": policy, "k": k, "budget": budget},
    }
    for section, change in (settings or {}).items():
        params[section] = {**params.get(section, {}), **change}
    as_project.write(root, pool, params)
    project = Project(root)
    check(project)
    for noun in until(DECIDED):
        run(step(noun), project)
    decision = project.read(Decision, DECIDED, TARGET)
    names = {own: name for name, own in ids.items()}
    return DatasetValuation(decision, project, names, prices is not None, kept)


def _prices(names: Mapping[str, str], prices: Mapping[str, float] | None) -> dict[str, float]:
    """A price for each dataset; all are free where none is given."""
    missing = [name for name in names if name not in (prices or names)]
    if missing:
        raise ParamsError(
            f"prices: expected one for every dataset, found none for {', '.join(missing)}; add it"
        )
    return {name: float(prices[name]) if prices else 0.0 for name in names}
