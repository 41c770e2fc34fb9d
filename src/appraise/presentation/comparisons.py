"""How a purchase compares with the other ways of choosing, in words."""

from __future__ import annotations

from collections.abc import Sequence

from appraise.policies import POLICIES
from appraise.presentation.wording import listed
from appraise.records.outcome import Comparison


def verdict_sentence(pair: Comparison) -> str:
    """One comparison in words."""
    other, by = POLICIES[pair.b].title.lower(), f"{abs(pair.difference):.2f}"
    if pair.high < 0:
        return f"Better than “{other}”: its loss is lower by {by}."
    if pair.low > 0:
        return f"Worse than “{other}”: its loss is higher by {by}."
    return f"No detectable difference from “{other}”: what we measured could be chance."


def change(pair: Comparison) -> str:
    """What the loss does from b to a."""
    if pair.high < 0:
        return "falls"
    return "rises" if pair.low > 0 else "does not change detectably"


def standing(pairs: Sequence[Comparison]) -> str:
    """How the purchase compares with the other ways of choosing, in a sentence or two."""
    by_case: dict[str, list[str]] = {"beats": [], "even": [], "loses": []}
    for pair in pairs:
        case = "beats" if pair.high < 0 else "loses" if pair.low > 0 else "even"
        by_case[case].append(f"“{POLICIES[pair.b].title.lower()}”")
    said = []
    if by_case["beats"]:
        said.append(f"It is better than {listed(by_case['beats'])}.")
    if by_case["even"]:
        said.append(f"No difference from {listed(by_case['even'])} could be detected.")
    if by_case["loses"]:
        said.append(f"It is worse than {listed(by_case['loses'])}.")
    return " ".join(said)
