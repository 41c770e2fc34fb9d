"""Tables as plain text, for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from appraise.presentation.wording import one_line

WIDTH = 100


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns side by side; the last one is wrapped to what is left of the line."""
    cells = [[one_line(cell, 400) for cell in row] for row in (head, *rows)]
    widths = [max(_wide(row[i]) for row in cells) for i in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in cells:
        pads = [" " * (width - _wide(cell)) for cell, width in zip(row[:-1], widths, strict=True)]
        front = "".join(
            (pad + cell if i in right else cell + pad) + "  "
            for i, (cell, pad) in enumerate(zip(row[:-1], pads, strict=True))
        )
        last = row[-1]
        if len(head) - 1 in right:
            last = last.rjust(max(_wide(other[-1]) for other in cells))
        wrapped = textwrap.wrap(last, max(WIDTH - indent, 30), drop_whitespace=True) or [""]
        if len(head) - 1 in right:
            wrapped = [last]
        lines.append((front + wrapped[0]).rstrip())
        lines += [" " * indent + more for more in wrapped[1:]]
    return "\n".join(lines)


def _wide(text: str) -> int:
    """Columns that text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
