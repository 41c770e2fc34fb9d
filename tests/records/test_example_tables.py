"""Tables of examples: what is written comes back, and the layout is what later steps read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraise.errors import ArtifactError
from appraise.examples.conversations import text_of
from appraise.examples.example import Conversation, Example, Message, Origin, Prompt
from appraise.records import examples as tables
from appraise.storage.files import read_table, sha256_file, write_table

TEXTS = st.text(max_size=8)
MESSAGES = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS)
PROMPTS: st.SearchStrategy[Prompt] = st.one_of(
    TEXTS,
    st.builds(Conversation, st.lists(MESSAGES, min_size=1, max_size=3).map(tuple)),
)
OF_DATASETS = st.builds(Example, TEXTS, PROMPTS, TEXTS, st.none() | TEXTS)
OF_TARGETS = st.builds(
    Example, TEXTS, PROMPTS, TEXTS, st.none() | TEXTS,
    choices=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    answer=st.none() | st.integers(0, 3),
    component=st.sampled_from(["one", "two"]),
)  # fmt: skip
TALK = Conversation((Message("user", "Why?"),))
PLAIN = Example("1", "Why?", "So.")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(OF_DATASETS, min_size=1, max_size=5) | st.lists(OF_TARGETS, min_size=1, max_size=5),
    st.integers(1, 6),
)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, examples: list[Example], rows: int
) -> None:
    path = tmp_path_factory.mktemp("tables") / "x.parquet"
    tables.write(path, examples)
    assert tables.read(path) == examples
    parts = list(tables.batches(path, rows))
    assert [example for part in parts for example in part] == examples
    assert max(map(len, parts)) <= rows
    before = sha256_file(path)
    again = path.with_name("again.parquet")
    tables.write(again, tables.read(path))
    assert sha256_file(again) == before


def columns(path: Path, *examples: Example) -> list[str]:
    tables.write(path / "x.parquet", examples)
    return list(read_table(path / "x.parquet").columns)


def test_columns_are_there_when_some_example_needs_them(tmp_path: Path) -> None:
    plain = ["id", "prompt", "completion"]
    target = [*plain, "component", "choices", "answer"]
    of_target = dataclasses.replace(PLAIN, component="desk")
    pair = dataclasses.replace(PLAIN, rejected="No.")
    talk = dataclasses.replace(PLAIN, prompt=TALK)
    assert columns(tmp_path, PLAIN) == plain
    assert columns(tmp_path, PLAIN, pair) == [*plain, "rejected"]
    assert columns(tmp_path, PLAIN, talk) == [*plain, "conversation"]
    assert columns(tmp_path, of_target) == target
    assert columns(tmp_path, of_target, pair, talk) == [*target, "rejected", "conversation"]


def test_a_text_that_looks_like_a_conversation_stays_a_text(tmp_path: Path) -> None:
    looks = dataclasses.replace(PLAIN, prompt=text_of(TALK))
    talk = dataclasses.replace(PLAIN, prompt=TALK)
    for examples in ([looks], [looks, talk]):
        tables.write(tmp_path / "x.parquet", examples)
        assert tables.read(tmp_path / "x.parquet") == examples


def test_where_it_was_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    tables.write(path, [dataclasses.replace(PLAIN, source=Origin(3, 40, "P"))])
    assert tables.read(path) == [PLAIN]


def test_what_is_no_table_of_examples(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(ArtifactError, match=r"x\.parquet: expected a file, found none"):
        tables.read(path)
    path.write_bytes(b"text")
    with pytest.raises(ArtifactError, match="expected Parquet"):
        tables.read(path)
    with pytest.raises(ArtifactError, match="expected Parquet"):
        list(tables.batches(path, 3))
    write_table(path, pd.DataFrame({"id": ["1"], "completion": ["So."]}))
    with pytest.raises(ArtifactError, match="found none called prompt; run the step again"):
        tables.read(path)
    broken = pd.DataFrame([{"id": "1", "prompt": "Why?", "completion": "x", "conversation": True}])
    write_table(path, broken)
    with pytest.raises(ArtifactError, match="expected examples, found "):
        tables.read(path)
