"""Values as they are given: hashes in upper case, truths for numbers, numbers for text."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from appraise.examples.downloads import Download
from appraise.records.offers import Offer
from appraise.settings.data import AuxiliaryDatasetsParams, Component
from appraise.settings.model import BaseModelParams
from appraise.settings.section import describe

DIGEST = "0123456789abcdef" * 4
OFFER = {
    "id": "a", "title": "A", "provider": "P", "version": "1", "licence": "MIT", "price": 1,
    "source": "a.jsonl",
}  # fmt: skip
COMPONENT = {"name": "a", "source": "a.jsonl"}
HASHED: list[tuple[type[Any], dict[str, Any]]] = [
    (Offer, OFFER),
    (Component, COMPONENT),
    (BaseModelParams, {"source": "a.gguf"}),
    (Download, {"package": "a==1", "file": "a.whl"}),
]


def said(kind: type[Any], content: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(content)
    return describe(caught.value)


@pytest.mark.parametrize(("kind", "rest"), HASHED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_hash_may_be_in_upper_case_and_a_malformed_one_says_so(
    kind: type[Any], rest: dict[str, Any]
) -> None:
    for written in (DIGEST, DIGEST.upper(), f" {DIGEST.title()}\n"):
        assert kind.model_validate(rest | {"sha256": written}).sha256 == DIGEST
    for wrong, expected in (
        (DIGEST[:-1], "64 hexadecimal digits, not 63 characters, found '0123"),
        ("", "not 0 characters, found ''"),
        (
            DIGEST[:-1] + "g",
            "sha256: expected a SHA-256: 64 hexadecimal digits, found",
        ),
        (f"sha256:{DIGEST}", "not 71 characters"),
    ):
        assert expected in said(kind, rest | {"sha256": wrong})


def test_a_truth_is_no_number() -> None:
    for name in ("seed", "max_examples", "max_invalid_share"):
        found = said(AuxiliaryDatasetsParams, {name: True})
        assert found == f"{name}: expected a number, or text in quotes, found True"
    assert BaseModelParams.model_validate({"source": "a", "chat": True}).chat is True
    assert "expected a number, or text" in said(Offer, OFFER | {"price": True})


def test_text_that_looks_like_a_number_is_asked_for_in_quotes() -> None:
    for value in (2.1, 3):
        assert said(Offer, OFFER | {"version": value}) == (
            f"version: Input should be a valid string, found {value}; "
            "text that looks like a number stands in quotes"
        )


@pytest.mark.parametrize("day", [20260501, 0, 86400.0, "86400", "2026-5-1", "2026-05-01T00:00"])
def test_a_day_is_written_as_one(day: object) -> None:
    assert "registered: expected a day as in 2026-05-01" in said(Offer, OFFER | {"registered": day})


def test_a_day_that_is_none() -> None:
    assert "registered: " in said(Offer, OFFER | {"registered": "2026-02-30"})
    assert (
        str(Offer.model_validate(OFFER | {"registered": "2026-02-28"}).registered) == "2026-02-28"
    )
