"""YAML that people write: what is written is what is understood, or it is refused with its line.

PyYAML takes the last of two equal keys and reads YAML 1.1, in which `no` is false, `010` is 8 and
`1:30` is 90; YAML 1.2, which DVC reads, has other values for them. Here a key stands once, and what
the two versions read differently has to be written in another way. Numbers are those of JSON and
YAML 1.2, `1e3` among them, and a date is text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from appraise.errors import AppraiseError

_TAG = "tag:yaml.org,2002:"
_TWO_READINGS = "!two-readings"
_TRUTH = re.compile("yes|no|on|off", re.IGNORECASE)
_PLAIN = {  # what a plain scalar is, in the order in which they are tried; anything else is text
    f"{_TAG}merge": "<<",
    f"{_TAG}null": "~|null|Null|NULL|",
    f"{_TAG}bool": "true|True|TRUE|false|False|FALSE",
    f"{_TAG}int": "[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+",
    f"{_TAG}float": (
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
    _TWO_READINGS: (
        f"(?i:{_TRUTH.pattern})"
        r"|[-+]?0[0-9_]+(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+"
        r"|(?=.*_)[-+]?\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    ),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, in which a key stands once and a word has one reading."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as it is written: what merge keys bring in may be written again."""
        node = super().compose_mapping_node(anchor)
        written: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in written:
                raise yaml.MarkedYAMLError(
                    problem=f"expected each key once, found `{key.value}` again, which stands in "
                    f"line {written[key.tag, key.value]} already; leave one of the two out",
                    problem_mark=key.start_mark,
                )
            written[key.tag, key.value] = key.start_mark.line + 1
        return node

    def refuse_two_readings(self, node: yaml.ScalarNode) -> None:
        """Raise for a word that versions of YAML read differently."""
        plain = "true or false" if _TRUTH.fullmatch(node.value) else "the number in plain digits"
        raise yaml.MarkedYAMLError(
            problem=f"expected what every version of YAML reads in the same way, found "
            f"{node.value}; write {plain}, or put it in quotes if it is text",
            problem_mark=node.start_mark,
        )


RESOLVERS: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {  # in place of PyYAML's own
    None: [(tag, re.compile(rf"(?:{pattern})\Z")) for tag, pattern in _PLAIN.items()]
}
_Loader.yaml_implicit_resolvers = RESOLVERS
_Loader.add_constructor(_TWO_READINGS, _Loader.refuse_two_readings)


def read_yaml(path: Path, refusal: type[AppraiseError]) -> Any:
    """Read a YAML file; see `parse_yaml`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise refusal(f"{path.name}: expected a file that can be read, found: {what}") from None
    return parse_yaml(content, path.name, refusal)


def parse_yaml(content: bytes | str, name: str, refusal: type[AppraiseError]) -> Any:
    """What YAML says.

    Args:
        name: of the file, for messages.
        refusal: the class of error to raise.

    Raises:
        AppraiseError: of class `refusal`, with the line: it is not YAML, has a key twice at any
            depth, or a word that can be read in two ways.
    """
    try:
        return _Loader(content).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        found = said if said.startswith("expected ") else f"expected YAML, found {said}"
        raise refusal(f"{name}: {where}{found}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise refusal(f"{name}: expected YAML, found {what}") from None
