"""The command line on a small fixture: what it prints, and what it exits with."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from appraise.cli import main
from appraise.steps.flow import NOUNS

ROW = json.dumps({"prompt": "What is two and two?", "completion": "four"}) + "\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A pool of two offers, one of which has a price that cannot be."""
    (tmp_path / "rows.jsonl").write_text(ROW)
    digest = hashlib.sha256(ROW.encode()).hexdigest()
    offer = {
        "title": "Sums",
        "provider": "P",
        "version": "1",
        "licence": "CC0-1.0",
        "price": 10.0,
        "source": "rows.jsonl",
        "sha256": digest,
    }
    pool = {
        "title": "T",
        "currency": "EUR",
        "offers": [{"id": "sums", **offer}, {"id": "bad", **offer, "price": -1.0}],
    }
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(pool))
    params = {
        "base_model": {"source": "nowhere"},
        "offers": {"pool": "pool.yaml"},
        "target_sets": {"t": {"title": "T", "components": [{"name": "c", "source": "rows.jsonl"}]}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def appraise(project: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(project), *words])


def test_help_lists_the_steps_in_the_order_of_the_data() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    places = [text.index(f"  {noun.replace('_', '-')} ") for noun in NOUNS]
    assert places == sorted(places)


@pytest.mark.parametrize("noun", NOUNS)
def test_help_of_each_step_says_what_it_does(noun: str) -> None:
    result = CliRunner().invoke(main, [noun.replace("_", "-"), "--help"])
    assert result.exit_code == 0
    assert "Reads:" in result.output
    assert len(result.output) > 500


def test_a_set_aside_offer_is_said_and_exits_with_3(project: Path) -> None:
    result = appraise(project, "offers")
    assert result.exit_code == 3
    assert "set aside bad: price:" in result.stderr
    assert "offers: 1 made" in result.stdout
    assert appraise(project, "offers", "--allow-set-aside").exit_code == 0


def test_json_is_json(project: Path) -> None:
    result = appraise(project, "offers", "--json", "--allow-set-aside")
    answer = json.loads(result.stdout)
    assert answer["made"] == [""]
    assert list(answer["set_aside"]) == ["bad"]
    assert len(answer["sha256"][""]) == 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("candidates",), "see `appraise status`"),
        (("offers", "--key", "../../x"), "expected one of"),
        (("base-model",), "nowhere"),
    ],
)
def test_a_users_error_is_one_line_and_exits_with_2(
    project: Path, words: tuple[str, ...], message: str
) -> None:
    result = appraise(project, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_outside_a_project(tmp_path: Path) -> None:
    result = appraise(tmp_path, "offers")
    assert result.exit_code == 2
    assert "expected the project's settings" in result.stderr


def test_status_before_anything_was_made(project: Path) -> None:
    states = json.loads(appraise(project, "status", "--json").stdout)
    assert list(states) == list(NOUNS)
    assert states["base_model"] == {"": "missing"}


def test_verify_of_nothing_is_not_a_success(project: Path) -> None:
    result = appraise(project, "verify", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["faults"]


STARTED = """
import json, sys
from appraise.cli import main
main(["--help"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "lm_eval", "great_expectations"}
HEAVY |= {"matplotlib", "sklearn", "pyscipopt", "dagster", "dvc", "mlflow", "pandas", "scipy"}


def test_the_program_starts_with_few_modules() -> None:
    words = [sys.executable, "-c", STARTED]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    modules = json.loads(done.stdout.splitlines()[-1])
    assert not HEAVY & set(modules)
    assert len(modules) < 200, "click and our own: about 110"
