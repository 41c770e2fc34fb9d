"""Rules that reward a sampled completion, for GRPO.

A rule is given the completion and the right answer and returns a number. Those that have a name
here return from 0 to 1; a function of one's own is named `module:function`.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable
from fractions import Fraction
from numbers import Real

from appraise.errors import ModelError, ParamsError
from appraise.examples.overlap import bare

Reward = Callable[[str, str], float]

# A sign counts where it cannot be a hyphen, or a minus between two numbers.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-−+])?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+)"
)
_FINAL = "####"  # before the final answer, in sets with worked solutions
SHOWN = 60  # characters of a completion in a message


def numbers(text: str) -> list[Fraction]:
    """The numbers in a text: `-1,234.50 dollars` has one, `7:6` two.

    Commas between thousands, a decimal point, a sign and what stands around (`$`, `%`, units) are
    understood; exponents are not.
    """
    found = [match[0].replace(",", "").replace("−", "-") for match in _NUMBER.finditer(text)]
    return [Fraction(number) for number in found]


def exact_number(completion: str, answer: str) -> float:
    """1 if the last number in the completion is the number in the right answer, else 0.

    Of an answer with several numbers (`7:6`) all must be the completion's last ones, in order; of
    a worked solution what follows `####` counts. An answer without a number rewards nothing.
    """
    wanted = numbers(answer.rsplit(_FINAL, 1)[-1])
    given = numbers(completion)
    return float(bool(wanted) and given[-len(wanted) :] == wanted)


def near_number(completion: str, answer: str) -> float:
    """1 for the right number as in `exact_number`, else up to a half for how near the last one is.

    Near is the smaller over the larger: 6 and 12 for 9 earn a third and three eighths. A model that
    is seldom right then learns something from nearly every group of completions.
    """
    wanted = numbers(answer.rsplit(_FINAL, 1)[-1])
    given = numbers(completion)[-len(wanted) :]
    if given == wanted:
        return float(bool(wanted))
    if not wanted or len(given) < len(wanted):
        return 0.0
    parts = [_nearness(one, other) for one, other in zip(given, wanted, strict=True)]
    return sum(parts) / len(parts) / 2


def _nearness(one: Fraction, other: Fraction) -> float:
    if one * other <= 0:  # of different signs, or one is 0
        return float(one == other)
    small, large = sorted((abs(one), abs(other)))
    return float(small / large)


def exact_text(completion: str, answer: str) -> float:
    """1 if both are equal but for case, white space, typographic form, a full stop and quotes."""
    return float(bare(completion) == bare(answer))


RULES: dict[str, Reward] = {
    "exact_number": exact_number,
    "exact_text": exact_text,
    "near_number": near_number,
}


def reward_of(name: str) -> Reward:
    """The rule of a name, or a function of one's own (`module:function`).

    The function returned raises ModelError when the rule raises, or returns no finite number.

    Raises:
        ParamsError: there is no such rule, module or function.
    """
    rule = RULES.get(name) or _imported(name)

    def reward(completion: str, answer: str) -> float:
        try:
            value = rule(completion, answer)
        except Exception as error:  # of any kind: it is the user's code
            raise ModelError(
                f"reward {name}: expected a number for the completion {_short(completion)}, found "
                f"{type(error).__name__}: {error}; fix the function"
            ) from error
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ModelError(
                f"reward {name}: expected a finite number for the completion "
                f"{_short(completion)}, found {value!r}; fix the function"
            )
        return float(value)

    return reward


def _imported(name: str) -> Reward:
    module, _, function = name.partition(":")
    wanted = f"objective.reward: expected {', '.join(sorted(RULES))} or module:function"
    if not module or not function:
        raise ParamsError(f"{wanted}, found {name!r}")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise ParamsError(
            f"{wanted}, found {name!r} ({error}); put the module's folder on PYTHONPATH"
        ) from None
    if not callable(found):
        raise ParamsError(f"{wanted}, found {name!r}: {module} has no such function")
    return found


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")
