"""Packed sequences against each alone and against the model's own attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]

from appraise.language_model import packing
from appraise.language_model.packing import NAME, Packing


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("packing") / "base")


def test_packed_logits_are_those_of_the_model_itself(here: Room) -> None:
    packed, examples = Packing(here.model), sequences(5)
    assert packed.possible
    with packed.ready(), torch.no_grad():
        every = [range(len(one.ids)) for one in examples]
        found = packed.logits([one.ids for one in examples], every)
    for one, part in zip(examples, torch.split(found, [len(e.ids) for e in examples]), strict=True):
        with torch.no_grad():
            own = here.model(torch.tensor([one.ids])).logits[0]
        torch.testing.assert_close(part, own, rtol=1e-4, atol=1e-5)


def test_two_tokens_alone_have_the_bits_they_have_in_company(here: Room) -> None:
    """A product of fewer than four rows takes another kernel of the BLAS, with other bits."""
    packed = Packing(here.model)
    short = (5, 9)
    with packed.ready(), torch.no_grad():
        alone = packed.logits([short], [[0]])
        company = packed.logits([(7,) * 40, short, (3,) * 30], [[1], [0], [2]])
    assert torch.equal(alone[0], company[1])


def test_the_models_own_attention_is_back_afterwards(here: Room) -> None:
    before = here.model.config._attn_implementation
    with Packing(here.model).ready():
        assert here.model.config._attn_implementation == NAME
    assert here.model.config._attn_implementation == before


def test_a_model_that_does_not_pack_is_run_one_at_a_time(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALiBi and state spaces ignore positions: packed logits then differ from the model's own."""

    honest = packing.attention

    def whole(*words: Any, **given: Any) -> Any:
        packing.here.sizes = None  # attention over all that is in the row
        return honest(*words, **given)

    monkeypatch.setattr(packing, "attention", whole)
    packed = Packing(here.model)
    assert not packed.possible
    assert packed.invariant, "one at a time there is no company"
