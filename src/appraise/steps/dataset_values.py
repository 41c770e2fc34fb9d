"""What each dataset is worth to a target, by each method of valuation.

A method values all datasets of the kernel; what it can say besides, such as a proof, intervals or
reasons, is kept with the values (`appraise.methods`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from pydantic import JsonValue

from appraise.errors import ArtifactError, ParamsError, SolverError
from appraise.examples.splits import seeded_rank
from appraise.methods import METHODS
from appraise.methods.method import Evidence, Method, Resampling, Sketches, Vectors
from appraise.numerics.kernel import KernelEvidence, kernel_evidence
from appraise.project import Project
from appraise.project.keys import joined, name_of, target_of
from appraise.project.reads import Fact, Given, Part, Reads, own_target
from appraise.records.certificate import ProgramCertificate
from appraise.records.kernel import Kernel
from appraise.records.sketch import Sketch
from appraise.records.values import EntriesTable, OwnersTable, PathKnots, Resamples, WeightsTable
from appraise.steps.kernel_matrix import SKETCHES, TARGET_SKETCHES
from appraise.steps.offered import offered
from appraise.steps.progress import Progress
from appraise.steps.step import Keys, Output, Step, targets

# Which methods there are follows from these.
METHOD_NAMES = (
    "dataset_values.methods", "selected_subset.policies", "lora_adapter.target_share",
)  # fmt: skip
REMEDY = "run `appraise gradient-sketches` and `appraise kernel-matrix`"


def _keys(project: Project) -> list[str]:
    methods = project.params.methods()
    return [joined(target, method) for target in targets(project) for method in methods]


def kernel_ids(project: Project, _: str = "") -> list[str]:
    """The kernel's datasets, as its manifest has them."""
    inputs = project.manifest("kernel_matrix").recipe.inputs
    return sorted(each.key for each in inputs if each.noun == SKETCHES)


def _owners(project: Project, _: str) -> JsonValue:
    """Who offers what; not at which price, which has nothing to do with what it teaches."""
    return dict(offered(project, kernel_ids(project), REMEDY).owners)


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    kernel = partitions[0].read(Kernel, "kernel_matrix")  # all targets share it: checked once
    checked, by_target = kernel_evidence(kernel.K), dict[str, _Collected]()
    for given in partitions:
        target, method = target_of(given.key), METHODS[name_of(given.key)]
        if target not in by_target:
            by_target.clear()  # sketches of one target at a time
            by_target[target] = _Collected(given, target, kernel, checked)
        evidence = by_target[target].evidence
        _check_vectors(method, evidence.vectors)
        settings = None if method.section is None else getattr(given.params, method.section)
        try:
            yield Output(given.key, method.value(evidence, settings).records)
        except SolverError as error:
            raise SolverError(f"dataset_values {given.key}: {error}") from None
        progress.step(0, given.key)


def _check_vectors(method: Method, vectors: Vectors) -> None:
    if vectors not in method.vectors:
        raise ParamsError(
            f"dataset_values.methods: expected methods that can value {vectors}, found "
            f"{method.name}, which values {' or '.join(sorted(method.vectors))}; leave it out, or "
            f"set gradient_sketches.vectors to {sorted(method.vectors)[0]}"
        )


class _Collected:
    """All that methods may look at, read once for all methods of a target."""

    def __init__(self, given: Given, target: str, kernel: Kernel, checked: KernelEvidence) -> None:
        self._given, self._target = given, target
        self._kernel, self._checked = kernel, checked
        self._check_current()

    def _check_current(self) -> None:
        """Intervals come from the sketches: they must be those that the kernel was made from."""
        made_of = [(SKETCHES, name, sha) for name, sha in self._kernel.sketches.items()]
        made_of.append((TARGET_SKETCHES, self._target, self._kernel.target_sketches[self._target]))
        for noun, key, expected in made_of:
            actual = self._given.sha256(noun, key, Sketch.FILE)
            if actual != expected:
                raise ArtifactError(
                    f"{noun}/{key}: expected the sketch that the kernel was made from "
                    f"({expected[:12]}…), found a newer one ({actual[:12]}…); run "
                    "`appraise kernel-matrix` first"
                )

    @cached_property
    def evidence(self) -> Evidence:
        """Of the target."""
        kernel, row = self._kernel, self._kernel.row(self._target)
        n, ids, params = len(kernel.ids), list(kernel.ids), self._given.params
        owners = self._given.fact("owners")
        resampling = params.dataset_values
        return Evidence(
            ids=ids,
            owners=[owners[name] for name in ids],
            K=kernel.K,
            c=kernel.C[row],
            tau=float(kernel.tau[row]),
            G=kernel.G,
            g=kernel.T[row],
            norms=kernel.norms[:n],
            noise=kernel.noise[:n],
            kernel=self._checked,
            sketches=self._sketches(ids),
            normalize=params.kernel_matrix.normalize,
            vectors=_vectors(kernel),
            resampling=Resampling(resampling.bootstraps, resampling.confidence, resampling.seed),
        )

    def _sketches(self, ids: Sequence[str]) -> Sketches:
        sketches = [self._given.read(Sketch, SKETCHES, name) for name in ids]
        return Sketches(
            rows=[sketch.rows for sketch in sketches],
            keys=[
                [
                    seeded_rank(example, sketch.meta.alike.seed)
                    for example in sketch.meta.example_ids
                ]
                for sketch in sketches
            ],
            target=self._given.read(Sketch, TARGET_SKETCHES, self._target).rows,
        )


def _vectors(kernel: Kernel) -> Vectors:
    """What the sketches are of; task vectors say how they were made, too."""
    made = kernel.sketched.vectors
    return "task_vectors" if made.startswith("task_vectors") else "gradients"


STEP = Step(
    noun="dataset_values",
    partitions="target/method",
    keys=Keys(_keys, settings=METHOD_NAMES),
    reads=Reads(
        settings=(
            "dataset_values.bootstraps",
            "dataset_values.confidence",
            "dataset_values.seed",
            "kernel_matrix.normalize",
        ),
        parts=(
            Part("kernel_matrix", (Kernel,)),
            Part(SKETCHES, (Sketch,), kernel_ids),
            Part(TARGET_SKETCHES, (Sketch,), own_target),
        ),
        facts=(Fact("owners", _owners, nouns=("offers", "kernel_matrix")),),
    ),
    reads_of={
        method.name: Reads(settings=() if method.section is None else (method.section,))
        for method in METHODS.values()
    },
    writes=(WeightsTable, Resamples, ProgramCertificate, PathKnots, EntriesTable, OwnersTable),
    make=_make,
    version="5",  # 5: without prices; 4: by target and method
)
