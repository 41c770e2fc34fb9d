"""Task vectors: their direction, their budget, the same bytes twice, and a model left as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rooms import Room, room, sequences  # type: ignore[import-not-found]

from appraise.language_model.gradients import LoraGradients
from appraise.language_model.prepared import Prepared, Term
from appraise.language_model.task_vectors import TaskVector, size, task_vector, within_budget
from appraise.numerics.projection import Identity
from appraise.settings.sketches import TaskVectors


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("task_vectors") / "base", last_layers=2)


def vector(here: Room, examples: Any, **settings: Any) -> TaskVector:
    wanted = TaskVectors(**{"tokens": 200, "batch_size": 4, **settings})
    return task_vector(here.model, here.tokenizer, here.a, here.params.lora, examples, wanted)


def parts(here: Room, flat: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """The entries of a vector that belong to A, and those that belong to B."""
    modules, rank = dict(here.model.named_modules()), here.params.lora.rank
    of_a = np.concatenate(
        [
            np.arange(rank * (module.in_features + module.out_features)) < rank * module.in_features
            for module in (modules[name] for name in sorted(here.a))
        ]
    )
    return flat[of_a], flat[~of_a]


def batch_gradient(here: Room, batch: Any) -> np.ndarray[Any, Any]:
    """With respect to B, of the mean over all completion tokens of a batch."""
    lora = here.params.lora
    gradients = LoraGradients(here.model, here.a, lora.alpha / lora.rank)
    count = sum(one.n_completion for one in batch)
    example = Prepared(tuple(Term(one, 1 / count) for one in batch))
    with gradients.hooked():
        return gradients.rows([example], Identity(gradients.size))[0].values


def test_the_first_step_goes_against_the_gradient(here: Room) -> None:
    """Adam's first step is the learning rate times the gradient's sign, whatever its size."""
    batch = sequences(4)
    found = vector(here, batch, tokens=sum(len(one.ids) for one in batch), learning_rate=0.01)
    a, b = parts(here, found.vector)
    assert not a.any(), "at B = 0 the gradient of A is 0"
    gradient = batch_gradient(here, batch)
    clear = np.abs(gradient) > 1e-3 * np.abs(gradient).max()
    np.testing.assert_allclose(b[clear], -0.01 * np.sign(gradient[clear]), rtol=1e-3)
    assert found.first_loss == found.last_loss, "one step"


def test_with_plain_gradient_descent_it_is_parallel_to_minus_the_gradient(
    here: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain(weights: Any, lr: float, **_: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(weights, lr=lr)

    monkeypatch.setattr("torch.optim.AdamW", plain)
    batch = sequences(4)
    found = vector(here, batch, tokens=sum(len(one.ids) for one in batch), learning_rate=0.01)
    _, b = parts(here, found.vector.astype(np.float64))
    gradient = batch_gradient(here, batch)
    cosine = -b @ gradient / np.linalg.norm(b) / np.linalg.norm(gradient)
    assert cosine > 0.9999
    assert np.linalg.norm(b) == pytest.approx(0.01 * np.linalg.norm(gradient), rel=1e-3)


def test_later_steps_move_a_too(here: Room) -> None:
    found = vector(here, sequences(12), tokens=400)
    a, b = parts(here, found.vector)
    assert a.any()
    assert b.any()
    assert found.vector.dtype == np.float32
    assert found.vector.shape == (size(here.a, here.model),)
    assert found.last_loss != found.first_loss


def test_the_same_bytes_twice_and_a_model_left_as_it_was(here: Room) -> None:
    before = {name: value.clone() for name, value in here.model.state_dict().items()}
    one, other = vector(here, sequences(8)), vector(here, sequences(8))
    assert one.vector.tobytes() == other.vector.tobytes()
    assert replace(one, vector=other.vector) == other
    assert here.model.state_dict().keys() == before.keys(), "the adapter is still there"
    assert all(torch.equal(value, before[n]) for n, value in here.model.state_dict().items())
    assert not any(p.requires_grad for p in here.model.parameters())
    assert not any(module.training for module in here.model.modules())
    another = vector(here, sequences(8), seed=1)
    assert another.vector.tobytes() != one.vector.tobytes(), "another order of the examples"


def test_the_budget_is_kept_and_used() -> None:
    few, many = sequences(3), sequences(40)
    for examples in (few, many):
        for budget in (100, 333, 1000):
            settings = TaskVectors(tokens=budget)
            chosen = within_budget(examples, settings)
            used = sum(len(one.ids) for one in chosen)
            assert budget - 40 < used <= budget, "sequences have at most 39 tokens"
            assert chosen == within_budget(examples, settings)
    again = within_budget(few, TaskVectors(tokens=1000))
    rounds = [again[at : at + 3] for at in range(0, len(again) // 3 * 3, 3)]
    assert all(set(one) == set(few) for one in rounds), "each before any again"
    assert len({tuple(one) for one in rounds}) > 1, "shuffled anew"


def test_an_example_longer_than_the_budget_is_trained_on_once(here: Room) -> None:
    longest = max(sequences(8), key=lambda one: len(one.ids))
    found = vector(here, [longest], tokens=5)
    assert found.tokens == len(longest.ids)
    assert found.vector.any()


def test_datasets_that_teach_alike_have_like_directions(here: Room) -> None:
    one = sequences(4)
    other = [replace(each, ids=tuple(70 - token for token in each.ids)) for each in one]
    again, near, far = (
        vector(here, examples, tokens=400).vector for examples in (one[:3], one[1:], other)
    )

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(again, near) > cosine(again, far) + 0.2
