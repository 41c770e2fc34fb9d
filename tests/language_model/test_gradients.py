"""Per-example gradients against autograd through PEFT's own LoRA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]

from appraise.language_model import base, workers
from appraise.language_model.adapters import with_adapter
from appraise.language_model.gradients import LoraGradients, ProjectedGradient, packs, sketch
from appraise.language_model.prepared import Prepared, Term
from appraise.language_model.prompts import Encoded
from appraise.numerics.projection import CountSketch, Identity, count_sketch_tables


@pytest.fixture(scope="module", params=[None, 2], ids=["all layers", "last two"])
def here(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return room(tiny, tmp_path_factory.mktemp("gradients") / "base", last_layers=request.param)


def gradients_of(here: Room) -> LoraGradients:
    return LoraGradients(here.model, here.a, here.params.lora.alpha / here.params.lora.rank)


def test_they_are_those_of_autograd(here: Room) -> None:
    adapted = with_adapter(base.load(here.folder), here.params.lora, here.a)
    b = [p for n, p in sorted(adapted.named_parameters()) if "lora_B" in n]
    a = [p for n, p in sorted(adapted.named_parameters()) if "lora_A" in n]
    ours = gradients_of(here)
    with ours.hooked():
        for encoded in sequences():
            labels = torch.tensor([encoded.ids])
            labels[0, : encoded.n_prompt] = -100  # transformers' own loss
            loss = adapted(input_ids=torch.tensor([encoded.ids]), labels=labels).loss
            expected = torch.autograd.grad(loss, [*b, *a])
            value, found = ours(encoded)
            whole = torch.cat([one.reshape(-1) for one in expected[: len(b)]])
            assert float((found - whole).norm() / whole.norm()) < 1e-5
            assert value == pytest.approx(float(loss.detach()), rel=1e-5)
            assert all(not one.any() for one in expected[len(b) :]), "zero at B = 0"


def prepared(examples: list[Encoded]) -> list[Prepared]:
    return [Prepared((Term(one, 1 / one.n_completion),)) for one in examples]


def rows(ours: LoraGradients, *chunks: list[Prepared]) -> list[ProjectedGradient]:
    project = CountSketch(ours.size, 64, 0)
    return [row for chunk in sketch(ours, chunks, project) for row in chunk]


def values(found: list[ProjectedGradient]) -> np.ndarray:
    return np.array([row.values for row in found])


def test_the_bytes_do_not_depend_on_company_order_or_threads(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, ours = prepared(sequences(12)), gradients_of(here)
    assert len(packs(examples)) < len(examples), "nothing is packed"
    together = values(rows(ours, examples))
    alone = [values(rows(ours, [one]))[0] for one in examples]
    np.testing.assert_array_equal(together, np.array(alone))
    np.testing.assert_array_equal(together, values(rows(ours, examples[::-1]))[::-1])
    np.testing.assert_array_equal(
        together, values(rows(ours, [], examples[:5], [], [], examples[5:], []))
    )
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0})
    np.testing.assert_array_equal(together, values(rows(ours, examples)))


def test_an_example_with_nan_is_marked_and_the_others_are_as_before(here: Room) -> None:
    examples, model = sequences(), base.load(here.folder)
    ours = LoraGradients(model, here.a, 1.0)
    before = rows(ours, prepared(examples))
    others = {token for one in examples if one != examples[2] for token in one.ids}
    alone = next(token for token in examples[2].ids if token not in others)
    model.get_input_embeddings().weight[alone] = float("nan")
    after = rows(ours, prepared(examples))
    assert [row.finite for row in after] == [True, True, False, True, True, True]
    for number in (0, 1, 3, 4, 5):
        np.testing.assert_array_equal(after[number].values, before[number].values)


def test_an_examples_terms_add_up(here: Room) -> None:
    one, two = sequences(2)
    ours = gradients_of(here)
    whole = Identity(ours.size)
    with ours.hooked():
        both = ours.rows([Prepared((Term(one, 0.7), Term(two, -0.2)))], whole)[0]
        alone = ours.rows([Prepared((Term(one, 0.7),)), Prepared((Term(two, -0.2),))], whole)
    np.testing.assert_allclose(both.values, alone[0].values + alone[1].values, atol=1e-6)
    assert both.loss == pytest.approx(alone[0].loss + alone[1].loss)
    assert both.norm == pytest.approx(float(np.linalg.norm(both.values)))


def test_the_hooks_are_gone_afterwards(here: Room) -> None:
    ids = torch.arange(3, 20)[None]
    before = here.model(ids).logits
    with gradients_of(here).hooked():
        pass
    assert torch.equal(here.model(ids).logits, before)
    assert not any(module._forward_hooks for module in here.model.modules())


def test_the_loss_is_of_the_completion_alone(here: Room) -> None:
    encoded = sequences(1, completion=5)[0]
    logits = here.model(torch.tensor([encoded.ids])).logits[0].log_softmax(-1)
    places = range(encoded.n_prompt, len(encoded.ids))
    expected = -sum(float(logits[place - 1, encoded.ids[place]]) for place in places) / 5
    ours = gradients_of(here)
    with ours.hooked():
        assert ours(encoded)[0] == pytest.approx(expected, rel=1e-5)


def test_the_projection_is_the_matrix_of_its_tables() -> None:
    buckets, signs = count_sketch_tables(300, 16, 5)
    matrix = np.zeros((16, 300))
    matrix[buckets, np.arange(300)] = signs
    vector = np.random.default_rng(0).normal(size=300).astype(np.float32)
    total, project = np.zeros(16), CountSketch(300, 16, 5)
    for start, stop in ((0, 120), (120, 300)):
        project.add(total, start, vector[start:stop])
    np.testing.assert_allclose(total, matrix @ vector, rtol=1e-5)
