"""The layers of the house: who may import whom, and what must stay out of a module's import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "appraise"
MODULES = sorted(path for path in SRC.rglob("*.py") if path.name != "__main__.py")
MODULES += [
    SRC / top / path.name
    for top in ("orchestration", "assets")  # links, which rglob does not follow
    for path in sorted((ROOT / top).glob("*.py"))
    if path.name != "__main__.py"
]
HEAVY = ("torch", "transformers", "peft", "datasets", "lm_eval", "great_expectations", "mlflow")
VALIDATION = "appraise.examples.validation"  # the only module with Great Expectations
ORCHESTRATORS = ("dagster", "dvc", "mlflow")
NUMERICS_MAY = {"numpy", "scipy", "sklearn", "osqp", "pyscipopt", "appraise"} | set(
    sys.stdlib_module_names
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def rooms(path: Path) -> set[str]:
    """The rooms of the library that a file imports from."""
    return {n.split(".")[1] for n in imported(path) if n.startswith("appraise.")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_layers_point_one_way(path: Path) -> None:
    name, found, inside = name_of(path), tops(path), rooms(path)
    if not name.startswith(("appraise.orchestration", "appraise.assets")):
        assert not found & {*ORCHESTRATORS}, "the library is below"
        assert not inside & {"orchestration", "assets"}, "the library is below"
    if name.startswith("appraise.orchestration") and not name.endswith(".definitions"):
        assert "assets" not in inside, "only orchestration.definitions may import assets"


@pytest.mark.parametrize("path", sorted((SRC / "numerics").glob("*.py")), ids=name_of)
def test_numerics_know_nothing_of_files_or_torch(path: Path) -> None:
    assert tops(path) <= NUMERICS_MAY
    assert not tops(path) & {"os", "pathlib", "io", "tempfile"}, "arrays in, dataclasses out"
    inside = {name for name in imported(path) if name.startswith("appraise.")}
    assert all(n.startswith(("appraise.numerics", "appraise.errors")) for n in inside)


@pytest.mark.parametrize("room", ["examples", "language_model"])
def test_rooms_do_not_know_the_steps(room: str) -> None:
    for path in (SRC / room).glob("*.py"):
        assert not any(n.startswith(("appraise.steps", "appraise.cli")) for n in imported(path))


def test_every_module_imports_in_a_fresh_process_without_the_heavy_packages() -> None:
    light = [
        name_of(path)
        for path in MODULES
        if "language_model" not in path.parts  # torch lives there
        and name_of(path) != VALIDATION
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    assert not loaded, f'{name} imports {loaded}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_module_knows_great_expectations() -> None:
    users = {name_of(path) for path in MODULES if "great_expectations" in tops(path)}
    assert users == {VALIDATION}


def test_no_unsafe_loading_anywhere() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        for unsafe in ("import pickle", "torch.load(", "trust_remote_code=True", "yaml.load("):
            assert unsafe not in text, f"{path}: {unsafe}"
