"""Licences: what an offer states, and whether a buyer accepts it. In doubt the answer is no."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from license_expression import ExpressionError, Licensing, get_spdx_licensing

from appraise.errors import OfferError, ParamsError

UNKNOWN = "NOASSERTION"
_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")


@cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


def check(licence: str) -> None:
    """Refuse what is no licence.

    Raises:
        OfferError: it is no SPDX expression, no LicenseRef-… and not NOASSERTION.
    """
    if licence == UNKNOWN:
        return
    try:
        unknown = _unknown_names(_parsed(licence))
    except ValueError as error:
        what = f"{licence!r} ({error})"
    else:
        if not unknown:
            return
        what = f"{licence!r}: {', '.join(unknown)} is no SPDX licence"
    raise OfferError(
        f"licence: expected an SPDX expression, LicenseRef-… or {UNKNOWN}, found {what}"
    )


def refusal(licence: str, accepted: Collection[str] | None) -> str | None:
    """Why a buyer may not take data under a licence; None where he may.

    Of "A OR B" one must be accepted, of "A AND B" both; "A WITH B" is a licence of its own.

    Args:
        licence: SPDX expression or NOASSERTION, as `check` lets it pass.
        accepted: the licences that are accepted, NOASSERTION among them where unknown terms are
            taken; None for any.

    Raises:
        ParamsError: an accepted licence is none.
    """
    if accepted is None:
        return None
    names = {name.lower() for name in accepted}
    for name in accepted:
        try:
            check(name)
        except OfferError as error:
            raise ParamsError(f"offers.licences: {error}") from None
    known = licence != UNKNOWN
    if _accepts(_parsed(licence), names) if known else UNKNOWN.lower() in names:
        return None
    terms = licence if known else "unknown terms"
    return f"licence: expected one of {', '.join(sorted(accepted)) or 'none'}, found {terms}"


def _parsed(licence: str) -> Any:
    """The expression's tree.

    Raises:
        ValueError: it cannot be parsed.
    """
    try:
        tree = _licensing().parse(licence, validate=False, strict=True)
    except (ExpressionError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    if tree is None:
        raise ValueError("empty")
    return tree


def _unknown_names(tree: Any) -> list[str]:
    known = _licensing().known_symbols
    keys = _licensing().license_keys(tree)
    return [key for key in keys if key not in known and not _REFERENCE.fullmatch(key)]


def _accepts(tree: Any, names: Collection[str]) -> bool:
    operator = getattr(tree, "operator", "").strip()
    if operator == "OR":
        return any(_accepts(part, names) for part in tree.args)
    if operator == "AND":
        return all(_accepts(part, names) for part in tree.args)
    return str(tree).lower() in names
