"""K_ij = ⟨g_i, g_j⟩ of the datasets' mean gradients, and c_i = ⟨g_i, g_t⟩ with each target's.

The mean gradients lie on an exact grid, so that an entry has the same bits whether it is computed
alone or with all others: what is unchanged is taken over from the kernel that is there, and a new
dataset costs one row. Sketches that were made in different ways are refused.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError, SolverError
from appraise.project import Project, Recipe
from appraise.steps.candidates import SKETCH, candidates
from appraise.steps.step import Step, whole
from appraise.storage.files import read_arrays, read_meta, write_arrays, write_json

if TYPE_CHECKING:
    from appraise.numerics.kernel import Floats, KernelEvidence

KERNEL = "kernel.safetensors"
SKETCHED_ALIKE = (
    "fingerprint", "objective", "vectors", "projection", "dimension", "seed", "dtype",
)  # fmt: skip
_DATASETS, _TARGETS = "gradient_sketches", "target_sketches"


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
    sketched: dict[str, Any]


@dataclass(frozen=True)
class _Kept:
    """What of the kernel that is there can be taken over. Names are "<noun>/<key>".

    Attributes:
        gradients: of the sketches that have not changed.
        places: where each of them stands among the rows of K or C.
        K, C: the old matrices.
    """

    gradients: dict[str, _Gradient] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    K: Floats | None = None
    C: Floats | None = None


def _sketches(project: Project) -> dict[str, str]:
    """ "<noun>/<key>" → SHA-256 of the sketch, of all candidates and all targets."""
    found = {}
    for dataset in candidates(project):
        found[f"{_DATASETS}/{dataset}"] = project.content(_DATASETS, dataset, SKETCH)
    for target in sorted(project.params.target_sets):
        found[f"{_TARGETS}/{target}"] = project.content(_TARGETS, target, SKETCH)
    return found


def _settings(project: Project) -> dict[str, Any]:
    return {"kernel_matrix": project.params.kernel_matrix.model_dump(mode="json")}


def _recipe(project: Project, key: str) -> Recipe:  # noqa: ARG001
    inputs = {f"{name}/{SKETCH}": sha for name, sha in _sketches(project).items()}
    return Recipe(STEP.version, _settings(project), inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from appraise.numerics.kernel import kernel_evidence

    for key in keys:
        with STEP.writing(project, key) as folder:
            arrays, meta = _kernel(project)
            evidence = kernel_evidence(arrays["K"], project.params.kernel_matrix.tolerance)
            write_arrays(folder / KERNEL, arrays, meta)
            write_json(folder / "kernel.json", _described(project, evidence, arrays, meta))


def _kernel(project: Project) -> tuple[dict[str, Floats], dict[str, Any]]:
    """The content of kernel.safetensors."""
    import numpy as np

    sketches = _sketches(project)
    kept = _kept(project, sketches)
    gradients = kept.gradients | _read(project, [n for n in sketches if n not in kept.gradients])
    sketched = _check_alike({name: gradients[name].sketched for name in sketches})
    ids, targets = ([n for n in sketches if n.startswith(f"{x}/")] for x in (_DATASETS, _TARGETS))
    vectors = {name: gradients[name].vector for name in sketches}
    arrays = {
        "K": _products(vectors, ids, ids, kept.K, kept.places),
        "C": _products(vectors, targets, ids, kept.C, kept.places),
        "tau": np.array([float(vectors[name] @ vectors[name]) for name in targets]),
        "G": np.stack([vectors[name] for name in ids]),
        "T": np.stack([vectors[name] for name in targets]),
        "norms": np.array([gradients[name].norm for name in (*ids, *targets)]),
        "noise": np.array([gradients[name].noise for name in (*ids, *targets)]),
    }
    meta = {
        "ids": [name.removeprefix(f"{_DATASETS}/") for name in ids],
        "targets": [name.removeprefix(f"{_TARGETS}/") for name in targets],
        "sketches": sketches,
        "sketched": sketched,
    }
    return arrays, meta


def _kept(project: Project, sketches: Mapping[str, str]) -> _Kept:
    """Gradients and products of unchanged sketches, from the kernel that is there."""
    try:
        manifest = project.manifest(STEP.noun)
        if (manifest["version"], manifest["settings"]) != (STEP.version, _settings(project)):
            return _Kept()
        arrays, meta = read_arrays(project.open(STEP.noun) / KERNEL)
    except ArtifactError:
        return _Kept()  # not made yet, or damaged: all is computed
    names = [f"{_DATASETS}/{one}" for one in meta["ids"]]
    names += [f"{_TARGETS}/{one}" for one in meta["targets"]]
    gradients, places = {}, {}
    for i, name in enumerate(names):
        if sketches.get(name) == meta["sketches"][name]:
            n = len(meta["ids"])
            vector = arrays["G"][i] if i < n else arrays["T"][i - n]
            norm, noise = float(arrays["norms"][i]), float(arrays["noise"][i])
            gradients[name] = _Gradient(vector, norm, noise, meta["sketched"])
            places[name] = i if i < n else i - n
    return _Kept(gradients, places, arrays["K"], arrays["C"])


def _read(project: Project, names: Sequence[str]) -> dict[str, _Gradient]:
    from tqdm import tqdm

    from appraise.numerics.kernel import mean_gradient, mean_norm, noise_share

    normalize = project.params.kernel_matrix.normalize
    found = {}
    for name in tqdm(names, desc="kernel_matrix", unit="row", disable=None, file=sys.stderr):
        noun, key = name.split("/", 1)
        arrays, meta = read_arrays(project.open(noun, key) / SKETCH)
        if "rows" not in arrays:
            raise ArtifactError(
                f"{name}/{SKETCH}: expected an array `rows`, found {', '.join(arrays) or 'none'}; "
                f"run `appraise {noun.replace('_', '-')}` again"
            )
        rows, sketched = arrays["rows"], {part: meta.get(part) for part in SKETCHED_ALIKE}
        try:
            vector = mean_gradient(rows, normalize)
        except SolverError as error:
            raise ArtifactError(f"{name}: {error}") from None
        found[name] = _Gradient(vector, mean_norm(rows), noise_share(rows), sketched)
    return found


def _check_alike(sketched: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What all sketches have in common; ArtifactError names the odd one."""
    kinds = Counter(tuple(kind.items()) for kind in sketched.values())
    usual = dict(kinds.most_common(1)[0][0])
    for name in sorted(sketched):
        for part, expected in usual.items():
            found = sketched[name][part]
            if found != expected:
                noun = name.split("/", 1)[0].replace("_", "-")
                raise ArtifactError(
                    f"{name}: expected a sketch with {part} {_shown(expected)} as most have, "
                    f"found {_shown(found)}; run `appraise {noun}` again: sketches compare only at "
                    "the same base model, tokenizer, prompt, LoRA initialisation and projection"
                )
    return usual


