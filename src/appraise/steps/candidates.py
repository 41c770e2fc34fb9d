"""Of a large pool the datasets among which the question has its answer; of a small one all.

The kernel matrix of 100,000 datasets would take 80 GB. Where there are more than `largest`, the
very question that values them (λ by its rule, ridge, limits) is answered for each target
without it (`numerics.screening`), with a certificate over all datasets. Those that the answer needs
are candidates, and of the others those that lack least, up to `largest`. All that follows is done
with the candidates. The others are proven to have no weight; `screened.parquet` says what each of
them lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue

from appraise.errors import ArtifactError, SolverError
from appraise.methods.questions import question_of
from appraise.numerics.kernel import Normalize, mean_gradient
from appraise.numerics.pool import Pool
from appraise.numerics.question import Question
from appraise.numerics.screening import Screening, screening
from appraise.project import Project
from appraise.project.reads import Fact, Given, Part, Reads
from appraise.records.candidates import Candidates, PoolGradients, ScreenedTable
from appraise.records.candidates import Screening as Screened
from appraise.records.sketch import Sketch
from appraise.settings.valuation import KmmWeightsParams
from appraise.steps.offered import offered
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, targets, whole

SKETCHES, TARGET_SKETCHES = "gradient_sketches", "target_sketches"
REMEDY = "run `appraise gradient-sketches`"


class Asked(BaseModel):
    """What the datasets of a large pool are asked, as a fact of the recipe.

    Attributes:
        kmm_weights: λ's rule, ridge, limits, tolerance.
        normalize: how gradients are scaled.
        owners: dataset → who offers it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kmm_weights: KmmWeightsParams
    normalize: Normalize
    owners: dict[str, str]

    def question(self, ids: Sequence[str]) -> Question:
        """About these datasets."""
        return question_of(self.kmm_weights, ids, [self.owners[name] for name in ids])


def _sketched(project: Project, _: str = "") -> list[str]:
    """The datasets that have a sketch."""
    keys = project.partitions(SKETCHES)
    ids = [key for key in keys if project.set_aside(SKETCHES, key) is None]
    if not ids:
        raise ArtifactError(
            "candidates: expected the sketch of at least one dataset, found none that is not set "
            "aside; see `appraise status` and the pool of offers"
        )
    return ids


def _is_large(project: Project) -> bool:
    return len(_sketched(project)) > project.params.candidates.largest


def _of_a_large_pool(project: Project, _: str) -> list[str]:
    return _sketched(project) if _is_large(project) else []


def _targets_of_a_large_pool(project: Project, _: str) -> list[str]:
    return targets(project) if _is_large(project) else []


def _asked(project: Project, _: str) -> JsonValue:
    """What is asked; None of a small pool, of which all are candidates whatever is asked."""
    if not _is_large(project):
        return None
    asked = Asked(
        kmm_weights=project.params.kmm_weights,
        normalize=project.params.kernel_matrix.normalize,
        owners=offered(project, _sketched(project), REMEDY).owners,
    )
    return asked.model_dump(mode="json")


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    for given in partitions:
        ids = list(given.fact("datasets"))
        if given.fact("asked") is None:
            yield Output(given.key, (Candidates(ids=tuple(ids)),))
            continue
        asked, names = Asked.model_validate(given.fact("asked")), given.keys(TARGET_SKETCHES)
        gradients = _gradients(given, ids, asked.normalize, progress)
        made = _screened(given, gradients, asked, names)
        yield Output(given.key, (gradients, _table(made, ids), _content(made, ids)))


def _gradients(
    given: Given, ids: Sequence[str], normalize: Normalize, progress: Progress
) -> PoolGradients:
    """Mean gradients (n, d) float32; those of sketches that have not changed are taken over."""
    contents = {name: given.sha256(SKETCHES, name, Sketch.FILE) for name in ids}
    old = given.before(PoolGradients)
    alike = old is not None and old.normalize == normalize
    kept = dict(zip(old.contents.values(), old.G, strict=True)) if old is not None and alike else {}
    progress.count(len(ids), "dataset")
    rows: list[NDArray[np.float32]] = []
    for name in ids:
        row = kept.get(contents[name])
        if row is None:
            row = _mean(given, SKETCHES, name, normalize).astype(np.float32)
        rows.append(row)
        progress.step()
    return PoolGradients(np.stack(rows), contents, normalize)


def _mean(given: Given, noun: str, key: str, normalize: Normalize) -> NDArray[np.float64]:
    try:
        return mean_gradient(given.read(Sketch, noun, key).rows, normalize)
    except SolverError as error:
        raise ArtifactError(f"{noun}/{key}: {error}") from None


def _screened(
    given: Given, gradients: PoolGradients, asked: Asked, names: Sequence[str]
) -> Screening:
    targets = {name: _mean(given, TARGET_SKETCHES, name, asked.normalize) for name in names}
    question, largest = asked.question(list(gradients.contents)), given.params.candidates.largest
    try:
        return screening(Pool(gradients.G), targets, question, largest)
    except SolverError as error:
        raise SolverError(
            f"candidates {error}; or raise candidates.largest to {len(gradients.contents)}, so "
            "that no dataset is left out"
        ) from None


def _table(made: Screening, ids: Sequence[str]) -> ScreenedTable:
    """A row for each dataset that is no candidate, and each target."""
    out = np.setdiff1d(np.arange(len(ids)), made.candidates)
    tables = [
        pd.DataFrame(
            {
                "id": [ids[i] for i in out],
                "target": target,
                "alignment": solution.alignment[out],
                "margin": solution.margins[out],
                "threshold": solution.thresholds[out],
            }
        )
        for target, solution in made.solutions.items()
    ]
    return ScreenedTable(pd.concat(tables, ignore_index=True))


def _content(made: Screening, ids: Sequence[str]) -> Candidates:
    certificates = {
        target: Screened(
            lam=solution.lam.value,
            lambda_max=solution.lam.top,
            datasets=len(ids),
            positive=len(solution.support),
            gap=solution.optimality.gap,
            kkt_violation=solution.optimality.kkt_violation,
            relative_error=solution.optimality.relative_error,
            passes=len(solution.passes),
        )
        for target, solution in made.solutions.items()
    }
    kept = tuple(ids[i] for i in made.candidates)
    return Candidates(ids=kept, screened=len(ids) - len(kept), certificates=certificates)


STEP = Step(
    noun="candidates",
    partitions="",
    keys=whole,
    reads=Reads(
        settings=("candidates",),
        parts=(
            Part(SKETCHES, (Sketch,), _of_a_large_pool),
            Part(TARGET_SKETCHES, (Sketch,), _targets_of_a_large_pool),
        ),
        facts=(
            Fact("datasets", _sketched, nouns=(SKETCHES,), large=True),
            Fact(
                "asked",
                _asked,
                nouns=("offers", SKETCHES),
                settings=("kmm_weights", "kernel_matrix.normalize"),
                large=True,
            ),
        ),
    ),
    writes=(Candidates, ScreenedTable, PoolGradients),
    make=_make,
    version="3",  # 3: prices play no part; 2: the proof is of the question that decides
)
