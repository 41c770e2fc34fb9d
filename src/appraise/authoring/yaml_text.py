"""YAML as people keep it: something is put in, and every comment stays where it is.

Text goes in and text comes out. What the result says is compared with what it was to say, so that
a file written in an unusual way is refused and never broken.
"""

from __future__ import annotations

import contextlib
import functools
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from appraise.errors import ParamsError
from appraise.storage.yaml_files import RESOLVERS, parse_yaml

Place = Sequence[str]  # the keys that lead to a value


def dumped(value: Any) -> str:
    """A value as people write it: keys in their order, lists indented, templates in quotes."""
    return yaml.dump(value, Dumper=_AsWritten, sort_keys=False, allow_unicode=True, width=2**16)


def added(text: str, place: Place, addition: Any, name: str, block: str | None = None) -> str:
    """The text with one more item at the end of a list, or one more key of a mapping.

    Args:
        place: of the list or mapping, which may be empty.
        addition: a list of one item, or a mapping of one key.
        name: of the file, for messages.
        block: the addition as YAML, for one with comments.

    Raises:
        ParamsError: it is no YAML, there is no such place, or nothing can be added safely.
    """
    content = parse_yaml(text, name, ParamsError)
    entry = _entry(text, place, name)
    key, value = entry.key, entry.value
    written = dumped(addition) if block is None else block
    if isinstance(value, yaml.CollectionNode) and (
        entry.within.flow_style or (value.flow_style and value.value)
    ):
        made = _in_brackets(text, value, addition)
    elif value.value:
        made = _below(text, _end(text, value), written, value.start_mark.column)
    else:
        emptied = f"{text[: key.end_mark.index]}:{text[_end(text, value) :]}"
        made = _below(emptied, key.end_mark.index + 1, written, key.start_mark.column + 2)
    return _checked(made, _extended(content, place, addition), place, name)


def replaced(text: str, place: Place, value: Any, name: str) -> str:
    """The text with another value at a place, on one line.

    Raises:
        ParamsError: as `added`.
    """
    content = parse_yaml(text, name, ParamsError)
    entry = _entry(text, place, name)
    shown = dumped({"": value}).partition(": ")[2].rstrip("\n") or json.dumps(value)
    made = f"{text[: entry.key.end_mark.index]}: {shown}{text[_end(text, entry.value) :]}"
    return _checked(made, _changed(content, place, value), place, name)


class _AsWritten(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = "{" in text or "\n" in text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_AsWritten.add_representer(str, _text)
_AsWritten.yaml_implicit_resolvers = RESOLVERS  # in quotes what would else be read as no text


@dataclass(frozen=True)
class _Entry:
    """The nodes of a key, of its value, and of the mapping that they are in."""

    key: yaml.Node
    value: yaml.Node
    within: yaml.MappingNode


def _entry(text: str, place: Place, name: str) -> _Entry:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for part in place[:-1]:
        node = _in(node, part, place, name).value
    return _in(node, place[-1], place, name)


def _in(node: yaml.Node | None, part: str, place: Place, name: str) -> _Entry:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return _Entry(key, value, node)
    raise ParamsError(f"{name}: expected {'.'.join(place)}, found no {part}; add it")


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's last character is; a block's own end comes after the comments below it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def _below(text: str, end: int, block: str, indent: int) -> str:
    """A block in lines of its own, below the line in which something ends."""
    if not text[:end].endswith("\n"):
        end = text.find("\n", end) + 1 or len(text)
    above = text[:end] if text[:end].endswith("\n") else f"{text[:end]}\n"
    return above + textwrap.indent(block, " " * indent) + text[end:]


def _in_brackets(text: str, node: yaml.Node, addition: Any) -> str:
    """The addition as JSON before the bracket that closes a collection."""
    bracket = node.end_mark.index - 1
    before = text[node.start_mark.index + 1 : bracket].strip()
    border = "" if not before else " " if before.endswith(",") else ", "
    shown = json.dumps(addition, ensure_ascii=False)[1:-1]
    return f"{text[:bracket].rstrip()}{border}{shown}{text[bracket:]}"


def _changed(content: Any, place: Place, value: Any) -> Any:
    first, *rest = place
    return content | {first: _changed(content[first], rest, value) if rest else value}


def _extended(content: Any, place: Place, addition: Any) -> Any:
    """What the content is to be; None where there is something else than a collection."""
    before = functools.reduce(lambda outer, part: outer[part], place, content) or type(addition)()
    if not isinstance(before, type(addition)):
        return None
    more = before | addition if isinstance(addition, dict) else before + addition
    return _changed(content, place, more)


def _checked(made: str, meant: Any, place: Place, name: str) -> str:
    """The text that was made, if it says what it was to say."""
    with contextlib.suppress(ParamsError):
        if parse_yaml(made, name, ParamsError) == meant:
            return made
    raise ParamsError(
        f"{name}: expected {'.'.join(place)} written as a plain list or mapping, found what "
        "nothing can be added to safely; write it by hand"
    )
