"""Likelihoods against a plain forward pass, lm-eval's accuracy against its definition."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.language_model.evaluation import accuracies, items_of, likelihoods, rewards
from appraise.language_model.rollouts import Sampler
from appraise.language_model.trunk import Trunk
from appraise.settings.objectives import Grpo

ROWS = [("one", f"Is it {n}?", "yes", ["no", "yes", f"maybe {n}"], 1) for n in range(7)] + [
    ("two", f"Say {n}", f"it is {n}", None, None) for n in range(5)
]


@pytest.fixture(scope="module", params=[None, 2], ids=["all layers", "last two"])
def here(
    request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Room:
    folder = tmp_path_factory.mktemp("evaluation") / "base"
    return room(tiny, folder, last_layers=request.param)


@pytest.fixture(scope="module")
def items(here: Room):  # type: ignore[no-untyped-def]
    table = pd.DataFrame(ROWS, columns=["component", "prompt", "completion", "choices", "answer"])
    table["choices"] = [row[3] for row in ROWS]
    return items_of(table.astype({"choices": object}), here.tokenizer, here.params)


def found_for(here: Room, items):  # type: ignore[no-untyped-def]
    trunk = Trunk(here.model, here.params.lora)
    return likelihoods(here.model, trunk, here.tokenizer, here.params.max_length, items)


def test_items_ask_in_the_words_of_training(items) -> None:  # type: ignore[no-untyped-def]
    assert items[0].asked == "Question: Is it 0?\nAnswer:"
    assert items[0].answers == (" no\n", " yes\n", " maybe 0\n")
    assert items[0].gold == 1
    assert items[7].answers == (" it is 0\n",)


def test_likelihoods_are_those_of_a_plain_forward_pass(here: Room, items) -> None:  # type: ignore[no-untyped-def]
    for item, each in zip(items, found_for(here, items), strict=True):
        left = here.tokenizer(item.asked, add_special_tokens=False)["input_ids"]
        for answer, one in zip(item.answers, each, strict=True):
            right = here.tokenizer(answer, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = here.model(torch.tensor([left + right])).logits[0, len(left) - 1 : -1]
            wanted = torch.tensor(right)
            nats = float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
            assert one.nats == pytest.approx(nats, rel=1e-4)
            assert one.tokens == len(right)
            assert one.greedy == bool((logits.argmax(-1) == wanted).all())


def test_the_likeliest_choice_is_the_answer_that_lm_eval_counts(here: Room, items) -> None:  # type: ignore[no-untyped-def]
    found = found_for(here, items)
    scored = accuracies(items, found)
    assert set(scored) == {"one", "two"}
    right = [
        min(range(len(each)), key=lambda i, each=each: each[i].nats) == item.gold
        for item, each in zip(items, found, strict=True)
        if item.choices
    ]
    assert scored["one"].correct == tuple(right)
    assert scored["one"].accuracy == pytest.approx(sum(right) / 7)
    assert scored["two"].correct == tuple(each[0].greedy for each in found[7:])


def test_rewards_are_of_the_greedy_completion(here: Room) -> None:
    objective = Grpo(kind="grpo", reward="exact_text", max_new_tokens=3)
    rows = [{"id": "a", "prompt": "why so", "completion": "?"}, {"id": "b", "prompt": "no"}]
    rows[1]["completion"] = "never written"
    sampler = Sampler(here.model, here.tokenizer, here.params, objective)
    text, _ = sampler.greedy(rows[0])
    ids = here.tokenizer(here.params.prompt.format(prompt="why so"), add_special_tokens=False)
    written = list(ids["input_ids"])
    for _ in range(3):  # without a cache, one token after the other
        with torch.no_grad():
            written.append(int(here.model(torch.tensor([written])).logits[0, -1].argmax()))
    assert text == here.tokenizer.decode(written[-3:], skip_special_tokens=True).strip()
    rows[0]["completion"] = text
    found = rewards(here.model, here.tokenizer, here.params, objective, rows)
    assert found == [1.0, 0.0]


def test_an_answer_that_leaves_no_room_is_an_error(here: Room, items) -> None:  # type: ignore[no-untyped-def]
    trunk = Trunk(here.model, here.params.lora)
    with pytest.raises(ModelError, match="expected a completion that leaves room for its prompt"):
        likelihoods(here.model, trunk, here.tokenizer, 5, items[:1])
