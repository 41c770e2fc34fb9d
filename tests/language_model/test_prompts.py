"""From text to tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.examples.example import Prompt
from appraise.examples.layouts import conversation
from appraise.examples.plain import measured_text, plain_texts
from appraise.language_model.base import load_tokenizer
from appraise.language_model.prompts import Encoded, TooLong, encode, texts, token_ids

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "Really?"},
]
CONVERSATION = conversation(TURNS) or ""
LOOKS = json.dumps(TURNS)  # like a conversation, and is a text
START = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] | trim }}"
ASK = "{% if add_generation_prompt %}<assistant>{% endif %}"
ENDED = START + "<end>\n{% endfor %}" + ASK  # as Gemma ends a turn, which is not its eos token
WITH_EOS = START + "{{ eos_token }}\n{% endfor %}" + ASK  # as SmolLM2 and Llama 3 do
ENDLESS = START + "{% endfor %}" + ASK
THINKING = START + "<end>{% endfor %}{% if add_generation_prompt %}<assistant><think>{% endif %}"
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    + ENDED
)


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return room(tiny, tmp_path_factory.mktemp("prompts") / "base")


def with_template(here: Room, template: str | None, **tokens: str | None) -> tuple[Any, Any]:
    """A tokenizer with a chat template, and params that ask for it."""
    tokenizer = load_tokenizer(here.folder)
    tokenizer.chat_template = template
    for name, token in tokens.items():
        setattr(tokenizer, name, token)
    return tokenizer, here.params.model_copy(update={"chat": True})


def beginning_with(here: Room) -> Any:
    """A tokenizer that puts <s> before a text, as Llama's and Gemma's do."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = load_tokenizer(here.folder)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def test_the_template_is_put_around_both(here: Room) -> None:
    assert texts(here.tokenizer, here.params, "a{b}", "c") == ("Question: a{b}\nAnswer:", " c\n")
    encoded = encode(here.tokenizer, here.params, "why?", "so")
    assert here.tokenizer.decode(encoded.ids).replace(" ", "") == "Question:why?\nAnswer:so\n"
    assert encoded.n_completion == len(" so\n")


def test_an_answer_that_begins_with_white_space_brings_its_own(here: Room) -> None:
    code = "    return x\n"
    assert texts(here.tokenizer, here.params, "a", code)[1] == "    return x\n\n"
    assert texts(here.tokenizer, here.params, "The sky is", " blue.")[1] == " blue.\n"
    own_line = here.params.model_copy(update={"completion": "\n{completion}"})
    assert texts(here.tokenizer, own_line, "a", code)[1] == "\n" + code
    tokenizer, params = with_template(
        here, "{% for m in messages %}{{ m['content'] }}</s>{% endfor %}"
    )
    assert texts(tokenizer, params, "a", code)[1] == code + "</s>"


def test_what_is_too_long_loses_the_start_of_its_prompt(here: Room) -> None:
    short = encode(here.tokenizer, here.params, "x" * 30, "yes")
    long = encode(here.tokenizer, here.params, "x" * 300, "yes")
    whole = len("Question: ") + 300 + len("\nAnswer:") + len(" yes\n")
    assert len(long.ids) == here.params.max_length
    assert (long.truncated, short.truncated) == (whole - here.params.max_length, 0)
    assert long.ids[-20:] == short.ids[-20:]
    assert long.n_completion == short.n_completion


@pytest.mark.parametrize("completion", ["y" * 62, "y" * 500])
def test_a_completion_that_leaves_no_room(here: Room, completion: str) -> None:
    with pytest.raises(TooLong, match=r"leaves room for its prompt of 19 tokens, found one .* 0"):
        encode(here.tokenizer, here.params, "x", completion)


def test_no_room_is_another_error_than_no_text(here: Room) -> None:
    params = here.params.model_copy(update={"completion": "{completion}"})
    with pytest.raises(ModelError, match="with tokens, found 18 and 0") as raised:
        encode(here.tokenizer, params, "", "")
    assert not isinstance(raised.value, TooLong)


def test_a_beginning_is_put_first_as_the_tokenizer_does_and_survives_a_cut(here: Room) -> None:
    tokenizer = beginning_with(here)
    plain = encode(here.tokenizer, here.params, "why?", "so")
    begun = encode(tokenizer, here.params, "why?", "so")
    assert begun == Encoded((1, *plain.ids), plain.n_prompt + 1, 0), "Gemma is badly off without"
    cut = encode(tokenizer, here.params, "x" * 300, "yes")
    without = encode(here.tokenizer, here.params, "x" * 300, "yes")
    assert cut.ids == (1, *without.ids[1:])
    assert cut.truncated == without.truncated + 1


