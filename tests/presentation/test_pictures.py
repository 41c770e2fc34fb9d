"""Pictures: valid, small, the same bytes for the same arrays, and safe inside a page."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable

import factory  # type: ignore[import-not-found]
import numpy as np
import pytest

from appraise.presentation import drawing, pictures
from appraise.presentation.drawing import Format

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(16, 30)) + 1.5 * RNG.normal(size=(4, 30)).repeat(4, axis=0)
K = ROWS @ ROWS.T
IDS = [f"dataset_{i}" for i in range(16)]
WEIGHTS = np.clip(RNG.normal(size=16), 0, None)
LAMBDAS = np.linspace(1, 0, 8)
PATH = np.outer(1 - LAMBDAS, WEIGHTS)
TRAININGS = {
    "kmm": factory.training(np.linspace(4, 3, 60).tolist()),
    "random": factory.training(np.linspace(4, 3.5, 60).tolist()),
    "none": factory.training(),
}
REWARDED = {name: factory.training([0.0] * 60, one.loss) for name, one in TRAININGS.items()}
PICTURES: dict[str, Callable[[Format], bytes]] = {
    "kernel": lambda fmt: pictures.kernel_heat_map(K, IDS, ["dataset_3"], fmt),
    "transfer": lambda fmt: pictures.transfer_heat_map(
        np.where(np.eye(16) > 0, np.nan, K / 60), IDS, ["dataset_3"], fmt
    ),
    "weights": lambda fmt: pictures.weights_bar(
        IDS, WEIGHTS, WEIGHTS - 0.1, WEIGHTS + 0.2, ["dataset_3"], fmt
    ),
    "path": lambda fmt: pictures.path_plot(LAMBDAS, PATH, IDS, 0.2, ["dataset_3"], fmt),
    "frontier": lambda fmt: pictures.frontier_plot(
        [0, 60, 100, 310], [0, 0.2, 0.3, 0.6], ["", "+a", "+b −a", "+c"], 310, "USD", fmt
    ),
    "training": lambda fmt: pictures.training_curves(TRAININGS, "kmm", fmt),
    "rewards": lambda fmt: pictures.training_curves(REWARDED, "kmm", fmt),
    "outcome": lambda fmt: pictures.outcome_bar(
        ["none", "kmm"],
        np.array([4.1, 3.4]),
        np.array([4.0, 3.3]),
        np.array([4.2, 3.5]),
        "kmm",
        fmt,
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_png_is_small_and_repeatable(name: str) -> None:
    png = PICTURES[name]("png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert 2_000 < len(png) < 60_000
    assert b"matplotlib" not in png.lower()
    assert PICTURES[name]("png") == png


@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_repeatable_and_takes_the_colours_of_the_page(name: str) -> None:
    svg = PICTURES[name]("svg")
    assert PICTURES[name]("svg") == svg
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert b"var(--ink)" in svg
    assert not any(colour.encode() in svg for colour in drawing.VARIABLES)
    assert b"metadata" not in svg
    assert b"dc:date" not in svg


def test_svg_escapes_names_and_takes_dollars_for_dollars() -> None:
    ids = ["<script>x</script>", r"$\frac{1}{0}$", "a"]
    svg = pictures.kernel_heat_map(np.eye(3), ids, fmt="svg").decode()
    assert "<script>" not in svg
    texts = {element.text for element in ElementTree.fromstring(svg).iter() if element.text}
    assert set(ids) <= {text.strip() for text in texts}


def test_rewards_are_drawn_where_there_are_some() -> None:
    drawn = {name: PICTURES[name]("svg").decode() for name in ("training", "rewards")}
    assert "loss on what it trains on" in drawn["training"]
    assert "reward of its completions" in drawn["rewards"]


def test_kernel_puts_similar_datasets_side_by_side() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0.05], [0.05, 1.0]])
    svg = pictures.kernel_heat_map(vectors @ vectors.T, ["a", "b", "c", "d"], fmt="svg").decode()
    names = [e.text for e in ElementTree.fromstring(svg).iter() if e.text in ("a", "b", "c", "d")]
    first = names[:4]
    assert abs(first.index("a") - first.index("c")) == 1
    assert abs(first.index("b") - first.index("d")) == 1


def test_a_picture_does_not_depend_on_the_order_of_the_datasets() -> None:
    turned = np.arange(16)[::-1]
    again = pictures.weights_bar(
        [IDS[i] for i in turned],
        WEIGHTS[turned],
        WEIGHTS[turned] - 0.1,
        WEIGHTS[turned] + 0.2,
        ["dataset_3"],
    )
    assert again == PICTURES["weights"]("png")


def texts(svg: bytes) -> Counter[str]:
    """How often each text is written in a picture."""
    found = (element.text for element in ElementTree.fromstring(svg).iter())
    return Counter(text.strip() for text in found if text and text.strip())


@pytest.mark.parametrize("n", [1, 2, 45])
def test_pools_of_any_size_can_be_drawn(n: int) -> None:
    ids, ones = [f"d{i}" for i in range(n)], np.ones(n)
    kernel = texts(pictures.kernel_heat_map(np.eye(n) + 0.2, ids, fmt="svg"))
    sides = 2 if n <= pictures.MOST_LABELS else 0
    assert [kernel[name] for name in ids] == [sides] * n
    bars = texts(pictures.weights_bar(ids, ones, 0 * ones, 2 * ones, [], fmt="svg"))
    assert [bars[name] for name in ids] == [1] * n
    path = np.outer(1 - LAMBDAS, ones)
    lines = texts(pictures.path_plot(LAMBDAS, path, ids, 0.2, ids[:3], fmt="svg"))
    assert [lines[name] for name in ids[:3]] == [1] * min(n, 3), "what is bought is named"


def test_a_thousand_datasets_make_a_picture_of_bearable_height() -> None:
    ids, ones = [f"d{i}" for i in range(1000)], np.ones(1000)
    png = pictures.weights_bar(ids, ones, 0 * ones, 2 * ones, ids[:3])
    height = int.from_bytes(png[20:24], "big")
    assert height < 2000


def test_markdown_carries_the_picture_and_no_markup_of_its_text() -> None:
    text = pictures.as_markdown(b"png", "kernel ](x) <b>\n")
    assert text.startswith("![kernel  (x) &lt;b&gt; ](data:image/png;base64,")
    assert base64.b64decode(text.split(",", 1)[1][:-1]) == b"png"


def test_a_pool_in_which_nothing_is_aligned_can_be_drawn() -> None:
    path = pictures.path_plot(np.zeros(1), np.zeros((1, 3)), ["a", "b", "c"], 0.0, fmt="svg")
    bars = pictures.weights_bar(["a"], np.zeros(1), np.zeros(1), np.zeros(1), [], fmt="svg")
    assert {"a", "b", "c", "used here"} <= set(texts(path))
    assert texts(bars)["a"] == 1
    for svg in (path, bars):
        assert b"nan" not in svg.lower()
        assert b'"inf' not in svg.lower()
