"""What people see of each asset, and the graph that they see it in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import MarkdownMetadataValue, TableMetadataValue
from dagster._core.definitions.metadata import normalize_metadata
from made_up import TARGET, finished  # type: ignore[import-not-found]

from appraise.assets.shown import SHOWN
from appraise.project import Project
from appraise.steps.flow import NOUNS

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).parent / "asset_graph.json"
HEAVY = ("torch", "mlflow", "great_expectations", "peft", "transformers", "matplotlib", "dvc",
         "datasets", "lm_eval", "trl", "sklearn")  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found: Project = finished(tmp_path_factory.mktemp("shown") / "project")
    return found


def test_every_step_is_shown() -> None:
    assert set(SHOWN) == set(NOUNS)


PICTURES = {
    "kernel_matrix": ("", ["kernel"]),
    "transfer_matrix": ("", ["transfer"]),
    "dataset_values": (f"{TARGET}/kmm", ["weights", "path"]),
    "selected_subset": (f"{TARGET}/kmm", ["frontier"]),
    "lora_adapter": (f"{TARGET}/kmm", ["training"]),
    "decision_outcome": (TARGET, ["outcome"]),
}


@pytest.mark.parametrize("noun", PICTURES)
def test_pictures_are_inline(project: Project, noun: str) -> None:
    key, names = PICTURES[noun]
    found = SHOWN[noun].describe(project, key)
    for name in names:
        assert isinstance(found[name], MarkdownMetadataValue)
        assert "](data:image/png;base64,iVBOR" in found[name].md_str


TABLES = {
    "offers": ("", "offers", 17),
    "near_copies": ("", "copies", 1),
    "dataset_values": (f"{TARGET}/kmm", "table", 16),
    "selected_subset": (f"{TARGET}/kmm", "ranking", 16),
    "valuation_decision": (TARGET, "bought", 3),
    "decision_outcome": (TARGET, "policies", 4),
}


@pytest.mark.parametrize("noun", TABLES)
def test_tables_have_a_row_for_each(project: Project, noun: str) -> None:
    key, name, rows = TABLES[noun]
    found = SHOWN[noun].describe(project, key)[name]
    assert isinstance(found, TableMetadataValue)
    assert len(found.records) == rows


@pytest.mark.parametrize(
    "noun", [noun for noun in NOUNS if noun not in ("base_model", "target_sketches")]
)
def test_all_metadata_is_of_types_that_dagster_takes(project: Project, noun: str) -> None:
    for key in project.partitions(noun):
        assert normalize_metadata(SHOWN[noun].describe(project, key))


def test_a_dataset_that_was_set_aside_says_why(project: Project) -> None:
    found = SHOWN["auxiliary_datasets"].describe(project, "boolq")
    assert found["set_aside"] == "boolq: expected at least 24 examples, found 3"


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Decided by alignment, a method that has values and no program."""
    root = tmp_path_factory.mktemp("by_rank") / "project"
    made: Project = finished(root, selected_subset={"decide_by": "one_step"})
    return made


@pytest.mark.parametrize("noun", ["valuation_decision", "decision_outcome", "report"])
def test_a_decision_by_alignment_is_shown_too(by_rank: Project, noun: str) -> None:
    assert normalize_metadata(SHOWN[noun].describe(by_rank, TARGET))


def test_values_without_a_program_show_no_proof(by_rank: Project) -> None:
    found = SHOWN["dataset_values"].describe(by_rank, f"{TARGET}/alignment")
    assert set(found) == {"weights", "table", "positive"}
    assert found["weights"].md_str.startswith("![Alignment of each dataset")
    assert normalize_metadata(found)


def test_a_decision_by_alignment_says_its_policy_and_ranks(by_rank: Project) -> None:
    found = SHOWN["valuation_decision"].describe(by_rank, TARGET)
    assert found["policy"] == "one_step"
    columns = set(found["refused"].records[0].data)
    assert columns == {"id", "price", "alignment", "reason"}
    reasons = {record.data["reason"] for record in found["refused"].records}
    assert "It comes 4th of 16 by alignment; three were bought." in reasons


LOAD = """
import json, sys
import dagster
before = len(sys.modules)
from appraise.orchestration.definitions import defs
definitions = defs()
graph = definitions.resolve_asset_graph()
added = len(sys.modules) - before
assets = {}
for key in graph.get_all_asset_keys():
    node = graph.get(key)
    assets[key.to_user_string()] = {
        "needs": sorted(one.to_user_string() for one in node.parent_keys),
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "owners": sorted(node.owners),
        "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
        "checks": sorted(check.name for check in node.check_keys),
    }
names = [job.name for job in definitions.resolve_all_job_defs()]
jobs = sorted(name for name in names if not name.startswith("__"))
loaded = sorted(m for m in %r if m in sys.modules)
print(json.dumps({"assets": assets, "jobs": jobs, "loaded": loaded, "added": added}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, object]:
    words = [sys.executable, "-W", "ignore", "-c", LOAD % (HEAVY,)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_loading_the_definitions_imports_nothing_heavy(loaded: dict[str, object]) -> None:
    assert loaded["loaded"] == []


def test_loading_the_definitions_adds_few_modules_to_dagster(loaded: dict[str, object]) -> None:
    assert int(str(loaded["added"])) < 1600, "scipy, pandas and our own"


def test_the_asset_graph_is_as_it_was(loaded: dict[str, object]) -> None:
    """Changed on purpose? Write `asset_graph.json` anew from what this test found."""
    assert loaded["assets"] == json.loads(SNAPSHOT.read_text())
    assert loaded["jobs"] == ["everything"]
