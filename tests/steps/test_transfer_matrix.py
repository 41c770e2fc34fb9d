"""Who helps whom: every dataset as the target of all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sketched_project import sketched, write_params

from appraise.numerics.targets import transfer_matrix as all_as_targets
from appraise.project import Project
from appraise.records.kernel import Kernel, Transfer, TransferFacts
from appraise.steps import candidates, kernel_matrix
from appraise.steps.runner import run
from appraise.steps.transfer_matrix import STEP


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made: Project = sketched(tmp_path)
    for one in (candidates, kernel_matrix):
        run(one.STEP, made)
    run(STEP, made)
    return made


def test_it_is_that_of_the_kernel(project: Project) -> None:
    kernel, transfer = project.read(Kernel, "kernel_matrix"), project.read(Transfer, STEP.noun)
    assert transfer.ids == kernel.ids
    assert np.isnan(transfer.M.diagonal()).all()
    np.testing.assert_array_equal(transfer.M, all_as_targets(kernel.K, 0.1))


def test_the_strongest_pairs_are_named(project: Project) -> None:
    transfer, facts = project.read(Transfer, STEP.noun), project.read(TransferFacts, STEP.noun)
    M = np.nan_to_num(transfer.M)
    assert len(facts.helps) == (M > 0).sum()
    assert len(facts.hinders) == (M < 0).sum()
    for pair in (*facts.helps, *facts.hinders):
        assert pair.weight == M[transfer.ids.index(pair.of), transfer.ids.index(pair.for_)]
    weights = [pair.weight for pair in facts.helps]
    assert weights == sorted(weights, reverse=True)


def test_of_many_those_most_aligned_take_part(project: Project) -> None:
    kernel = project.read(Kernel, "kernel_matrix")
    small = write_params(project.root, transfer_matrix={"largest": 2})
    assert run(STEP, small).made == ("",)
    strongest = np.argsort(-np.abs(kernel.C).max(axis=0), kind="stable")[:2]
    assert set(small.read(Transfer, STEP.noun).ids) == {kernel.ids[i] for i in strongest}
    assert small.read(TransferFacts, STEP.noun).left_out == 2
