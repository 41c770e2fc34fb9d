from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sketched_project import rows, set_aside, sketched, write_params, write_sketch

from appraise.errors import ArtifactError
from appraise.numerics import kernel
from appraise.project import Project
from appraise.steps import candidates, kernel_matrix
from appraise.steps.kernel_matrix import STEP
from appraise.steps.runner import Made, run
from appraise.storage.files import read_arrays, read_json, sha256_file


def read(project: Project) -> tuple[dict[str, np.ndarray], dict]:
    return read_arrays(project.open("kernel_matrix") / "kernel.safetensors")


def kernel_of(project: Project) -> Made:
    """Bring the kernel up to date, and what stands before it."""
    run(candidates.STEP, project)
    return run(STEP, project)


def unit_mean(name: str, m: int = 24) -> np.ndarray:
    mean = rows(name, m).astype(np.float64).mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_kernel_is_that_of_unit_mean_gradients(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    assert kernel_of(project).made == ("",)
    arrays, meta = read(project)
    assert (meta["ids"], meta["targets"]) == (["a", "a_b", "c", "d"], ["t", "u"])
    G = np.array([unit_mean(name) for name in meta["ids"]])
    T = np.array([unit_mean(name, 48) for name in meta["targets"]])
    np.testing.assert_allclose(arrays["G"], G, atol=2e-8)
    np.testing.assert_allclose(arrays["K"], G @ G.T, atol=1e-6)
    np.testing.assert_allclose(arrays["C"], T @ G.T, atol=1e-6)
    np.testing.assert_allclose(arrays["tau"], 1, atol=1e-6)
    evidence = read_json(project.folder("kernel_matrix") / "kernel.json")
    assert (evidence["n"], evidence["dimension"], evidence["symmetric"]) == (4, 64, True)
    assert evidence["min_eigenvalue"] == pytest.approx(np.linalg.eigvalsh(G @ G.T)[0], abs=1e-6)
    share = kernel.noise_share(rows("c"))
    assert evidence["noise_share"]["gradient_sketches/c"] == pytest.approx(share)
    assert kernel_of(project).made == ()


def computed(monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[tuple[int, int]]]:
    """Counts sketches averaged and the shapes of the products taken from now on."""
    averaged: list[int] = []
    products: list[tuple[int, int]] = []
    mean, inner = kernel.mean_gradient, kernel.inner_products
    monkeypatch.setattr(kernel_matrix, "mean_gradient", lambda *a: averaged.append(1) or mean(*a))
    monkeypatch.setattr(
        kernel_matrix,
        "inner_products",
        lambda a, b: products.append((len(a), len(b))) or inner(a, b),
    )
    return averaged, products


def test_a_new_dataset_costs_one_row_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown, fresh = (
        sketched(tmp_path / name) for name in ("grown", "fresh") if not (tmp_path / name).mkdir()
    )
    kernel_of(grown)
    for project in (grown, fresh):
        write_sketch(project, "gradient_sketches", "b")
    averaged, products = computed(monkeypatch)
    assert kernel_of(grown).made == ("",)
    assert len(averaged) == 1
    assert sum(p * q for p, q in products) == 5 + 5 + 2  # its row, its column, its alignments
    kernel_of(fresh)
    for name in ("kernel.safetensors", "kernel.json"):
        paths = [p.folder("kernel_matrix") / name for p in (grown, fresh)]
        assert sha256_file(paths[0]) == sha256_file(paths[1]), name


@pytest.mark.parametrize("change", ["changed", "gone", "set aside", "new target data"])
def test_whatever_changes_the_result_is_that_of_a_fresh_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    project = sketched(tmp_path)
    kernel_of(project)
    averaged, _ = computed(monkeypatch)
    if change == "changed":
        write_sketch(project, "gradient_sketches", "a_b", rows=rows("other"))
    elif change == "gone":
        project.remove("gradient_sketches", "a_b")
    elif change == "set aside":
        set_aside(project, "a_b")
    else:
        write_sketch(project, "target_sketches", "u", rows=rows("other", 48))
    kernel_of(project)
    assert len(averaged) == (0 if change in ("gone", "set aside") else 1)
    taken_over = project.content("kernel_matrix")
    project.remove("kernel_matrix", "")
    kernel_of(project)
    assert project.content("kernel_matrix") == taken_over


def test_other_settings_or_damage_take_nothing_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sketched(tmp_path)
    kernel_of(project)
    content = project.content("kernel_matrix")
    averaged, _ = computed(monkeypatch)
    project = write_params(tmp_path, kernel_matrix={"normalize": "none"})
    kernel_of(project)
    assert len(averaged) == 6
    lengths = np.linalg.norm(read(project)[0]["G"], axis=1)
    np.testing.assert_allclose(lengths, read(project)[0]["norms"][:4], rtol=1e-6)
    project = write_params(tmp_path)
    kernel_of(project)
    path = project.folder("kernel_matrix") / "kernel.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    kernel_of(project)
    assert len(averaged) == 18
    assert project.content("kernel_matrix") == content


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize(
    ("part", "value", "shown"),
    [("fingerprint", "e" * 64, "eeeeeeeeeeee…"), ("seed", 1, "1"), ("dimension", 32, "32")],
)
def test_an_odd_sketch_is_named(
    tmp_path: Path, part: str, value: object, shown: str, earlier: bool
) -> None:
    project = sketched(tmp_path)
    if earlier:
        kernel_of(project)
    write_sketch(project, "gradient_sketches", "c", **{part: value})
    expected = rf"gradient_sketches/c: expected a sketch with {part} .*, found {shown}; run `app"
    with pytest.raises(ArtifactError, match=expected):
        kernel_of(project)


def test_bad_rows_are_named(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    wrong = rows("c")
    wrong[3, 5] = np.nan
    write_sketch(project, "gradient_sketches", "c", rows=wrong)
    with pytest.raises(ArtifactError, match=r"gradient_sketches/c: .* found nan in row 3"):
        kernel_of(project)
    write_sketch(project, "gradient_sketches", "c", rows=np.zeros((2, 64), np.float32))
    with pytest.raises(ArtifactError, match=r"gradient_sketches/c: .* add up to 0"):
        kernel_of(project)


def test_an_empty_pool_and_a_missing_target(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    project.remove("target_sketches", "u")
    with pytest.raises(ArtifactError, match=r"run `appraise target-sketches` first"):
        kernel_of(project)
    for name in project.partitions("gradient_sketches"):
        set_aside(project, name)
    with pytest.raises(
        ArtifactError, match="at least one dataset, found none that is not set aside"
    ):
        kernel_of(project)


def test_one_dataset(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    for name in ("a", "a_b", "c"):
        set_aside(project, name)
    kernel_of(project)
    assert read(project)[0]["K"].shape == (1, 1)
