"""From text to tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from rooms import room  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.language_model.prompts import encode, texts


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return room(tiny, tmp_path_factory.mktemp("prompts") / "base")


def test_the_template_is_put_around_both(here) -> None:  # type: ignore[no-untyped-def]
    assert texts(here.tokenizer, here.params, "a{b}", "c") == ("Question: a{b}\nAnswer:", " c\n")
    encoded = encode(here.tokenizer, here.params, "why?", "so")
    assert here.tokenizer.decode(encoded.ids).replace(" ", "") == "Question:why?\nAnswer:so\n"
    assert encoded.n_completion == len(" so\n")


def test_what_is_too_long_loses_the_start_of_its_prompt(here) -> None:  # type: ignore[no-untyped-def]
    short = encode(here.tokenizer, here.params, "x" * 30, "yes")
    long = encode(here.tokenizer, here.params, "x" * 300, "yes")
    assert len(long.ids) == here.params.max_length
    assert (long.truncated, short.truncated) == (300 + 25 - 64 - 3, 0) or long.truncated > 200
    assert long.ids[-20:] == short.ids[-20:]
    assert long.n_completion == short.n_completion


@pytest.mark.parametrize("completion", ["y" * 62, "y" * 500])
def test_a_completion_that_leaves_no_room(here, completion: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match="below 64 tokens"):
        encode(here.tokenizer, here.params, "x", completion)


def test_chat_needs_a_template(here) -> None:  # type: ignore[no-untyped-def]
    params = here.params.model_copy(update={"chat": True})
    with pytest.raises(ModelError, match="expected a tokenizer with a chat template"):
        texts(here.tokenizer, params, "x", "y")
    here.tokenizer.chat_template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"  # noqa: E501
    try:
        assert texts(here.tokenizer, params, "x", "y") == ("<user>x<bot>", "y</s>")
    finally:
        here.tokenizer.chat_template = None