def test_a_beginning_in_the_chat_template_is_not_doubled(here: Room) -> None:
    tokenizer = beginning_with(here)
    tokenizer.chat_template = "{{ bos_token }}" + WITH_EOS
    params = here.params.model_copy(update={"chat": True})
    assert encode(tokenizer, params, "x", "y").ids.count(1) == 1


def test_an_answer_is_read_after_its_prompt() -> None:
    """A tokenizer that puts a space before a text must not put one before the answer."""
    from tokenizers import Tokenizer, models, normalizers
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.BPE({"<unk>": 0, "▁": 1, "a": 2, "b": 3}, [], unk_token="<unk>"))
    letters.normalizer = normalizers.Prepend("▁")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters, unk_token="<unk>")
    assert token_ids(tokenizer, "a", "b") == ([1, 2], [3])


def test_chat_needs_a_template(here: Room) -> None:
    params = here.params.model_copy(update={"chat": True})
    with pytest.raises(ModelError, match="expected a tokenizer with a chat template"):
        texts(here.tokenizer, params, "x", "y")


@pytest.mark.parametrize(
    ("template", "tokens", "answer"),
    [
        (WITH_EOS, {}, "y</s>"),  # nothing is learnt after the end
        (ENDED, {}, "y<end>\n"),
        (ENDED, {"eos_token": None}, "y<end>\n"),
        (ENDLESS, {}, "y</s>"),
        (THINKING, {}, " y </s>"),  # the answer does not go on where the prompt stops
    ],
)
def test_an_answer_ends_as_the_chat_template_ends_a_turn(
    here: Room, template: str, tokens: dict[str, None], answer: str
) -> None:
    tokenizer, params = with_template(here, template, **tokens)
    asked, found = texts(tokenizer, params, "x", " y ")
    assert found == answer
    end = {WITH_EOS: "</s>\n", ENDLESS: "", THINKING: "<end>"}.get(template, "<end>\n")
    assert asked == f"<user>x{end}<assistant>" + "<think>" * (template == THINKING)


def test_an_answer_without_any_end_is_refused(here: Room) -> None:
    tokenizer, params = with_template(here, ENDLESS, eos_token=None)
    with pytest.raises(ModelError, match="expected an eos token, or a chat template that ends"):
        texts(tokenizer, params, "x", "y")


def test_nothing_depends_on_a_pad_or_an_eos_token(here: Room) -> None:
    tokenizer, _ = with_template(here, None, eos_token=None, bos_token=None)
    assert tokenizer.pad_token is None
    assert encode(tokenizer, here.params, "x", "y") == encode(here.tokenizer, here.params, "x", "y")


def test_a_conversation_in_the_chat_format(here: Room) -> None:
    tokenizer, params = with_template(here, ENDED)
    asked, answer = texts(tokenizer, params, CONVERSATION, "Yes.")
    turns = "<system>Be brief.<end>\n<user>Why?<end>\n<assistant>So.<end>\n<user>Really?<end>\n"
    assert (asked, answer) == (f"{turns}<assistant>", "Yes.<end>\n")


def test_a_conversation_that_the_template_refuses(here: Room) -> None:
    tokenizer, params = with_template(here, NO_SYSTEM)
    with pytest.raises(ModelError, match=r"found system, user, assistant, user \(no system role\)"):
        texts(tokenizer, params, CONVERSATION, "Yes.")


def test_a_conversation_in_plain_words(here: Room) -> None:
    asked, answer = texts(here.tokenizer, here.params, CONVERSATION, "Yes.")
    assert asked == "System: Be brief.\nUser: Why?\nAssistant: So.\nUser: Really?\nAssistant:"
    assert answer == " Yes.\n"


@pytest.mark.parametrize(
    "prompt",
    [
        '["a"]',
        '[{"role": "user"}]',
        '[{"role": "user", "content": 1}]',
        "[{",
        "[]",
        json.dumps(TURNS),
    ],
)
def test_what_only_looks_like_a_conversation_is_a_text(here: Room, prompt: str) -> None:
    assert plain_texts(here.params, prompt, "y")[0] == f"Question: {prompt}\nAnswer:"


@pytest.mark.parametrize("prompt", ["Why?", CONVERSATION])
def test_lengths_are_counted_of_what_the_model_reads(here: Room, prompt: Prompt) -> None:
    plain = measured_text(here.params, prompt, "So.")
    assert plain == "".join(plain_texts(here.params, prompt, "So."))
    tokenizer, chat = with_template(here, ENDED)
    counted = len(tokenizer(measured_text(chat, prompt, "So."))["input_ids"])
    turns = len(TURNS) + 1 if prompt == CONVERSATION else 2
    whole = len(tokenizer("".join(texts(tokenizer, chat, prompt, "So.")))["input_ids"])
    assert 0 < whole - counted < 20 * turns, "only the template's own tokens are left out"
