"""Per-example gradients against autograd through PEFT's own LoRA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]

from appraise.language_model import base, workers
from appraise.language_model.gradients import LoraGradients, completion_loss, count_sketch, sketch
from appraise.language_model.training import with_adapter
from appraise.numerics.projection import count_sketch_tables


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


def test_the_bytes_do_not_depend_on_company_order_or_threads(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, ours = sequences(), gradients_of(here)
    project = count_sketch(ours.size, 64, 0)
    together = sketch(ours, examples, project)
    alone = [sketch(ours, [one], project).rows[0] for one in examples]
    np.testing.assert_array_equal(together.rows, np.array(alone))
    backwards = sketch(ours, examples[::-1], project)
    np.testing.assert_array_equal(together.rows, backwards.rows[::-1])
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {0})
    np.testing.assert_array_equal(together.rows, sketch(ours, examples, project).rows)


def test_an_example_with_nan_is_left_out_and_the_others_are_as_before(here: Room) -> None:
    examples, model = sequences(), base.load(here.folder)
    ours = LoraGradients(model, here.a, 1.0)
    project = count_sketch(ours.size, 64, 0)
    before = sketch(ours, examples, project)
    others = {token for one in examples if one != examples[2] for token in one.ids}
    alone = next(token for token in examples[2].ids if token not in others)
    model.get_input_embeddings().weight[alone] = float("nan")
    after = sketch(ours, examples, project)
    assert after.kept == (0, 1, 3, 4, 5)
    np.testing.assert_array_equal(after.rows, before.rows[list(after.kept)])


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
    expected = torch.stack([-logits[place - 1, encoded.ids[place]] for place in places])
    torch.testing.assert_close(completion_loss(here.model, encoded), expected)


def test_the_projection_is_the_matrix_of_its_tables() -> None:
    buckets, signs = count_sketch_tables(300, 16, 5)
    matrix = np.zeros((16, 300))
    matrix[buckets, np.arange(300)] = signs
    vector = np.random.default_rng(0).normal(size=300).astype(np.float32)
    np.testing.assert_allclose(count_sketch(300, 16, 5)(vector), matrix @ vector, rtol=1e-5)
