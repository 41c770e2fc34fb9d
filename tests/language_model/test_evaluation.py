"""Likelihoods against a plain forward pass, lm-eval's accuracy against its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.language_model import base
from appraise.language_model.adapters import save, with_adapter, with_trained_adapter
from appraise.language_model.evaluation import Item, items_of, likelihoods, rewards
from appraise.language_model.harness import accuracies
from appraise.language_model.placement import Placement
from appraise.language_model.rewards import reward_of
from appraise.language_model.rollouts import Sampler, Sampling
from appraise.language_model.trunk import Trunk
from appraise.settings.sketches import precision

CHOICES = [
    Example(f"a{n}", f"Is it {n}?", "yes", None, ("no", "yes", f"maybe {n}"), 1, "one")
    for n in range(7)
]
OPEN = [Example(f"b{n}", f"Say {n}", f"it is {n}", component="two") for n in range(5)]


@pytest.fixture(scope="module", params=[None, 2], ids=["all layers", "last two"])
def here(
    request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Room:
    folder = tmp_path_factory.mktemp("evaluation") / "base"
    return room(tiny, folder, last_layers=request.param)


@pytest.fixture(scope="module")
def items(here: Room):  # type: ignore[no-untyped-def]
    return items_of(CHOICES + OPEN, here.tokenizer, here.params)


def found_for(here: Room, items, model=None):  # type: ignore[no-untyped-def]
    trunk = Trunk(here.model, here.params.lora)
    return likelihoods(model or here.model, trunk, here.tokenizer, here.params.max_length, items)


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
    chosen = [place for place, item in enumerate(items) if item.choices]
    scored = accuracies([items[i] for i in chosen], [found[i] for i in chosen])
    assert set(scored) == {"one"}
    right = [
        min(range(len(each)), key=lambda i, each=each: each[i].nats) == item.gold
        for item, each in zip(items, found, strict=True)
        if item.choices
    ]
    assert scored["one"].correct == tuple(right)
    assert scored["one"].accuracy == pytest.approx(sum(right) / 7)


def test_rewards_are_of_the_greedy_completion(here: Room) -> None:
    asked, other = Example("a", "why so", "?"), Example("b", "no", "never written")
    sampling = Sampling(generations=2, max_new_tokens=3, temperature=1.0, seed=0)
    rule = reward_of("exact_text")
    sampler = Sampler(here.model, here.tokenizer, here.params, sampling, rule)
    text, _ = sampler.greedy(asked)
    ids = here.tokenizer(here.params.prompt.format(prompt="why so"), add_special_tokens=False)
    written = list(ids["input_ids"])
    for _ in range(3):  # without a cache, one token after the other
        with torch.no_grad():
            written.append(int(here.model(torch.tensor([written])).logits[0, -1].argmax()))
    assert text == here.tokenizer.decode(written[-3:], skip_special_tokens=True).strip()
    right = replace(asked, completion=text)
    assert rewards(lambda example: sampler.greedy(example)[1], [right, other]) == [1.0, 0.0]


def test_an_answer_that_leaves_no_room_is_an_error(here: Room, items) -> None:  # type: ignore[no-untyped-def]
    trunk = Trunk(here.model, here.params.lora)
    with pytest.raises(ModelError, match="expected a completion that leaves room for its prompt"):
        likelihoods(here.model, trunk, here.tokenizer, 5, items[:1])


@pytest.mark.parametrize("device", ["auto", "cpu", "spread"])
def test_an_adapter_is_evaluated_wherever_it_was_trained(
    here: Room, items: list[Item], tmp_path: Path, device: str
) -> None:
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    generator = torch.Generator().manual_seed(0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    save(adapted, tmp_path / "adapter")
    expected = found_for(here, items, adapted.get_base_model())
    for dtype, off in (("float32", 1e-4), ("bfloat16", 5e-2)):
        model = base.load(here.folder, Placement.of(device, dtype))
        tuned = with_trained_adapter(model, tmp_path / "adapter").get_base_model()
        trunk = Trunk(model, here.params.lora)
        found = likelihoods(tuned, trunk, here.tokenizer, here.params.max_length, items)
        for each, other in zip(found, expected, strict=True):
            assert [one.nats for one in each] == pytest.approx([one.nats for one in other], rel=off)
    assert [one.nats for one in expected[0]] != pytest.approx(
        [one.nats for one in found_for(here, items)[0]], rel=1e-3
    ), "the adapter does nothing"


@pytest.mark.parametrize(
    ("device", "dtype", "stated"),
    [
        ("auto", None, "auto"),
        ("auto", "bfloat16", "bfloat16"),
        ("cpu", None, "float32"),
        ("cpu", "bfloat16", "bfloat16"),
        ("cuda", None, "bfloat16"),
        ("cuda:1", None, "bfloat16"),
        ("cuda:1", "float32", "float32"),
        ("spread", None, "bfloat16"),
        ("spread", "float32", "float32"),
    ],
)
def test_what_decides_content_is_what_the_model_gets(
    device: str, dtype: str | None, stated: str
) -> None:
    """A recipe names the precision; the model must never be loaded in another one."""
    assert precision(device, dtype) == stated
    placed = Placement.of(device, dtype)
    assert placed.spread == (device == "spread")
    if stated == "auto":
        assert placed.dtype == (torch.float32 if placed.device == "cpu" else torch.bfloat16)
    else:
        assert placed.dtype == getattr(torch, stated)
        assert device in (placed.device, "auto")
