"""Tables and plots of the benchmarks, in benchmarks/results/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_table(name: str, head: str, lines: Sequence[str]) -> None:
    """A Markdown table, written and printed."""
    RESULTS.mkdir(exist_ok=True)
    rule = "|" + " ---: |" * (head.count("|") - 1)
    text = "\n".join([head, rule, *lines]) + "\n"
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def plot(
    name: str,
    x: str,
    y: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    logarithmic: bool = True,
) -> None:
    """Lines with a marker at each point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.5), layout="constrained")
    for label, points in series.items():
        draw = axes.loglog if logarithmic else axes.plot
        draw(*zip(*points, strict=True), marker="o", label=label)
    if logarithmic:
        places = sorted({x for points in series.values() for x, _ in points})
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.xaxis.minorticks_off()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / f"{name}.png", dpi=120)


def draw_bars(name: str, x: str, bars: Mapping[str, float]) -> None:
    """A horizontal bar for each label, the first on top."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 0.34 * len(bars) + 0.8), layout="constrained")
    labels = list(bars)[::-1]
    drawn = axes.barh(labels, [bars[label] for label in labels], color="#4c72b0")
    axes.bar_label(drawn, fmt="%.0f", padding=3, fontsize=8)
    axes.set_xlabel(x)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    figure.savefig(RESULTS / f"{name}.png", dpi=120)
