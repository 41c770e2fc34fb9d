"""A look at a source as lines for a terminal: columns, templates, rows as the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appraise.authoring.look import ColumnSeen, Look
from appraise.examples.example import Prompt
from appraise.presentation.wording import one_line

SHOWN = 3  # rows
MOST = 900  # characters of a text; what is left out of a longer one is its middle
PROMPT, COMPLETION, WORSE = "│ ", "▸ ", "✗ "
AsRead = Callable[[Prompt, str], tuple[str, str]]  # prompt and completion as the model reads them


def lines(look: Look, as_read: AsRead) -> Iterator[str]:
    """All of it."""
    rows = f"{look.rows:,} rows" if look.all_of_them else f"more than {look.rows:,} rows"
    pinned = look.source.sha256 or look.source.revision or ""
    yield f"{one_line(look.source.source)}: {rows}, {pinned[:12]}…"
    width = max(len(one_line(column.name, 24)) for column in look.columns)
    for column in look.columns:
        yield _column(column, width)
    named = "  ".join(f"{name} {text!r}" for name, text in look.templates.items())
    yield f"Templates: {named}"
    for fault, count in look.faults.items():
        yield f"Would be left out: {count:,} of {look.rows:,} rows ({fault})"
    yield f"As the model sees it, {PROMPT}what it is given, {COMPLETION}what it is to write:"
    for example in look.examples[:SHOWN]:
        yield ""
        asked, answer = as_read(example.prompt, example.completion)
        yield from _marked(PROMPT, asked)
        yield from _marked(COMPLETION, answer)
        if example.rejected is not None and look.source.rejected is not None:
            yield from _marked(WORSE, as_read(example.prompt, example.rejected)[1])
        if example.choices is not None:
            yield f"  choices: {one_line(' · '.join(example.choices), 100)}"


def _column(column: ColumnSeen, width: int) -> str:
    kinds = " or ".join(column.kinds) or "empty"
    name = one_line(column.name, 24)
    return f"  {name:{width}}  {kinds:12}  {one_line(column.first, 60)}".rstrip()


def _marked(mark: str, text: str) -> Iterator[str]:
    """Each line behind its mark; a line's end at the end of the text is shown as a sign."""
    shown = text if len(text) <= MOST else _cut(text)
    ended = shown.removesuffix("\n") + "↵" if shown.endswith("\n") else shown
    for line in ended.split("\n"):
        yield mark + "".join(map(_visible, line))


def _cut(text: str) -> str:
    half = MOST // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"


def _visible(char: str) -> str:
    """Signs that would steer the terminal as what Python writes for them."""
    return char if char.isprintable() else char.encode("unicode_escape").decode()
