"""The wheel: one package, with all of its files, and what it needs of others."""

from __future__ import annotations

import ast
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LINKED = ("orchestration", "assets")  # at the top level of the repository
NOT_FOR_USERS = {"__pycache__", ".DS_Store"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(built)


def files(folder: Path) -> set[str]:
    """The files in a folder, relative to it."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix()
        for path in paths
        if not NOT_FOR_USERS & set(path.parts) and path.suffix != ".pyc"
    }


def test_it_installs_one_package(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"appraise"}


def test_it_has_all_files_as_files(wheel: zipfile.ZipFile) -> None:
    expected = {f"appraise/{name}" for name in files(ROOT / "src" / "appraise")}
    for top in LINKED:
        expected |= {f"appraise/{top}/{name}" for name in files(ROOT / top)}
    inside = {name for name in wheel.namelist() if name.startswith("appraise/")}
    assert inside == expected
    assert {"appraise/py.typed", "appraise/presentation/templates/report.html.j2"} <= inside
    for name in inside:
        assert wheel.getinfo(name).external_attr >> 28 != 0xA, f"{name} is a symbolic link"


def test_the_settings_of_dagsters_instance_are_those_of_infra(wheel: zipfile.ZipFile) -> None:
    settings = wheel.read("appraise/orchestration/dagster.yaml")
    assert settings == (ROOT / "infra" / "dagster.yaml").read_bytes()


@pytest.mark.parametrize(
    ("inside", "ours"),
    [
        ("authoring/template/stages.yaml", "dvc.yaml"),
        ("authoring/template/settings.yaml", "params.yaml"),
        ("authoring/template/dvcignore", ".dvcignore"),
        ("orchestration/ui.sh", "infra/ui.sh"),
    ],
)
def test_a_project_of_ones_own_begins_with_our_files(
    wheel: zipfile.ZipFile, inside: str, ours: str
) -> None:
    assert wheel.read(f"appraise/{inside}") == (ROOT / ours).read_bytes()


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def needed(wheel: zipfile.ZipFile, extra: str = "") -> set[str]:
    """Names of the distributions that an installation needs."""
    message: Message = Parser().parsestr(metadata(wheel, "METADATA"))
    requirements = map(Requirement, message.get_all("Requires-Dist", []))
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    }


def test_orchestrators_come_with_the_extra_alone(wheel: zipfile.ZipFile) -> None:
    heavy = {"dagster", "dagster-webserver", "dvc", "mlflow", "hydra-core", "omegaconf"}
    heavy |= {"antlr4-python3-runtime"}
    assert not heavy & needed(wheel)
    assert heavy <= needed(wheel, "dagster")


def imported(paths: Iterable[Path]) -> set[str]:
    """Top-level names of what files import, anywhere in them."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"appraise"}


COMES_WITH = {  # import name → the declared dependency that always brings it
    "aiohttp": "datasets",
    "dvc_data": "dvc",
    "huggingface_hub": "transformers",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "tokenizers": "transformers",
}


@pytest.mark.parametrize(
    ("folders", "extra"),
    [(("src/appraise",), ""), (LINKED, "dagster")],
    ids=["the library", "orchestration and assets"],
)
def test_what_is_imported_is_declared(
    wheel: zipfile.ZipFile, folders: tuple[str, ...], extra: str
) -> None:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    distributions = packages_distributions()
    for name in sorted(imported(paths)):
        declared = [COMES_WITH[name]] if name in COMES_WITH else distributions.get(name, [name])
        assert {canonicalize_name(d) for d in declared} & needed(wheel, extra), f"{name} undeclared"


def test_the_registry_of_recorders_and_the_program_are_entry_points(
    wheel: zipfile.ZipFile,
) -> None:
    text = metadata(wheel, "entry_points.txt")
    assert "[appraise.recorders]\nappraise = appraise.orchestration.recorders:RECORDERS" in text
    assert "[console_scripts]\nappraise = appraise.cli:main" in text


def test_the_lock_has_a_version_of_all_that_is_needed() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {
        canonicalize_name(name): Version(version)
        for name, _, version in (line.partition("==") for line in lines if "==" in line)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["dagster"], *extras["dev"]):
        requirement = Requirement(text)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{text}: not in requirements.lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{text}: {version}"
