"""K_ij = ⟨g_i, g_j⟩ of the datasets' mean gradients, and c_i = ⟨g_i, g_t⟩ with each target's.

The mean gradients lie on an exact grid, so that an entry has the same bits whether it is computed
alone or with all others: what is unchanged is taken over from the kernel that is there, and a new
dataset costs one row. Sketches that were made in different ways are refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from appraise.errors import ArtifactError, SolverError
from appraise.numerics.kernel import (
    Floats,
    inner_products,
    kernel_evidence,
    mean_gradient,
    mean_norm,
    noise_share,
    off_diagonal,
)
from appraise.numerics.projection import kernel_standard_error
from appraise.project import Project
from appraise.project.reads import Fact, Given, Part, Reads, all_targets
from appraise.records.candidates import Candidates
from appraise.records.kernel import Kernel, KernelFacts, StandardError
from appraise.records.sketch import MadeAlike, Sketch, SketchMeta
from appraise.settings.valuation import KernelMatrixParams
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole

SKETCHES, TARGET_SKETCHES = "gradient_sketches", "target_sketches"


@dataclass(frozen=True)
class Name:
    """A sketch: of a dataset, or of a target."""

    noun: str
    key: str

    def __str__(self) -> str:
        return f"{self.noun}/{self.key}"


@dataclass(frozen=True)
class _Gradient:
    """One mean gradient.

    Attributes:
        vector: (d,), on the exact grid.
        norm: length of the mean before it was normalised.
        noise: part of its square that is sampling noise; NaN for a single row.
        sketched: what must be the same for all sketches.
    """

    vector: Floats
    norm: float
    noise: float
    sketched: MadeAlike


@dataclass(frozen=True)
class _Kept:
    """What of the kernel that is there can be taken over.

    Attributes:
        gradients: of the sketches that have not changed.
        places: where each of them stands among the rows of K or C.
        K, C: the old matrices.
    """

    gradients: dict[Name, _Gradient] = field(default_factory=dict)
    places: dict[Name, int] = field(default_factory=dict)
    K: Floats | None = None
    C: Floats | None = None


def candidate_ids(project: Project, _: str = "") -> list[str]:
    """The datasets that the kernel is made of."""
    return list(project.read(Candidates, "candidates").ids)


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    for given in partitions:
        kernel = _kernel(given, progress)
        yield Output(given.key, (kernel, _facts(given, kernel)))


def _names(given: Given) -> dict[Name, str]:
    """Each sketch, and its SHA-256."""
    return {
        Name(noun, key): given.sha256(noun, key, Sketch.FILE)
        for noun in (SKETCHES, TARGET_SKETCHES)
        for key in given.keys(noun)
    }


def _kernel(given: Given, progress: Progress) -> Kernel:
    sketches = _names(given)
    kept = _kept(given, sketches)
    new = [name for name in sketches if name not in kept.gradients]
    gradients = kept.gradients | _read(given, new, progress)
    sketched = _check_alike({name: gradients[name].sketched for name in sketches})
    ids, targets = ([n for n in sketches if n.noun == noun] for noun in (SKETCHES, TARGET_SKETCHES))
    vectors = {name: gradients[name].vector for name in sketches}
    return Kernel(
        K=_products(vectors, ids, ids, kept.K, kept.places),
        C=_products(vectors, targets, ids, kept.C, kept.places),
        tau=np.array([float(vectors[name] @ vectors[name]) for name in targets]),
        G=np.stack([vectors[name] for name in ids]),
        T=np.stack([vectors[name] for name in targets]),
        norms=np.array([gradients[name].norm for name in (*ids, *targets)]),
        noise=np.array([gradients[name].noise for name in (*ids, *targets)]),
        ids=tuple(name.key for name in ids),
        targets=tuple(name.key for name in targets),
        sketches={name.key: sketches[name] for name in ids},
        target_sketches={name.key: sketches[name] for name in targets},
        sketched=sketched,
    )


def _kept(given: Given, sketches: Mapping[Name, str]) -> _Kept:
    """Gradients and products of unchanged sketches, from the kernel that is there."""
    old = given.before(Kernel)
    if old is None:
        return _Kept()
    n, gradients, places = len(old.ids), {}, {}
    made_of = [(Name(SKETCHES, key), old.sketches[key]) for key in old.ids]
    made_of += [(Name(TARGET_SKETCHES, key), old.target_sketches[key]) for key in old.targets]
    for i, (name, sha256) in enumerate(made_of):
        if sketches.get(name) == sha256:
            vector = old.G[i] if i < n else old.T[i - n]
            norm, noise = float(old.norms[i]), float(old.noise[i])
            gradients[name] = _Gradient(vector, norm, noise, old.sketched)
            places[name] = i if i < n else i - n
    return _Kept(gradients, places, old.K, old.C)


def _read(given: Given, names: Sequence[Name], progress: Progress) -> dict[Name, _Gradient]:
    normalize, gradients = given.params.kernel_matrix.normalize, {}
    progress.count(len(names), "row")
    for name in names:
        sketch = given.read(Sketch, name.noun, name.key)
        try:
            vector = mean_gradient(sketch.rows, normalize)
        except SolverError as error:
            raise ArtifactError(f"{name}: {error}") from None
        norm, noise = mean_norm(sketch.rows), noise_share(sketch.rows)
        gradients[name] = _Gradient(vector, norm, noise, sketch.meta.alike)
        progress.step()
    return gradients


def _check_alike(sketched: Mapping[Name, MadeAlike]) -> MadeAlike:
    """What all sketches have in common; ArtifactError names the odd one."""
    usual = Counter(sketched.values()).most_common(1)[0][0]
    for name in sorted(sketched, key=str):
        for part, expected in vars(usual).items():
            actual = getattr(sketched[name], part)
            if actual != expected:
                raise ArtifactError(
                    f"{name}: expected a sketch with {part} {_shown(expected)} as most have, "
                    f"found {_shown(actual)}; run `appraise {name.noun.replace('_', '-')}` again: "
                    "sketches compare only at the same base model, tokenizer, prompt, LoRA "
                    "initialisation and projection"
                )
    return usual


def _shown(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 20 else text


def _products(
    vectors: Mapping[Name, Floats],
    left: Sequence[Name],
    right: Sequence[Name],
    old: Floats | None,
    places: Mapping[Name, int],
) -> Floats:
    """Inner products (left × right): rows and columns of what is new; the rest is taken over."""
    table = np.empty((len(left), len(right)))
    rows, columns = ([i for i, n in enumerate(side) if n in places] for side in (left, right))
    if old is not None:
        at = np.ix_([places[left[i]] for i in rows], [places[right[j]] for j in columns])
        table[np.ix_(rows, columns)] = old[at]
    new_rows, new_columns = (
        [i for i, name in enumerate(side) if name not in places] for side in (left, right)
    )
    if new_rows:
        new = np.stack([vectors[left[i]] for i in new_rows])
        table[new_rows] = inner_products(new, np.stack([vectors[name] for name in right]))
    if new_columns:
        new = np.stack([vectors[right[j]] for j in new_columns])
        table[:, new_columns] = inner_products(np.stack([vectors[name] for name in left]), new)
    return table


def _facts(given: Given, kernel: Kernel) -> KernelFacts:
    params = given.params.kernel_matrix
    evidence, largest = (
        kernel_evidence(kernel.K, params.tolerance),
        float(kernel.K.diagonal().max()),
    )
    names = list(_names(given))
    return KernelFacts(
        n=evidence.n,
        dimension=int(kernel.G.shape[1]),
        normalize=params.normalize,
        tolerance=params.tolerance,
        finite=evidence.finite,
        symmetric=evidence.symmetric,
        # LAPACK's last digits are its own: rounded, so that the file is the same everywhere.
        min_eigenvalue=round(evidence.min_eigenvalue / largest, 9) * largest + 0.0,
        max_eigenvalue=round(evidence.max_eigenvalue / largest, 9) * largest,
        condition_number=_rounded(evidence.condition_number),
        standard_error=_standard_error(kernel, params),
        distortion={str(name): _distortion(given, name) for name in names},
        norms=dict(zip(map(str, names), kernel.norms.tolist(), strict=True)),
        noise_share={
            str(name): share if math.isfinite(share) else None
            for name, share in zip(names, kernel.noise.tolist(), strict=True)
        },
    )


def _rounded(condition: float) -> float | None:
    return float(f"{condition:.6g}") if math.isfinite(condition) else None


def _standard_error(kernel: Kernel, params: KernelMatrixParams) -> StandardError | None:
    """Of K's entries, by the projection, over pairs of datasets; None without a projection."""
    if kernel.sketched.projection == "none":
        return None
    d = kernel.G.shape[1]
    errors = off_diagonal(kernel_standard_error(kernel.K, d, params.normalize))
    if not errors.size:
        return None
    return StandardError(rms=float(np.sqrt(np.mean(errors**2))), largest=float(errors.max()))


def _distortion(given: Given, name: Name) -> float | None:
    """Root mean square relative error of the sketch's squared norms, as it was measured."""
    distortion = given.read(SketchMeta, name.noun, name.key).distortion
    return None if distortion is None else distortion.rms


STEP = Step(
    noun="kernel_matrix",
    partitions="",
    keys=whole,
    reads=Reads(
        settings=("kernel_matrix",),
        parts=(
            Part(SKETCHES, (Sketch,), candidate_ids),
            Part(TARGET_SKETCHES, (Sketch,), all_targets),
        ),
        facts=(Fact("datasets", candidate_ids, nouns=("candidates",), large=True),),
    ),
    writes=(Kernel, KernelFacts),
    make=_make,
    version="2",  # 2: distortion
)
