"""May what was valued with one model be bought for another? Two projects, the same pool.

Reads what both projects valued, and compares on the spot; nothing is written. This project is the
one that was valued with (a small model), the other the one that is bought for (a large one).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError, ParamsError, SolverError
from appraise.presentation.wording import listed, one_line, percent
from appraise.project import Project
from appraise.storage.files import read_json

if TYPE_CHECKING:
    import pandas as pd

    from appraise.numerics.agreement import Agreement, Correlation, Valued
    from appraise.numerics.program import Program

CONTENT = ("sha256", "revision", "prompt", "completion", "rejected", "messages", "where")
CONFIDENCE = 0.9


def agreement(project: Project, other: Project, target: str | None = None) -> dict[str, Any]:
    """How far two valuations of the same datasets agree, and what to do.

    Args:
        project: what was valued with; kernel matrix, weights and selected subsets are made.
        other: what is bought for; the same.
        target: one that both have; None for all of those.

    Returns:
        "value_with" and "buy_for": the names of the two; "targets": target → "datasets" that both
        valued, "left_out" (dataset → the project that alone valued it), "alignment", "kernel" and
        "weights" with "spearman" and "pearson" (None where one side is constant), "interval" of
        the first Spearman, "bought" by each and "same", "regret", "verdict" and "statement".

    Raises:
        ParamsError: a target that one of them has not, or none in common.
        ArtifactError: something is not made, or value split or datasets of the same name differ.
        SolverError: fewer than 3 datasets in common, or nothing is bought for the other model.
    """
    names = _names(project, other)
    compared = {
        one: _compared(project, other, one, names) for one in _targets(project, other, target)
    }
    return {"value_with": names[0], "buy_for": names[1], "targets": compared}


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


def _compared(
    project: Project, other: Project, target: str, names: tuple[str, str]
) -> dict[str, Any]:
    """One target: the content of the answer under its name."""
    from appraise.numerics.agreement import agreement as compare
    from appraise.steps.kmm_weights import solved

    _check_same_value_split(project, other, target)
    both = [(one, *solved(one, target)) for one in (project, other)]
    ids = [[str(name) for name in table["id"]] for _, _, table, _ in both]
    common = sorted(set(ids[0]) & set(ids[1]))
    _check_same_data(project, other, common)
    small, large = (
        _valued(program, table, float(stated["lambda"]), _bought(one, target), common)
        for one, program, table, stated in both
    )
    try:
        found = compare(small, large, confidence=CONFIDENCE)
    except SolverError as error:
        raise SolverError(f"{target}: {error}") from None
    bought = [[common[i] for i in one.chosen] for one in (small, large)]
    alone = {
        name: owner
        for owner, own in zip(names, ids, strict=True)
        for name in own
        if name not in common
    }
    return {
        "datasets": common,
        "left_out": alone,
        "alignment": _numbers(found.c),
        "interval": [_number(found.low), _number(found.high)],
        "kernel": _numbers(found.K),
        "weights": _numbers(found.w),
        "bought": {"value_with": bought[0], "buy_for": bought[1]},
        "same": [name for name in bought[1] if name in bought[0]],
        "regret": found.regret,
        "verdict": found.verdict,
        "statement": statement(found, *names),
    }


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
    here, there = (
        {offer["id"]: offer for offer in read_json(one.open("offers") / "offers.json")["offers"]}
        for one in (project, other)
    )
    for name in common:
        for part in CONTENT:
            a, b = here.get(name, {}).get(part), there.get(name, {}).get(part)
            if a != b:
                raise ArtifactError(
                    f"dataset {name}: expected the same {part} in both projects "
                    f"({one_line(a, 40)}), found {one_line(b, 40)} in {one_line(other.root)}; "
                    "value the same pool twice"
                )


def _bought(project: Project, target: str) -> list[str]:
    folder = project.open("selected_subset", f"{target}/kmm")
    return list(read_json(folder / "subset.json")["datasets"])


def _valued(
    program: Program, table: pd.DataFrame, lam: float, bought: Sequence[str], common: Sequence[str]
) -> Valued:
    """The datasets in common, in their order."""
    import numpy as np

    from appraise.numerics.agreement import Valued

    places = {str(name): place for place, name in enumerate(table["id"])}
    keep = np.array([places[name] for name in common], dtype=np.int64)
    chosen = tuple(common.index(name) for name in bought if name in common)
    return Valued(program.among(keep), lam, table["weight"].to_numpy("float64")[keep], chosen)


def _numbers(found: Correlation) -> dict[str, float | None]:
    return {"spearman": _number(found.spearman), "pearson": _number(found.pearson)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def statement(found: Agreement, small: str, large: str) -> str:
    """Go or no-go in words for somebody who buys data."""
    from appraise.numerics.agreement import LEAST_SPEARMAN, LEAST_TO_GO, MOST_REGRET

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


def lines(found: dict[str, Any]) -> list[str]:
    """The answer for a terminal: a small table and a statement for each target."""
    return [line for target in found["targets"] for line in _lines(found, target)]


def _lines(found: dict[str, Any], target: str) -> list[str]:
    one = found["targets"][target]
    return [
        f"{target}: {len(one['datasets'])} datasets in both projects",
        *(f"  left out: {name}, only in {owner}" for name, owner in one["left_out"].items()),
        f"  {'correlation of':24}{'Spearman':>10}{'Pearson':>10}",
        f"  {'alignments':24}{_cells(one['alignment'])}{_ends(one['interval'])}",
        f"  {'kernel, pair by pair':24}{_cells(one['kernel'])}",
        f"  {'weights':24}{_cells(one['weights'])}",
        *(f"  {found[who]} buys {listed(bought)}" for who, bought in one["bought"].items()),
        f"  regret: {_share(one['regret'])}",
        one["statement"],
    ]


def _cells(numbers: dict[str, float | None]) -> str:
    both = (numbers["spearman"], numbers["pearson"])
    return "".join(f"{'-' if one is None else f'{one:.2f}':>10}" for one in both)


def _ends(interval: Sequence[float | None]) -> str:
    low, high = interval
    if low is None or high is None:
        return ""
    return f"   {percent(CONFIDENCE)} interval of Spearman {low:.2f} to {high:.2f}"


def _share(part: float) -> str:
    return f"{100 * part:.1f} %".replace("-", "−")
