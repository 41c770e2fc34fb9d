"""Whole datasets: streamed, resumed after a kill, means of blocks, what is left out and refused."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ArtifactError, ModelError
from appraise.language_model import sketcher as module
from appraise.language_model.gradients import LoraGradients
from appraise.language_model.prepared import Preparing
from appraise.language_model.sketcher import Order, Sketched, Sketcher
from appraise.language_model.task_vector_sketcher import TaskVectorSketcher
from appraise.numerics.projection import bytes_of_sketch
from appraise.objectives import Grpo, Sft
from appraise.records.sketch import ARRAYS, SKETCH, Sketch, SketchMeta
from appraise.settings.sketches import SketchSettings
from appraise.storage.files import read_arrays, read_table, write_arrays, write_table


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("sketcher") / "base")


def sketcher(
    here: Room,
    kind: type[Sketcher] = Sketcher,
    objective: Preparing = Sft(),  # noqa: B008 - it never changes
    **settings: Any,
) -> Sketcher:
    """A sketcher on the prepared model."""
    chosen = SketchSettings.model_validate({"dimension": 512} | settings)
    return kind(here.folder, here.params, chosen, objective)


def order(root: Path, count: int = 10, long: int | None = None, work: str = "w") -> Order:
    words = ["red", "green", "blue", "one", "two", "three", "yes", "no"]
    rows = [
        {
            "id": f"{n:04d}",
            "prompt": f"{words[n % 8]} {n}",
            "completion": "so " * 80 if n == long else words[n % 5],
        }
        for n in range(count)
    ]
    write_table(root / "examples.parquet", pd.DataFrame(rows))
    return Order("colours", root / "examples.parquet", None, count, work, root / "partial")


def silent(*_: Any) -> None:
    """No progress shown."""


def sketched(one: Sketcher, asked: Order) -> Sketched:
    (made,) = one.sketch([asked], silent)
    return made


def test_a_row_for_each_example_in_the_order_of_the_file(here: Room, tmp_path: Path) -> None:
    made = sketched(sketcher(here), order(tmp_path))
    assert made.sketch.meta.example_ids == tuple(f"{n:04d}" for n in range(10))
    assert made.sketch.rows.shape == (10, 512)
    made.sketch.write(tmp_path)
    made.forget()
    assert not (tmp_path / "partial").exists()
    arrays, meta = read_arrays(tmp_path / SKETCH)
    assert sum(array.nbytes for array in arrays.values()) == sketcher(here).stored(made.order)
    assert meta["distortion"]["rms"] < 0.3
    assert meta["batch_invariant"] in (True, False)


def test_a_run_that_is_killed_goes_on_and_gives_the_same(
    here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    one, asked = sketcher(here), order(tmp_path)
    whole = sketched(one, asked)
    expected = {name: np.array(getattr(whole.sketch, name)) for name in ARRAYS}
    whole.forget()
    keep, kept = Sketcher.keep, [0]

    def killed(self: Sketcher, *words: Any) -> None:
        if kept[0] == 2:
            raise KeyboardInterrupt
        kept[0] += 1
        keep(self, *words)

    monkeypatch.setattr(Sketcher, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        sketched(one, asked)
    monkeypatch.setattr(Sketcher, "keep", keep)
    with (tmp_path / "partial" / "rows.raw").open("ab") as file:
        file.write(b"torn in mid-write")
    computed: list[int] = []
    rows = LoraGradients.rows
    monkeypatch.setattr(
        LoraGradients, "rows", lambda self, e, p: computed.append(len(e)) or rows(self, e, p)
    )
    shown: list[tuple[str, int, int | None]] = []
    (again,) = one.sketch([asked], lambda *said: shown.append(said))
    assert sum(computed) == 2, "two chunks of four were on disk"
    assert shown[0] == ("colours", 8, None), "they say nothing of this run's speed"
    assert [said[1] for said in shown[1:]] == [2]
    for name, value in expected.items():
        np.testing.assert_array_equal(getattr(again.sketch, name), value)
    assert again.sketch.meta == whole.sketch.meta


def test_other_work_begins_anew(here: Room, tmp_path: Path) -> None:
    one = sketcher(here)
    sketched(one, order(tmp_path, work="a"))
    made = sketched(one, order(tmp_path, count=6, work="b"))
    assert made.sketch.rows.shape[0] == 6


def test_a_large_dataset_is_kept_as_means_of_equally_many(here: Room, tmp_path: Path) -> None:
    single = sketched(sketcher(here), order(tmp_path, 12, work="a"))
    rows = np.array(single.sketch.rows, dtype=np.float64)
    few = sketcher(here, max_rows=4)
    made = sketched(few, order(tmp_path, 13, work="b"))
    assert made.kept == 12, "one more would have made a block of its own"
    assert few.stored(made.order) == bytes_of_sketch(3, 512)
    expected = rows.reshape(3, 4, -1).mean(axis=1)
    np.testing.assert_allclose(made.sketch.rows, expected, rtol=1e-5, atol=1e-6)
    assert made.sketch.tokens.sum() == single.sketch.tokens.sum()


def test_long_rows_are_written_sooner(
    here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 8 * 512 * 3)
    shown: list[int] = []
    (made,) = sketcher(here).sketch([order(tmp_path)], lambda _, done, __: shown.append(done))
    assert shown == [3, 3, 3, 1]
    assert made.kept == 10


def test_what_is_too_long_is_named_and_counted(here: Room, tmp_path: Path) -> None:
    made = sketched(sketcher(here), order(tmp_path, long=3))
    assert made.sketch.meta.too_long == ("0003",)
    assert made.kept == 9
    assert made.asked == 10


def test_a_full_disk_is_one_line_and_keeps_what_is_done(
    here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    one, asked, calls = sketcher(here), order(tmp_path), [0]
    fsync = module.Growing.append.__globals__["os"].fsync

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("appraise.storage.files.os.fsync", full)
        with pytest.raises(ArtifactError, match="No space left on device; make room"):
            sketched(one, asked)
    assert sketched(one, asked).kept == 10


def test_a_projection_that_loses_too_much_is_an_error(
    here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = sketcher(here)
    monkeypatch.setattr(one.projection, "_signs", one.projection._signs * 0)
    with pytest.raises(ModelError, match="expected no gradient projected to 0, found 10 of 10"):
        sketched(one, order(tmp_path))


def test_the_dimension_follows_from_the_distortion(here: Room) -> None:
    one = sketcher(here, dimension=None, distortion=0.05)
    assert one.projection.dimension == 832


def test_groups_of_completions_are_kept_with_their_rewards(here: Room, tmp_path: Path) -> None:
    objective = Grpo(reward="exact_text", generations=2, max_new_tokens=3)
    made = sketched(sketcher(here, objective=objective), order(tmp_path, 3))
    assert [each.id for each in made.sketch.completions] == [f"{n:04d}" for n in (0, 0, 1, 1, 2, 2)]
    assert made.sketch.meta.no_signal == 3, "an untrained model is never right"
    made.sketch.write(tmp_path)
    kept = read_table(tmp_path / "rollouts.parquet")
    assert list(kept) == ["id", "completion", "reward", "advantage"]
    assert len(kept) == 6


def test_task_vectors_are_rows_too(here: Room, tmp_path: Path) -> None:
    settings = {"parts": 2, "tokens": 200, "batch_size": 2}
    chosen = {"vectors": "task_vectors", "task_vectors": settings}
    made = sketched(sketcher(here, TaskVectorSketcher, **chosen), order(tmp_path))
    assert made.sketch.rows.shape == (2, 512)
    assert (made.kept, made.asked) == (10, 10)
    assert made.sketch.meta.native_dimension > made.sketch.rows.shape[1]
    rows = np.array(made.sketch.rows)
    assert np.abs(rows[0] - rows[1]).max() > 0, "parts have vectors of their own"
    again = sketched(sketcher(here, TaskVectorSketcher, **chosen), order(tmp_path))
    np.testing.assert_array_equal(again.sketch.rows, rows)


def test_a_model_that_is_spread_gives_the_same(here: Room, tmp_path: Path) -> None:
    """By accelerate, over what devices there are."""
    whole = sketched(sketcher(here, device="cpu"), order(tmp_path, work="a"))
    rows = np.array(whole.sketch.rows)
    spread = sketched(sketcher(here, device="spread", dtype="float32"), order(tmp_path, work="b"))
    np.testing.assert_array_equal(spread.sketch.rows, rows)


def test_bfloat16_is_near_float32_and_not_taken_for_it(here: Room, tmp_path: Path) -> None:
    exact = sketched(sketcher(here), order(tmp_path, work="a"))
    rows = np.array(exact.sketch.rows)
    rough = sketched(sketcher(here, dtype="bfloat16"), order(tmp_path, work="b"))
    for one, other in zip(rows, rough.sketch.rows, strict=True):
        assert one @ other > 0.99 * np.linalg.norm(one) * np.linalg.norm(other)
    dtypes = [made.sketch.meta.alike.dtype for made in (exact, rough)]
    assert dtypes == ["float32", "bfloat16"]


def test_what_was_written_is_read_back(here: Room, tmp_path: Path) -> None:
    made = sketched(sketcher(here), order(tmp_path, long=3)).sketch
    made.write(tmp_path)
    again = Sketch.read(tmp_path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
        assert getattr(again, name).dtype == getattr(made, name).dtype
    assert again.meta == made.meta == SketchMeta.read(tmp_path)


def test_a_sketch_that_is_not_whole_is_refused(here: Room, tmp_path: Path) -> None:
    sketched(sketcher(here), order(tmp_path)).sketch.write(tmp_path)
    arrays, meta = read_arrays(tmp_path / SKETCH)
    write_arrays(tmp_path / SKETCH, {**arrays, "mean": arrays["loss"]}, meta)
    assert len(Sketch.read(tmp_path).rows) == 10, "older ones have more in them"
    write_arrays(tmp_path / SKETCH, {"rows": arrays["rows"]}, meta)
    with pytest.raises(ArtifactError, match=r"expected an array loss, found rows; run the step"):
        Sketch.read(tmp_path)
    write_arrays(tmp_path / SKETCH, arrays, {"fingerprint": "f"})
    with pytest.raises(ArtifactError, match="expected the description of a sketch, found none of"):
        SketchMeta.read(tmp_path)
