"""Pictures of a valuation: arrays in, bytes of a PNG or SVG out; same arrays, same bytes.

Colours are told apart by people who see no red or green; each picture reads in greyscale too.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from appraise.presentation.drawing import (
    ACCENT,
    DASHES,
    INK,
    LINES,
    MUTED,
    OTHER,
    PAPER,
    RULE,
    Format,
    figure,
    name_ends,
    quiet,
    whisker,
)
from appraise.records.adapter import AdapterTraining

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BARS = 60
MOST_LABELS = 40  # more datasets than this are drawn without their names


def kernel_heat_map(
    K: np.ndarray, labels: Sequence[str], bought: Collection[str] = (), fmt: Format = "png"
) -> bytes:
    """Who teaches the same as whom: K as coloured squares, similar datasets side by side.

    Args:
        K: (n, n) inner products; drawn as cosines K_ij / √(K_ii K_jj): blue alike, orange opposed.
        labels: the n datasets.
        bought: those whose names are drawn bold.
    """
    K = np.asarray(K, dtype=float)
    scale = np.sqrt(np.clip(np.diag(K), np.finfo(float).tiny, None))
    order = _by_similarity(K / np.outer(scale, scale))
    cosines = (K / np.outer(scale, scale))[np.ix_(order, order)]
    return _heat_map(cosines, [labels[i] for i in order], bought, fmt)


def _heat_map(
    values: np.ndarray, names: Sequence[str], bought: Collection[str], fmt: Format
) -> bytes:
    """Values (n, n) in [−1, 1] as coloured squares with names at both sides."""
    n = len(names)
    size = float(np.clip(0.27 * n + 1.6, 3.2, 7.5))
    with figure(size, size * 0.92, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        _squares(axes, values)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if n <= MOST_LABELS:
            axes.set_yticks(range(n), names, fontsize=8)
            axes.set_xticks(
                range(n), names, fontsize=8, rotation=55, ha="right", rotation_mode="anchor"
            )
            axes.tick_params(length=0, pad=3)
            for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
                tick.set_fontweight("bold" if tick.get_text() in bought else "normal")
        if n <= 20:
            for i, j in zip(*np.nonzero(np.abs(values) >= 0.3), strict=True):
                if i != j:
                    text = f"{values[i, j]:.1f}".replace("0.", ".").replace("-", "−")
                    colour = PAPER if abs(values[i, j]) > 0.65 else INK
                    style: dict[str, Any] = {
                        "ha": "center",
                        "va": "center_baseline",
                        "color": colour,
                    }
                    axes.text(j, i, text, fontsize=6.5, **style)
    return saved.getvalue()


def transfer_heat_map(
    M: np.ndarray, labels: Sequence[str], bought: Collection[str] = (), fmt: Format = "png"
) -> bytes:
    """Who helps whom: a row for each dataset, a column for each as the target.

    Args:
        M: (n, n) signed weights, NaN on the diagonal; blue helps, orange pulls the other way.
        labels: the n datasets.
        bought: those whose names are drawn bold.
    """
    weights, n = np.nan_to_num(np.asarray(M, dtype=float)), len(labels)
    order = _by_similarity(np.clip((weights + weights.T) / 2, -1, 1) + np.eye(n))
    drawn = weights[np.ix_(order, order)]
    return _heat_map(np.clip(drawn, -1, 1), [labels[i] for i in order], bought, fmt)


def weights_bar(
    ids: Sequence[str],
    weights: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    bought: Collection[str],
    fmt: Format = "png",
    filled: str = "bought",
    measure: str = "weight",
) -> bytes:
    """Weights (n,) of the datasets with their intervals, largest first; those bought are filled.

    Args:
        filled: what the axis calls those in `bought`, where nothing has been bought yet.
        measure: what the axis calls the weights, where they are the values of another method.
    """
    order = sorted(range(len(ids)), key=lambda i: (-float(weights[i]), -float(high[i]), ids[i]))
    order, left_out = order[:MOST_BARS], max(0, len(ids) - MOST_BARS)
    with figure(6.6, 0.26 * len(order) + 0.7, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        for place, i in enumerate(order):
            is_bought = ids[i] in bought
            axes.barh(
                place,
                weights[i],
                height=0.62,
                facecolor=ACCENT if is_bought else PAPER,
                edgecolor=ACCENT if is_bought else MUTED,
                linewidth=0.9,
            )
            whisker(axes, place, low[i], high[i])
        axes.set_yticks(range(len(order)), [ids[i] for i in order], fontsize=8.5)
        for tick, i in zip(axes.get_yticklabels(), order, strict=True):
            tick.set_fontweight("bold" if ids[i] in bought else "normal")
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlim(left=min(0.0, float(np.min(low, initial=0.0))))
        more = f"; {left_out} smaller ones not shown" if left_out else ""
        axes.set_xlabel(f"{measure} (filled: {filled}; line: interval{more})")
        quiet(axes, "x")
    return saved.getvalue()


def path_plot(
    lambdas: np.ndarray,
    weights: np.ndarray,
    ids: Sequence[str],
    lam: float,
    bought: Collection[str] = (),
    fmt: Format = "png",
) -> bytes:
    """How the weights change with the price of taking anything at all.

    Args:
        lambdas: (L,) descending, from λ_max where nothing is taken.
        weights: (L, n), piecewise linear between the lambdas.
        lam: the λ that was used, drawn as a vertical line.
        bought: drawn in colour and named; the others grey, the largest of them named.
    """
    top = float(np.max(lambdas)) or 1.0  # 0: nothing is aligned, all weights are 0
    relative, weights = _cut(np.asarray(lambdas) / top, weights, min(0.05, 0.5 * lam / top))
    with figure(6.6, 3.5, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        end = weights[-1]
        others = [i for i in np.argsort(-np.abs(end), kind="stable") if ids[i] not in bought]
        chosen = [ids.index(name) for name in bought if name in ids]
        for i in others:
            axes.plot(relative, weights[:, i], color=RULE if end[i] == 0 else MUTED, linewidth=0.7)
        for place, i in enumerate(chosen):
            style: dict[str, Any] = {"color": LINES[place % 6], "linestyle": DASHES[place % 6]}
            axes.plot(relative, weights[:, i], linewidth=1.8, **style)
        name_ends(axes, [(ids[i], float(end[i]), i in chosen) for i in [*chosen, *others[:4]]])
        axes.axvline(lam / top, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.annotate(
            "used here", (lam / top, 1), (4, -3), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="top", fontsize=8, color=INK,
        )  # fmt: skip
        axes.set_xlim(1, float(relative[-1]))
        axes.set_xlabel("hurdle, as a share of the one at which nothing is taken (λ / λ_max)")
        axes.set_ylabel("weight")
        axes.axhline(0, color=RULE, linewidth=0.8, zorder=0)
        quiet(axes, "y")
    return saved.getvalue()


def frontier_plot(
    budgets: Sequence[float],
    matched: Sequence[float],
    steps: Sequence[str],
    spent: float,
    currency: str,
    fmt: Format = "png",
) -> bytes:
    """What every budget would buy: how much of the task it covers, step by step.

    Args:
        budgets: (P,) ascending, the smallest of each purchase.
        matched: (P,) part of the target's squared gradient, in [0, 1].
        steps: (P,) what is new at each, written beside it; "" for nothing.
        spent: what was spent, drawn as a dashed line.
        currency: of the money.
    """
    end = max(budgets[-1], spent) * 1.12 or 1.0
    with figure(6.6, 3.2, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        axes.step(
            [*budgets, end], [*matched, matched[-1]], where="post", color=ACCENT, linewidth=1.8
        )
        axes.plot(budgets, matched, linestyle="none", marker="o", markersize=4, color=ACCENT)
        if len(budgets) <= 16:
            for x, y, text in zip(budgets, matched, steps, strict=True):
                right = x > 0.6 * end  # there the steps are small: write above, to the left
                axes.annotate(
                    text, (x, y), (-5, 5) if right else (5, -4), textcoords="offset points",
                    ha="right" if right else "left", va="bottom" if right else "top",
                    fontsize=7.5, color=INK,
                )  # fmt: skip
        axes.axvline(spent, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_xlim(0, end)
        axes.set_ylim(0, max(matched) * 1.25 or 1.0)
        axes.set_xlabel(f"budget, {currency} (dashed: spent)")
        axes.set_ylabel("part of the task matched")
        quiet(axes, "y")
    return saved.getvalue()


def training_curves(
    trainings: Mapping[str, AdapterTraining], ours: str, fmt: Format = "png"
) -> bytes:
    """Each policy's training, step by step: smoothed, and pale behind it as it was.

    Args:
        trainings: by policy. Drawn is the loss; where completions were rewarded, whose loss is
            near 0 all along, the reward.
        ours: the policy whose name is drawn bold.
    """
    rewarded = any(one.reward for one in trainings.values())
    curves = {name: one.reward if rewarded else one.loss for name, one in trainings.items()}
    drawn = {policy: np.asarray(curve, dtype=float) for policy, curve in curves.items() if curve}
    with figure(6.6, 3.2, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        ends = []
        for place, (policy, curve) in enumerate(drawn.items()):
            steps, smooth = np.arange(1, len(curve) + 1), _smoothed(curve)
            axes.plot(steps, curve, color=LINES[place % 6], linewidth=0.6, alpha=0.28)
            style: dict[str, Any] = {"color": LINES[place % 6], "linestyle": DASHES[place % 6]}
            axes.plot(steps, smooth, linewidth=1.7, label=policy, **style)
            ends.append((policy, float(smooth[-1]), policy == ours))
        name_ends(axes, ends)
        axes.set_xlabel("training step")
        axes.set_ylabel("reward of its completions" if rewarded else "loss on what it trains on")
        if drawn:
            axes.set_xlim(1, max(len(curve) for curve in drawn.values()))
        quiet(axes, "y")
    return saved.getvalue()


def outcome_bar(
    policies: Sequence[str],
    loss: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    ours: str,
    fmt: Format = "png",
) -> bytes:
    """Held-out loss of each policy with its interval, nats per completion token; best first.

    Args:
        policies: their names.
        loss, low, high: (P,) each policy's, and the ends of its interval.
        ours: the policy that is drawn in colour.
    """
    order = sorted(range(len(policies)), key=lambda i: (float(loss[i]), policies[i]))
    with figure(6.6, 0.34 * len(policies) + 0.75, fmt) as (drawn_on, saved):
        axes = drawn_on.add_subplot()
        for place, i in enumerate(order):
            colour = ACCENT if policies[i] == ours else MUTED
            axes.plot(
                [low[i], high[i]],
                [place, place],
                color=colour,
                linewidth=2.2,
                solid_capstyle="butt",
            )
            axes.plot(loss[i], place, marker="o", markersize=6.5, color=colour)
            axes.annotate(
                f"{loss[i]:.2f}", (high[i], place), (6, 0), textcoords="offset points",
                va="center", fontsize=8.5, color=INK,
            )  # fmt: skip
        axes.set_yticks(range(len(policies)), [policies[i] for i in order], fontsize=9)
        axes.set_ylim(len(policies) - 0.5, -0.5)
        axes.margins(x=0.12)
        axes.set_xlabel("held-out loss, nats per completion token (left is better)")
        quiet(axes, "x")
    return saved.getvalue()


def as_markdown(png: bytes, alt: str) -> str:
    """A PNG as Markdown that carries the picture within it."""
    text = re.sub(r"[\[\]\\\r\n]", " ", html.escape(alt))
    return f"![{text}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _cut(lambdas: np.ndarray, weights: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The part of a piecewise linear path above `end`; below it, weights chase noise."""
    kept = lambdas > end
    last = [np.interp(end, lambdas[::-1], column[::-1]) for column in weights.T]
    return np.append(lambdas[kept], end), np.vstack([weights[kept], last])


