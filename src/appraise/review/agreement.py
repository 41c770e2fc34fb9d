"""May what was valued with one model be bought for another? Two projects, the same pool.

Reads what both projects valued, and compares on the spot; nothing is written. This project is the
one that was valued with (a small model), the other the one that is bought for (a large one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from appraise.errors import ArtifactError, ParamsError, SolverError
from appraise.numerics.agreement import (
    LEAST_SPEARMAN,
    LEAST_TO_GO,
    MOST_REGRET,
    Agreement,
    Correlation,
    Valued,
)
from appraise.numerics.agreement import agreement as compare
from appraise.presentation.wording import listed, one_line, percent
from appraise.project import Project
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.program import SolvedProgram
from appraise.records.record import Json, number
from appraise.records.subset import Subset
from appraise.steps.selected_subset import proving

CONTENT = ("sha256", "revision", "prompt", "completion", "rejected", "messages", "where")
CONFIDENCE = 0.9
VALUES = "dataset_values"


@dataclass(frozen=True)
class Correlations:
    """Of ranks and of the numbers themselves; None where one side is constant."""

    spearman: float | None
    pearson: float | None

    @classmethod
    def of(cls, found: Correlation) -> Correlations:
        """As JSON has them."""
        return cls(number(found.spearman), number(found.pearson))


@dataclass(frozen=True)
class TargetAgreement:
    """How far two valuations of one target agree, and what to do.

    Attributes:
        datasets: that both valued.
        left_out: dataset → the project that alone valued it.
        alignment: of the alignments.
        interval: ends of that Spearman correlation's interval; None where there is none.
        kernel: of the kernels' entries, pair by pair.
        weights: of the weights.
        bought: by the project that was valued with.
        wanted: by the project that is bought for.
        same: datasets that both buy.
        regret: what is lost by buying `bought`, as a part of what `wanted` gains.
        verdict: whether to buy for the other model.
        statement: the same in words.
    """

    datasets: list[str]
    left_out: dict[str, str]
    alignment: Correlations
    interval: tuple[float | None, float | None]
    kernel: Correlations
    weights: Correlations
    bought: list[str]
    wanted: list[str]
    same: list[str]
    regret: float
    verdict: Literal["go", "no-go"]
    statement: str


@dataclass(frozen=True)
class ProjectsAgreement:
    """How far the valuations of two projects agree.

    Attributes:
        value_with: name of the project that was valued with.
        buy_for: name of the other.
        targets: by name.
    """

    value_with: str
    buy_for: str
    targets: dict[str, TargetAgreement]

    def as_json(self) -> Json:
        """For programs."""
        targets: Json = {}
        for name, one in self.targets.items():
            content: Json = asdict(one)
            bought: Json = {"value_with": content.pop("bought"), "buy_for": content.pop("wanted")}
            targets[name] = content | {"bought": bought}
        return {"value_with": self.value_with, "buy_for": self.buy_for, "targets": targets}


def agreement(project: Project, other: Project, target: str | None = None) -> ProjectsAgreement:
    """How far two valuations of the same datasets agree, and what to do.

    Args:
        project: what was valued with; kernel matrix, weights and selected subsets are made.
        other: what is bought for; the same.
        target: one that both have; None for all of those.

    Raises:
        ParamsError: a target that one of them has not, or none in common.
        ArtifactError: something is not made, or value split or datasets of the same name differ.
        SolverError: fewer than 3 datasets in common, or nothing is bought for the other model.
    """
    names = _names(project, other)
    compared = {
        one: _compared(project, other, one, names) for one in _targets(project, other, target)
    }
    return ProjectsAgreement(*names, compared)


def _names(project: Project, other: Project) -> tuple[str, str]:
    roots = project.root, other.root
    if roots[0] == roots[1]:
        raise ParamsError(
            f"agreement: expected two projects, found {project.root} twice; name the folder of the "
            "project with the other model"
        )
    alike = roots[0].name == roots[1].name
    small, large = (one_line(root if alike else root.name) for root in roots)
    return small, large


def _targets(project: Project, other: Project, target: str | None) -> list[str]:
    here, there = set(project.params.target_sets), set(other.params.target_sets)
    common = sorted(here & there)
    if target is None and common:
        return common
    if target in common:
        return [str(target)]
    wanted = "a target that both projects have" if target is None else f"target {target} in both"
    raise ParamsError(
        f"agreement: expected {wanted}, found {listed(sorted(here), 'none')} here and "
        f"{listed(sorted(there), 'none')} in {one_line(other.root)}; see target_sets in params.yaml"
    )


@dataclass(frozen=True)
class _Side:
    """One project's valuation of a target: its datasets, and what of it can be compared."""

    ids: list[str]
    places: dict[str, int]
    valued: Valued

    @classmethod
    def of(cls, project: Project, target: str) -> _Side:
        kernel = Kernel.read(project.open("kernel_matrix"))
        solved = SolvedProgram.read(project.open(VALUES, _proved(project, target)), kernel, target)
        policy = project.params.selected_subset.decide_by
        bought = Subset.read(project.open("selected_subset", f"{target}/{policy}")).datasets
        ids, weights = solved.weights.ids, solved.weights.numbers("weight")
        places = {name: place for place, name in enumerate(ids)}
        chosen = tuple(places[name] for name in bought)
        return cls(ids, places, Valued(solved.program, solved.certificate.lam, weights, chosen))

    def among(self, common: Sequence[str]) -> Valued:
        """Of the datasets in common, in their order."""
        keep = np.array([self.places[name] for name in common], dtype=np.int64)
        new = {int(old): place for place, old in enumerate(keep)}
        chosen = tuple(new[old] for old in self.valued.chosen if old in new)
        whole = self.valued
        return Valued(whole.program.among(keep), whole.lam, whole.weights[keep], chosen)


