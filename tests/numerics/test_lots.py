"""Lots: bundles, exclusions, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.lots import lots_of


def test_every_dataset_is_in_one_lot() -> None:
    found = lots_of(6, [(4, 1), (5,)], [(0, 4), (3, 2)])
    assert found.members == ((0,), (1, 4), (2,), (3,), (5,))
    assert found.excludes == {(0, 1), (2, 3)}
    assert found.size(1) == 2
    assert found.price(1, np.arange(6.0)) == 5
    assert found.datasets([1, 0]) == (1, 4, 0)


def test_exclusions_bind_whole_lots() -> None:
    found = lots_of(4, [(0, 1)], [(1, 2)])
    assert not found.fits(0, [1])
    assert not found.fits(1, [0])
    assert found.fits(2, [0, 1])


def test_what_cannot_be() -> None:
    with pytest.raises(ParamsError, match="found dataset 1 in two"):
        lots_of(3, [(0, 1), (1, 2)])
    for pair in ((0, 1), (2, 2)):
        with pytest.raises(ParamsError, match="expected datasets that can be bought apart"):
            lots_of(3, [(0, 1)], [pair])