def _by_similarity(cosines: np.ndarray) -> np.ndarray:
    """An order (n,) in which datasets that teach the same stand side by side."""
    if len(cosines) < 3:
        return np.arange(len(cosines))
    distance = np.clip(1 - (cosines + cosines.T) / 2, 0, None)
    np.fill_diagonal(distance, 0)
    ordering = len(cosines) <= 300  # the best order of the leaves costs n² log n
    return np.asarray(
        leaves_list(
            linkage(squareform(distance, checks=False), "average", optimal_ordering=ordering)
        )
    )


def _squares(axes: Axes, cosines: np.ndarray) -> None:
    """Squares whose opacity is |cosine|: they read on a light ground and on a dark one."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    n = len(cosines)
    if n > MOST_LABELS:
        colours = np.where((cosines >= 0)[..., None], to_rgba(ACCENT), to_rgba(OTHER))
        colours[..., 3] = np.clip(np.abs(cosines), 0, 1)
        axes.imshow(colours, interpolation="nearest")
        return
    for colour, sign in ((ACCENT, 1), (OTHER, -1)):
        cells = [(i, j) for i in range(n) for j in range(n) if sign * cosines[i, j] > 0.005]
        squares = [Rectangle((j - 0.47, i - 0.47), 0.94, 0.94) for i, j in cells]
        shade = [(*to_rgba(colour)[:3], 0.04 + 0.96 * min(1, abs(cosines[c]))) for c in cells]
        axes.add_collection(PatchCollection(squares, facecolors=shade, edgecolors="none"))


def _smoothed(curve: np.ndarray) -> np.ndarray:
    """Mean over the neighbouring steps, over fewer of them at the ends."""
    reach = max(1, len(curve) // 12)
    return np.asarray([curve[max(0, s - reach) : s + reach + 1].mean() for s in range(len(curve))])