def _proved(project: Project, target: str) -> str:
    """The values that solve a program, by which a set of one project is rated in the other."""
    keys = proving(project, target)
    if not keys:
        methods = ", ".join(project.params.methods()) or "none"
        raise ParamsError(
            f"agreement: expected a method that solves a program in {one_line(project.root)}, "
            f"found {methods}; add kmm to dataset_values.methods"
        )
    return keys[0]


def _compared(
    project: Project, other: Project, target: str, names: tuple[str, str]
) -> TargetAgreement:
    """One target."""
    _check_same_value_split(project, other, target)
    both = [_Side.of(one, target) for one in (project, other)]
    common = sorted(set(both[0].ids) & set(both[1].ids))
    _check_same_data(project, other, common)
    small, large = (side.among(common) for side in both)
    try:
        found = compare(small, large, confidence=CONFIDENCE)
    except SolverError as error:
        raise SolverError(f"{target}: {error}") from None
    bought, wanted = ([common[i] for i in one.chosen] for one in (small, large))
    alone = {
        name: owner
        for owner, side in zip(names, both, strict=True)
        for name in side.ids
        if name not in common
    }
    return TargetAgreement(
        datasets=common,
        left_out=alone,
        alignment=Correlations.of(found.c),
        interval=(number(found.low), number(found.high)),
        kernel=Correlations.of(found.K),
        weights=Correlations.of(found.w),
        bought=bought,
        wanted=wanted,
        same=[name for name in wanted if name in bought],
        regret=found.regret,
        verdict=found.verdict,
        statement=statement(found, *names),
    )


def _check_same_value_split(project: Project, other: Project, target: str) -> None:
    here, there = (one.content("target_sets", target, "value.parquet") for one in (project, other))
    if here != there:
        raise ArtifactError(
            f"target {target}: expected the same value split in both projects ({here[:12]}…), "
            f"found {there[:12]}… in {one_line(other.root)}; give both the same target_sets "
            "section and a base_model.max_length at which no row is dropped"
        )


def _check_same_data(project: Project, other: Project, common: Sequence[str]) -> None:
    """A dataset of one name is one dataset: same data, same templates."""
    here, there = (Offers.read(one.open("offers")) for one in (project, other))
    for name in common:
        for part in CONTENT:
            a, b = getattr(here[name], part), getattr(there[name], part)
            if a != b:
                raise ArtifactError(
                    f"dataset {name}: expected the same {part} in both projects "
                    f"({one_line(a, 40)}), found {one_line(b, 40)} in {one_line(other.root)}; "
                    "value the same pool twice"
                )


def statement(found: Agreement, small: str, large: str) -> str:
    """Go or no-go in words for somebody who buys data."""
    lost = f"{_share(found.regret)} of what {large} gains by its own purchase"
    every = "all" if found.same == found.bought[1] else found.same
    same = f"{every} of the {found.bought[1]} datasets that {large} would buy"
    sure = f"at least {found.low:.2f} is sure" if found.low > 0 else "nothing is sure"
    ranks = f"rank correlation {found.c.spearman:.2f}, of which {sure}"
    if found.verdict == "go":
        loses = f"it loses {lost}" if found.regret > 0 else "it loses nothing by that"
        return (
            f"GO: buy for {large} what the valuation with {small} chooses. It holds {same}; "
            f"{loses}. The two rank the pool alike ({ranks})."
        )
    reasons = []
    if found.regret > MOST_REGRET:
        reasons.append(
            f"what the valuation with {small} chooses loses {lost} (at most "
            f"{_share(MOST_REGRET)} is allowed) and holds {same}"
        )
    if not found.low > LEAST_SPEARMAN:
        reasons.append(
            f"the two do not surely rank the pool alike ({ranks}; more than {LEAST_SPEARMAN} must)"
        )
    if found.datasets < LEAST_TO_GO:
        reasons.append(
            f"an order of {found.datasets} datasets can be right by luck ({LEAST_TO_GO} must be "
            "valued with both)"
        )
    return f"NO-GO: value with {large} itself, since {'; '.join(reasons)}."


def lines(found: ProjectsAgreement) -> list[str]:
    """The answer for a terminal: a small table and a statement for each target."""
    return [line for target, one in found.targets.items() for line in _lines(found, target, one)]


def _lines(found: ProjectsAgreement, target: str, one: TargetAgreement) -> list[str]:
    return [
        f"{target}: {len(one.datasets)} datasets in both projects",
        *(f"  left out: {name}, only in {owner}" for name, owner in one.left_out.items()),
        f"  {'correlation of':24}{'Spearman':>10}{'Pearson':>10}",
        f"  {'alignments':24}{_cells(one.alignment)}{_ends(one.interval)}",
        f"  {'kernel, pair by pair':24}{_cells(one.kernel)}",
        f"  {'weights':24}{_cells(one.weights)}",
        f"  {found.value_with} buys {listed(one.bought)}",
        f"  {found.buy_for} buys {listed(one.wanted)}",
        f"  regret: {_share(one.regret)}",
        one.statement,
    ]


def _cells(numbers: Correlations) -> str:
    both = (numbers.spearman, numbers.pearson)
    return "".join(f"{'-' if one is None else f'{one:.2f}':>10}" for one in both)


def _ends(interval: tuple[float | None, float | None]) -> str:
    low, high = interval
    if low is None or high is None:
        return ""
    return f"   {percent(CONFIDENCE)} interval of Spearman {low:.2f} to {high:.2f}"


def _share(part: float) -> str:
    return f"{100 * part:.1f} %".replace("-", "−")
