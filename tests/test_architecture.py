"""The architecture: who may import whom, and what must stay out of a module's import."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "appraise"
LINKED = ("orchestration", "assets")  # at the top level, linked into the package
ROOMS = (  # lowest first: an import may only go down
    *("errors", "storage", "settings", "numerics", "examples", "records", "language_model"),
    *("objectives", "policies", "methods", "project", "presentation", "steps", "review"),
    *("authoring", "api", "cli", "orchestration", "assets", "definitions"),
)
DEFINITIONS = {"appraise.orchestration.definitions", "appraise.orchestration.__main__"}

MOST_IMPORTS_IN_FUNCTIONS = 44
MOST_LINES_WITH_ANY = 19  # `dict[str, Any]`

HEAVY = ("torch", "transformers", "peft", "datasets", "lm_eval", "great_expectations")
ORCHESTRATORS = ("dagster", "dvc", "mlflow")
VALIDATION = "appraise.examples.validation"
HEAVY_MODULES = (  # imported within functions alone: they import what is heavy
    "appraise.language_model.",
    VALIDATION,
    "appraise.orchestration.recorders.dvc_checks",
    "appraise.orchestration.recorders.dvc_commit",
    "appraise.orchestration.recorders.mlflow_runs",
)
NUMERICS_MAY = {"numpy", "scipy", "sklearn", "osqp", "appraise"} | set(sys.stdlib_module_names)


def name_of(path: Path) -> str:
    """A module's full name; a package has that of its folder."""
    for top in LINKED:
        if (ROOT / top) in path.parents:
            path = SRC / top / path.relative_to(ROOT / top)
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {
    name_of(path): path
    for folder in (SRC, *(ROOT / top for top in LINKED))
    for path in sorted(folder.rglob("*.py"))  # which follows no links
}


@functools.cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def room_of(name: str) -> str:
    if name in DEFINITIONS:
        return "definitions"
    return name.split(".")[1] if "." in name else name


@functools.cache
def bound(name: str) -> frozenset[str]:
    """The names that a module binds at its top level, without those of its own modules."""
    names: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


@functools.cache
def imported(name: str) -> frozenset[str]:
    """Full names of all that a module imports, anywhere in it: within functions too, and for types.

    `from package import name` is an import of the package if that binds the name, else of the
    module of that name.
    """
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                ours = node.module in MODULES and alias.name in bound(node.module)
                found.add(module if module in MODULES and not ours else node.module)
    return frozenset(found)


def inside(name: str) -> set[str]:
    """The modules of this package that a module imports."""
    return {other for other in imported(name) if other in MODULES} - {name}


def tops(name: str) -> set[str]:
    return {other.split(".")[0] for other in imported(name)}


def edges() -> Iterator[tuple[str, str]]:
    return ((name, other) for name in MODULES for other in inside(name))


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """A circle in a graph, as its nodes in turn; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_has_its_place() -> None:
    rooms = {room_of(name) for name in MODULES} - {"appraise"}
    assert rooms <= set(ROOMS)


def test_imports_go_down() -> None:
    upwards = {
        (name, other)
        for name, other in edges()
        if name != "appraise"  # the library's front, above all rooms
        and (other == "appraise" or ROOMS.index(room_of(other)) > ROOMS.index(room_of(name)))
    }
    assert upwards == set()


def test_there_is_no_circle_of_files() -> None:
    assert circle({name: inside(name) for name in MODULES}) == []


def test_there_is_no_circle_of_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for name, other in edges():
        if room_of(name) != room_of(other):
            graph.setdefault(room_of(name), set()).add(room_of(other))
    assert circle(graph) == []


def test_a_circle_is_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "name", [name for name in MODULES if room_of(name) in ROOMS[: ROOMS.index("orchestration")]]
)
def test_the_library_knows_no_orchestrator(name: str) -> None:
    assert not tops(name) & set(ORCHESTRATORS)


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith("appraise.orchestration.rec")])
def test_recorders_know_nothing_of_dagster_and_its_jobs(name: str) -> None:
    assert "dagster" not in tops(name)
    may = ("appraise.orchestration.recorders", *(f"appraise.orchestration.{n}" for n in BESIDE))
    theirs = {other for other in inside(name) if other.startswith("appraise.orchestration")}
    assert all(other.startswith(may) for other in theirs)


BESIDE = ("reported", "checkout")


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "numerics"])
def test_numerics_know_nothing_of_files_or_torch(name: str) -> None:
    assert tops(name) <= NUMERICS_MAY
    assert not tops(name) & {"os", "pathlib", "io", "tempfile"}, "arrays in, dataclasses out"
    assert {room_of(other) for other in inside(name)} <= {"numerics", "errors"}


def imports_in_functions(name: str) -> int:
    """How many import statements of a module are within functions."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    nodes = {
        id(node)
        for function in ast.walk(tree(name))
        if isinstance(function, functions)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return len(nodes)


def test_imports_within_functions_stay_few() -> None:
    counts = {name: imports_in_functions(name) for name in MODULES}
    assert sum(counts.values()) <= MOST_IMPORTS_IN_FUNCTIONS, {n: c for n, c in counts.items() if c}


def test_untyped_dictionaries_stay_few() -> None:
    counts = {
        name: sum("dict[str, Any]" in line for line in path.read_text("utf-8").splitlines())
        for name, path in MODULES.items()
    }
    assert sum(counts.values()) <= MOST_LINES_WITH_ANY, {n: c for n, c in counts.items() if c}


def test_every_module_imports_in_a_fresh_process_without_the_heavy_packages() -> None:
    light = [
        name
        for name in MODULES
        if not name.startswith(HEAVY_MODULES) and not name.endswith("__main__")
    ]
    heavy = (*HEAVY, "mlflow", "dvc")
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [m for m in {heavy!r} if m in sys.modules]\n"
        "    assert not loaded, f'{name} imports {loaded}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_module_knows_great_expectations() -> None:
    assert {name for name in MODULES if "great_expectations" in tops(name)} == {VALIDATION}


def test_no_unsafe_loading_anywhere() -> None:
    for path in MODULES.values():
        text = path.read_text(encoding="utf-8")
        for unsafe in ("import pickle", "torch.load(", "trust_remote_code=True", "yaml.load("):
            assert unsafe not in text, f"{path}: {unsafe}"
