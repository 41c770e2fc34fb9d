"""What every method of the registry owes; adding one as CONTRIBUTING.md shows it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from steps.sketched_project import sketched  # type: ignore[import-not-found]

from appraise.errors import ParamsError
from appraise.methods import METHODS
from appraise.methods.method import Evidence, Method, Resampling, Sketches
from appraise.numerics.kernel import inner_products, kernel_evidence, mean_gradient
from appraise.project import Project
from appraise.records.certificate import ProgramCertificate
from appraise.records.values import Resamples, WeightsTable
from appraise.settings.valuation import KmmWeightsParams
from appraise.steps.flow import step
from appraise.steps.runner import run

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
IDS = ["a", "b", "c", "d", "e"]
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def evidence(ids: list[str] = IDS, resamples: int = 20) -> Evidence:
    """Of datasets whose rows depend on their names alone, in this order."""
    common = np.random.default_rng(0).normal(size=(2, 16))
    rows = []
    for name in [*ids, "target"]:
        rng = np.random.default_rng(list(name.encode()))
        own = rng.normal(size=2) @ common + 0.5 * rng.normal(size=(12, 16))
        rows.append(own.astype(np.float32))
    means = np.array([mean_gradient(table) for table in rows])
    G, g = means[:-1], means[-1]
    K = inner_products(G, G)
    keys = [[f"{name}{row:02d}" for row in range(12)] for name in ids]
    return Evidence(
        ids=list(ids),
        owners=[f"owner of {name}" for name in ids],
        K=K,
        c=inner_products(G, g[None])[:, 0],
        tau=float(g @ g),
        G=G,
        g=g,
        norms=np.array([np.linalg.norm(table.mean(axis=0)) for table in rows[:-1]]),
        noise=np.full(len(ids), 0.05),
        kernel=kernel_evidence(K),
        sketches=Sketches(rows[:-1], keys, rows[-1]),
        normalize="unit",
        vectors="gradients",
        resampling=Resampling(resamples, 0.9, 0),
    )


def valued(method: Method, of: Evidence) -> dict[str, float]:
    settings = KmmWeightsParams() if method.section == "kmm_weights" else None
    table = method.value(of, settings).weights
    return dict(zip(table.ids, table.numbers("weight").tolist(), strict=True))


@every_method
def test_it_says_what_it_is(method: Method) -> None:
    assert METHODS[method.name] is method
    assert re.fullmatch(r"[a-z][a-z0-9_]*", method.name)
    assert method.title[0].isupper()
    assert len(method.meaning.split()) > 3
    assert method.vectors


@every_method
def test_a_value_for_each_dataset_whatever_their_order(method: Method) -> None:
    of = evidence()
    values = valued(method, of)
    assert list(values) == IDS
    assert np.isfinite(list(values.values())).all()
    assert valued(method, evidence(IDS[::-1])) == pytest.approx(values, abs=1e-9)


@every_method
def test_it_proves_what_it_says_it_proves(method: Method, tmp_path: Path) -> None:
    settings = KmmWeightsParams() if method.section == "kmm_weights" else None
    result = method.value(evidence(), settings)
    assert (result.proof is not None) == method.proves
    for record in result.records:
        record.write(tmp_path)
    row = WeightsTable.read(tmp_path).weights()["a"]
    assert row.resampled is not None
    assert row.resampled.low <= row.resampled.high
    assert (row.standing is not None) == method.proves
    assert Resamples.read(tmp_path).weights.shape == (20, 5)
    if method.proves:
        assert ProgramCertificate.read(tmp_path).proven


@every_method
def test_without_resamples_it_claims_no_interval(method: Method, tmp_path: Path) -> None:
    settings = KmmWeightsParams() if method.section == "kmm_weights" else None
    method.value(evidence(resamples=0), settings).weights.write(tmp_path)
    table = WeightsTable.read(tmp_path)
    low, high = table.interval()
    np.testing.assert_array_equal(low, table.numbers("weight"))
    np.testing.assert_array_equal(high, table.numbers("weight"))


def test_alignment_is_the_cosine() -> None:
    of = evidence()
    expected = of.G @ of.g / (np.linalg.norm(of.G, axis=1) * np.linalg.norm(of.g))
    assert list(valued(METHODS["alignment"], of).values()) == pytest.approx(expected.tolist())
    louder = replace(of, c=3 * of.c, tau=9 * of.tau)  # the target's length does not matter
    assert valued(METHODS["alignment"], louder) == pytest.approx(valued(METHODS["alignment"], of))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Method:
    """The method of the section, by its own module and its own entry in the registry."""
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Add a method\n")[1]
    source, entry = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    module = ModuleType("length")
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    assert module.__doc__
    method: Method = eval(entry, {"Length": module.__dict__["Length"]})
    monkeypatch.setitem(METHODS, method.name, method)
    return method


def made(root: Path, *methods: str) -> Project:
    project: Project = sketched(root, dataset_values={"bootstraps": 2, "methods": list(methods)})
    for noun in ("candidates", "kernel_matrix", "dataset_values"):
        run(step(noun), project)
    return project


def test_a_method_of_ones_own_is_a_module_and_a_line(added: Method, tmp_path: Path) -> None:
    test_it_says_what_it_is(added)
    test_a_value_for_each_dataset_whatever_their_order(added)
    project = made(tmp_path, "kmm", "alignment", added.name)
    keys = [f"{target}/{name}" for target in "tu" for name in ("kmm", "alignment", "length")]
    assert step("dataset_values").keys(project) == keys
    table = WeightsTable.read(project.open("dataset_values", "t/length"))
    assert list(table.numbers("weight")) == pytest.approx(
        list(WeightsTable.read(project.open("dataset_values", "u/length")).numbers("weight"))
    ), "it looks at no target"
    assert set(project.manifest("dataset_values", "t/length").files) == {"weights.parquet"}


def test_a_method_that_cannot_value_these_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"expected task_vectors, which method task_vectors values"
    ):
        made(tmp_path, "kmm", "alignment", "task_vectors")
