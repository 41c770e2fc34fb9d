"""Adding to YAML that a person wrote: the rest of the text stays as it is, letter by letter."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from appraise.authoring.yaml_text import added, dumped, replaced
from appraise.errors import ParamsError
from appraise.storage.yaml_files import RESOLVERS, parse_yaml

ITEM = {"id": "chats", "prompt": "{a}\n{b}", "price": 4.5}
POOL = """# the top
title: "Ours"   # a title
offers:
  - id: one   # the first
    price: 1
    note: |
      two
      lines

  # between
  - {id: two, price: 2}   # in one line
# - id: three
#   price: 3
end: true
"""


def test_an_item_goes_below_the_last_one_and_every_comment_stays() -> None:
    made = added(POOL, ["offers"], [ITEM], "pool.yaml")
    written = '  - id: chats\n    prompt: "{a}\\n{b}"\n    price: 4.5\n'
    line = "  - {id: two, price: 2}   # in one line\n"
    assert made == POOL.replace(line, line + written)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("offers: []  # none yet\n# later\n", "offers:  # none yet\n  - 1\n# later\n"),
        ("offers:", "offers:\n  - 1\n"),
        ("offers:\n# below\n", "offers:\n  - 1\n# below\n"),
        ("offers:\n- 0", "offers:\n- 0\n- 1\n"),
        ("offers: [0, ]\n", "offers: [0, 1]\n"),
        ("offers:\n  - a: |\n      text\nb: 2\n", "offers:\n  - a: |\n      text\n  - 1\nb: 2\n"),
        ('{"offers": [0\n]}\n', '{"offers": [0, 1]}\n'),
        ('{"offers": []}', '{"offers": [1]}'),
    ],
)
def test_lists_as_people_write_them(before: str, after: str) -> None:
    assert added(before, ["offers"], [1], "pool.yaml") == after


def test_a_key_goes_into_a_mapping_with_the_comments_of_its_own() -> None:
    block = "desk:\n  # how many\n  value: 3\n"
    made = added("a:\n  b: {}  # c\nd: 1\n", ["a", "b"], {"desk": {"value": 3}}, "x", block)
    assert made == "a:\n  b:  # c\n    desk:\n      # how many\n      value: 3\nd: 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "offers: 3\n",
        "offers: {a: 1}\n",
        "offers:\n  - &x {a: 1}\n  - *x\n",
        "offers: [0, # a comment\n]\n",
        "offers: text\n",
    ],
)
def test_what_cannot_be_added_to_safely_is_refused(text: str) -> None:
    with pytest.raises(ParamsError, match=r"pool\.yaml: expected offers written as a plain list"):
        added(text, ["offers"], [1], "pool.yaml")


def test_a_place_that_is_not_there_and_what_is_no_yaml() -> None:
    with pytest.raises(ParamsError, match=r"pool\.yaml: expected a\.b, found no b; add it"):
        added("a: 1\n", ["a", "b"], [1], "pool.yaml")
    with pytest.raises(ParamsError, match=r"pool\.yaml: line 2, column 1: expected YAML"):
        added("a: [\n", ["a"], [1], "pool.yaml")


@pytest.mark.parametrize(
    "value", [None, {}, [], "plain", "with: colon", "a # b", 3, True, "no", "08", "1e3"]
)
def test_a_value_in_place_of_another(value: Any) -> None:
    text = "# top\na:\n  b:\n    - 1\n    # in the list\n  # after\n  c: 2 # two\n"
    made = replaced(text, ["a", "b"], value, "x")
    assert parse_yaml(made, "x", ParamsError) == {"a": {"b": value, "c": 2}}
    assert made.startswith("# top\na:\n  b: ")
    assert made.endswith("\n    # in the list\n  # after\n  c: 2 # two\n")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


class Written(yaml.SafeDumper):
    yaml_implicit_resolvers = RESOLVERS


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES, max_size=4), VALUES, st.booleans())
def test_whatever_is_added_reads_as_it_was(items: list[Any], item: Any, flow: bool) -> None:
    content = {"offers": items, "z": 1}
    text = yaml.dump(content, Dumper=Written, default_flow_style=flow, allow_unicode=True)
    made = added(text, ["offers"], [item], "pool.yaml")
    assert parse_yaml(made, "x", ParamsError) == {"offers": [*items, item], "z": 1}


def test_texts_with_columns_are_in_quotes_and_keys_in_their_order() -> None:
    assert dumped({"b": "{x}", "a": ["plain"]}) == 'b: "{x}"\na:\n  - plain\n'
