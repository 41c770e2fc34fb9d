"""Families: parts of one dataset are found and put together again; different ones stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.families import families, merged_preview, value_families
from appraise.numerics.kernel import inner_products, mean_gradient, mean_norm, noise_share
from appraise.numerics.question import question
from appraise.numerics.rule import Lambda

FAMILY = 0.8


def rows_of(direction: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return direction + 1.5 * rng.normal(size=(count, len(direction))) / len(direction) ** 0.5


def found_in(tables: list[np.ndarray], threshold: float = FAMILY) -> list[int]:
    G = np.array([mean_gradient(table) for table in tables])
    norms = np.array([mean_norm(table) for table in tables])
    noise = np.array([noise_share(table) for table in tables])
    rows = np.array([len(table) for table in tables], dtype=float)
    return families(inner_products(G, G), norms, noise, rows, threshold).tolist()


def directions(count: int, rng: np.random.Generator) -> np.ndarray:
    found = np.linalg.qr(rng.normal(size=(300, count)))[0].T
    return 0.6 * found + 0.4 * found[0]  # of one kind, but different


@pytest.mark.parametrize("seed", range(5))
def test_random_parts_of_one_dataset_are_a_family_and_others_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    themes = directions(6, rng)
    parts = np.array_split(rows_of(themes[1], 240, rng), 10)
    tables = [rows_of(theme, 24, rng) for theme in themes[2:]]
    expected = [0, *[1] * 10, 11, 12, 13]
    assert found_in([tables[0], *parts, *tables[1:]]) == expected


def test_a_dataset_sorted_and_cut_is_one_family() -> None:
    rng = np.random.default_rng(1)
    table = np.concatenate(
        [rows_of(np.eye(300)[0] + x * np.eye(300)[1], 24, rng) for x in np.linspace(-0.5, 0.5, 9)]
    )
    assert found_in(list(np.array_split(table, 9))) == [0] * 9


def test_noise_is_put_right() -> None:
    # 8 rows of one direction have a cosine of about 0.78; put right, they are one family
    joined = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        joined += found_in([rows_of(np.eye(300)[0], 8, rng) for _ in range(2)], 0.9) == [0, 0]
    assert joined >= 18


def test_order_changes_nothing_but_who_is_first() -> None:
    rng = np.random.default_rng(4)
    tables = [
        *np.array_split(rows_of(np.eye(300)[0], 72, rng), 3),
        rows_of(np.eye(300)[5], 24, rng),
    ]
    assert found_in(tables) == [0, 0, 0, 3]
    assert found_in(tables[::-1]) == [0, 1, 1, 1]


def test_parts_give_back_the_preview_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    table, keys = rng.normal(size=(90, 5)), [f"{i:03d}" for i in rng.permutation(90)]
    order = np.argsort(keys)
    whole = table[order][:24]
    of = rng.integers(0, 4, 90)
    parts = [np.flatnonzero(of == part) for part in range(4)]
    previews = [sorted(part, key=lambda i: keys[i])[:24] for part in parts]
    merged, names = merged_preview(
        [table[part] for part in previews], [[keys[i] for i in part] for part in previews], 24
    )
    np.testing.assert_array_equal(merged, whole)
    assert list(names) == sorted(keys)[:24]


def test_a_family_has_the_weight_and_value_of_the_whole_and_its_owner_too() -> None:
    rng = np.random.default_rng(5)
    whole = [rows_of(np.eye(300)[i], 72, rng) for i in range(3)]
    keys = [[f"{i}/{row:02d}" for row in rng.permutation(72)] for i in range(3)]
    target = mean_gradient(rows_of(np.eye(300)[:2].sum(axis=0), 72, rng))

    def valued(tables: list[np.ndarray], names: list[list[str]], owners: list[str], first: Any):
        G = np.array([mean_gradient(table) for table in tables])
        asks = question([str(i) for i in range(len(G))], cap=0.3)
        lam = Lambda(1.0, 10.0, 5.0, 0.1, "relative")
        return value_families(np.array(first), G, target, tables, names, owners, asks, lam)

    cut = [whole[0][:24], whole[0][24:48], whole[0][48:]]
    shown = sorted(zip(keys[0], whole[0], strict=True))[:24]
    best = [np.array([row for _, row in shown]), [key for key, _ in shown]]
    alone = valued([best[0], *whole[1:]], [best[1], *keys[1:]], ["x", "y", "z"], [0, 1, 2])
    parts = valued(
        [*cut, *whole[1:]], [keys[0][:24], keys[0][24:48], keys[0][48:], *keys[1:]],
        ["x", "x", "x", "y", "z"], [0, 0, 0, 3, 4],
    )  # fmt: skip
    assert parts.first == [0, 0, 0, 3, 4]
    assert parts.by_first[0] == pytest.approx(alone.by_first[0])
    assert [one.name for one in parts.owners] == [one.name for one in alone.owners]
    assert parts.by_first[0][0] > 0.3, "families are valued without limits"
    shared = valued([cut[0], cut[1]], [keys[0][:24], keys[0][24:48]], ["x", "y"], [0, 0])
    assert shared.owners == (), "what two offer is nobody's own"


def test_single_rows_one_dataset_and_bad_thresholds() -> None:
    assert found_in([np.eye(3)[:1], np.eye(3)[:1] + 0.01]) == [0, 0]
    assert found_in([np.eye(3)[:1], np.eye(3)[1:2]]) == [0, 1]
    assert found_in([np.eye(3)]) == [0]
    for wrong in (0.0, 1.1):
        with pytest.raises(ParamsError, match="family_cosine: expected a cosine above 0"):
            found_in([np.eye(3)], wrong)
