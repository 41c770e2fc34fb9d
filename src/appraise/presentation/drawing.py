"""How our pictures look, and how they are saved: without dates, versions or random ids.

In an SVG the colours are CSS variables (`--ink`, `--accent`, …) and the text stays text, so that a
page can give it its own font and a dark ground.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg"]
INK, MUTED, RULE, ACCENT, OTHER, PAPER = (
    "#1d2733", "#66717f", "#d9dde2", "#1f6fa8", "#c4601d", "#fffffe",
)  # fmt: skip
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    ACCENT: "--accent",
    OTHER: "--other",
    PAPER: "--paper",
}
LINES = (ACCENT, OTHER, "#2a8f73", "#8a5aa8", "#a3862a", "#5b6673")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 2, 1.2, 2)), (0, (3, 1.5)), (0, (8, 2)))


@contextlib.contextmanager
def figure(width: float, height: float, fmt: Format) -> Iterator[tuple[Figure, BytesIO]]:
    """A figure in our style, in inches; saved at the end without dates, versions, random ids."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": "appraise", "svg.fonttype": "none", "text.parse_math": False,
        "font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.edgecolor": RULE,
        "axes.labelcolor": MUTED, "axes.labelsize": 8.5, "xtick.color": RULE, "ytick.color": RULE,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK, "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5, "axes.facecolor": "none", "axes.unicode_minus": True,
    }  # fmt: skip
    saved = BytesIO()
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), facecolor=PAPER if fmt == "png" else "none")
        yield figure, saved
        if fmt == "png":
            figure.savefig(
                saved, format="png", dpi=96, bbox_inches="tight", metadata={"Software": None}
            )
            return
        plain = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(saved, format="svg", bbox_inches="tight", metadata=plain)
        saved.seek(0)
        inline = _inline(saved.getvalue().decode())
        saved.truncate(0)
        saved.write(inline.encode())


def _inline(svg: str) -> str:
    """An SVG document as an element of a page: no prologue, no metadata, colours as variables."""
    svg = svg[svg.index("<svg") :]
    svg = svg.replace("xlink:href", "href")  # the page does not declare the old namespace
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?(viewBox="[^"]+")[^>]*>',
        r'<svg \1 role="img" aria-hidden="true">',
        svg,
        count=1,
    )
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg.strip()


def whisker(axes: Axes, place: float, low: float, high: float) -> None:
    """A horizontal interval with ends."""
    axes.plot([low, high], [place, place], color=INK, linewidth=1.1, solid_capstyle="butt")
    for end in (low, high):
        axes.plot([end, end], [place - 0.16, place + 0.16], color=INK, linewidth=1.1)


def name_ends(axes: Axes, ends: Sequence[tuple[str, float, bool]]) -> None:
    """Names at the right of lines that end at these heights, moved apart where they collide."""
    if not ends:
        return
    low, high = axes.get_ylim()
    apart, last = 0.062 * (high - low), -np.inf
    for name, height, strong in sorted(ends, key=lambda end: (end[1], end[0])):
        last = max(height, last + apart)
        axes.annotate(
            name, (1.01, last), xycoords=("axes fraction", "data"), va="center", fontsize=8,
            color=INK if strong else MUTED, fontweight="bold" if strong else "normal",
            annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(low, high)


def quiet(axes: Axes, grid: Literal["x", "y"]) -> None:
    """Only the lines that help to read a value."""
    axes.spines[["top", "right", "left" if grid == "y" else "bottom"]].set_visible(False)
    axes.grid(axis=grid, color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