def _shown(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 20 else text


def _products(
    vectors: Mapping[str, Floats],
    left: Sequence[str],
    right: Sequence[str],
    old: Floats | None,
    places: Mapping[str, int],
) -> Floats:
    """Inner products (left × right): rows and columns of what is new; the rest is taken over."""
    import numpy as np

    from appraise.numerics.kernel import inner_products

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


def _described(
    project: Project, evidence: KernelEvidence, arrays: Mapping[str, Floats], meta: dict[str, Any]
) -> dict[str, Any]:
    """The content of kernel.json."""
    largest = float(arrays["K"].diagonal().max())
    names = [
        *(f"{_DATASETS}/{one}" for one in meta["ids"]),
        *(f"{_TARGETS}/{one}" for one in meta["targets"]),
    ]
    condition = evidence.condition_number
    return {
        "n": evidence.n,
        "dimension": int(arrays["G"].shape[1]),
        **project.params.kernel_matrix.model_dump(mode="json"),
        "finite": evidence.finite,
        "symmetric": evidence.symmetric,
        # LAPACK's last digits are its own: rounded, so that the file is the same everywhere.
        "min_eigenvalue": round(evidence.min_eigenvalue / largest, 9) * largest + 0.0,
        "max_eigenvalue": round(evidence.max_eigenvalue / largest, 9) * largest,
        "condition_number": float(f"{condition:.6g}") if math.isfinite(condition) else None,
        # What the projection adds: standard errors of K's entries, at most; and, measured on each
        # sketch, the root mean square relative error of its rows' squared norms.
        "standard_error": _standard_error(project, arrays, meta),
        "distortion": {name: _distortion(project, name) for name in names},
        "norms": dict(zip(names, arrays["norms"].tolist(), strict=True)),
        # tr(Cov)/m as a part of the mean's squared length: what a small preview adds to K_ii.
        "noise_share": {
            name: share if math.isfinite(share) else None
            for name, share in zip(names, arrays["noise"].tolist(), strict=True)
        },
    }


def _standard_error(
    project: Project, arrays: Mapping[str, Floats], meta: dict[str, Any]
) -> dict[str, float] | None:
    """Root mean square and largest over pairs of datasets; None where nothing was projected."""
    import numpy as np

    from appraise.numerics.kernel import off_diagonal
    from appraise.numerics.projection import kernel_standard_error

    if meta["sketched"]["projection"] == "none":
        return None
    K, d = arrays["K"], arrays["G"].shape[1]
    errors = off_diagonal(kernel_standard_error(K, d, project.params.kernel_matrix.normalize))
    if not errors.size:
        return None
    return {"rms": float(np.sqrt(np.mean(errors**2))), "largest": float(errors.max())}


def _distortion(project: Project, name: str) -> float | None:
    noun, key = name.split("/", 1)
    found = read_meta(project.open(noun, key) / SKETCH).get("distortion")
    return None if found is None else float(found["rms"])


STEP = Step(
    noun="kernel_matrix",
    needs=("candidates", "gradient_sketches", "target_sketches"),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: distortion
)
