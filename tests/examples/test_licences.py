"""The licence gate: what is a licence, and what a buyer accepts; in doubt no."""

from __future__ import annotations

import pytest

from appraise.errors import OfferError, ParamsError
from appraise.examples.licences import check, refusal


@pytest.mark.parametrize(
    ("licence", "accepted", "passes"),
    [
        ("MIT", None, True),
        ("NOASSERTION", None, True),
        ("MIT", ["MIT"], True),
        ("mit", ["MIT"], True),
        ("MIT", ["Apache-2.0"], False),
        ("MIT", [], False),
        ("NOASSERTION", ["MIT"], False),
        ("NOASSERTION", ["MIT", "NOASSERTION"], True),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("MIT AND Apache-2.0", ["MIT", "Apache-2.0"], True),
        ("(MIT OR GPL-3.0-only) AND CC-BY-4.0", ["MIT", "CC-BY-4.0"], True),
        ("(MIT OR GPL-3.0-only) AND CC-BY-4.0", ["MIT"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            ["GPL-2.0-only WITH Classpath-exception-2.0"],
            True,
        ),
        ("LicenseRef-Lexa-7", ["LicenseRef-Lexa-7"], True),
        ("LicenseRef-Lexa-7", ["LicenseRef-Lexa-8"], False),
        ("CC-BY-NC-4.0", ["CC-BY-4.0"], False),
    ],
)
def test_what_is_accepted(licence: str, accepted: list[str] | None, passes: bool) -> None:
    check(licence)
    why = refusal(licence, accepted)
    assert (why is None) == passes
    if why is not None:
        assert "expected one of" in why
        assert "\n" not in why


def test_unknown_terms_are_called_so() -> None:
    assert refusal("NOASSERTION", ["MIT"]) == ("licence: expected one of MIT, found unknown terms")


@pytest.mark.parametrize("licence", ["", "Free", "MIT AND", "MIT OR Gratis", "AND"])
def test_what_is_no_licence(licence: str) -> None:
    with pytest.raises(OfferError, match="expected an SPDX expression"):
        check(licence)


def test_a_slip_in_what_is_accepted_is_an_error_and_not_a_silent_no() -> None:
    with pytest.raises(ParamsError, match=r"offers\.licences: .*Apache2"):
        refusal("MIT", ["Apache2"])
