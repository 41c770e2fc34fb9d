"""Numbers and names as people read them: the same in decisions, reports and the terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def one_line(text: object, limit: int = 120) -> str:
    """Text from outside on one printable line of at most `limit` characters.

    Control characters, escape sequences' introducers and marks that turn the direction of writing
    are replaced, so that a title can neither steer a terminal nor reorder a sentence.
    """
    visible = "".join(char if char.isprintable() else " " for char in str(text))
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def money(amount: float, currency: str) -> str:
    """An amount with its currency: `1,250 USD`, `0.35 EUR`."""
    rounded = round(amount, 2)
    number = f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.2f}"
    return f"{number} {currency}"


def percent(share: float) -> str:
    """A share as a percentage without decimals; a small share that is not nothing is `< 1 %`."""
    if 0 < share < 0.005:
        return "< 1 %"
    return f"{round(100 * share)} %"


def share_of_task(gain: float) -> str:
    """A part of the target, to a tenth of a percent: `2.1 % of the task`."""
    return f"{100 * gain:.1f} % of the task" if gain >= 0.0005 else "< 0.1 % of the task"


def signed(number: float, digits: int = 3) -> str:
    """A difference with its sign, with a true minus."""
    text = f"{abs(number):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if number > 0 else "−") + text


def scientific(number: float) -> str:
    """A tiny number by its size: `3.1 × 10⁻¹²`."""
    if number == 0:
        return "0"
    if 1e-3 <= abs(number) < 1e4:
        return f"{number:.4g}"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"


def listed(names: Sequence[str], nothing: str = "nothing") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if not names:
        return nothing
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_word(count: int) -> str:
    """`three` for 3; digits above ten."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def ordinal(rank: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    suffix = (
        "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    )
    return f"{rank}{suffix}"


def short_names(titles: Mapping[str, str], limit: int = 60) -> dict[str, str]:
    """What datasets are called in a sentence, by id: the title up to its first colon or comma.

    Where two titles begin alike, both keep all of theirs.
    """
    full = {name: one_line(title, limit) for name, title in titles.items()}
    short = {
        name: re.split(r"[:,;(–—]\s?", title, maxsplit=1)[0].strip() for name, title in full.items()
    }
    times = Counter(short.values())
    return {n: short[n] if len(short[n]) > 2 and times[short[n]] == 1 else full[n] for n in titles}
