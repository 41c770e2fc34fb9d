"""What was asked for is checked before anything is computed, and all that is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_project import offer, rows, small_project, write_lines, write_params, write_pool
from tiny_project import appraise, write_project

from appraise.errors import ParamsError
from appraise.project import Project
from appraise.steps import asked, auxiliary_datasets, offers, target_sets
from appraise.steps.runner import run


def said(project: Project) -> list[str]:
    """Everything that is wrong with a project."""
    return [fault.says for fault in asked.faults(Project(project.root))]


def test_a_project_with_which_nothing_is_wrong(tmp_path: Path) -> None:
    assert said(small_project(tmp_path)) == []


def test_settings_pool_and_files_in_one_answer(tmp_path: Path) -> None:
    small_project(tmp_path)
    component = {"name": "desk", "source": "files/target.jsonl", "prompt": "{query}"}
    project = write_params(
        tmp_path,
        offers={"licences": ["MIT", "Mine"]},
        target_sets={"desk": {"title": "A desk", "components": [component]}},
        gradient_sketches={"preview": 1},
        kmm_weights={"caps": {"god": 0.5}, "cap": 0.1, "total": 1},
        evaluation={"tasks": ["our/tasks"]},
    )
    bad = offer(tmp_path, "bad", rows(3)) | {"price": -1, "licence": "X"}
    names = offer(tmp_path, "names", [{"question": "why ?", "answer": "so"}])
    gone = offer(tmp_path, "gone")
    write_pool(tmp_path, [offer(tmp_path, "good"), bad, names, gone])
    found = asked.faults(project)
    assert [fault.says.split(" expected")[0].split(" Input")[0] for fault in found] == [
        "params.yaml: gradient_sketches.preview:",
        "params.yaml: offers.licences: licence:",
        "params.yaml: evaluation.tasks:",
        "params.yaml: target_sets.desk.components.desk: prompt template:",
        "pool.yaml: bad: price:",
        "pool.yaml: gone: files/gone.jsonl:",
        "pool.yaml: names: prompt template:",
        "params.yaml: kmm_weights.caps:",
        "params.yaml: kmm_weights.total:",
    ]
    assert "; licence: expected an SPDX expression" in found[4].says
    assert found[7].says.endswith("found 'god'; did you mean good?")
    assert [fault.offer for fault in found] == ["", "", "", "", "bad", "gone", "names", "", ""]
    with pytest.raises(ParamsError) as raised:
        asked.check(project)
    assert raised.value.faults == tuple(fault.says for fault in found)


def test_what_sets_single_datasets_aside_stops_nothing(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    write_pool(tmp_path, [offer(tmp_path, "good"), offer(tmp_path, "gone")])
    (fault,) = asked.check(project)
    assert fault.offer == "gone"
    write_pool(tmp_path, [offer(tmp_path, "gone")])
    with pytest.raises(ParamsError, match="expected an offer that can be used, found none") as all_:
        asked.check(project)
    assert "gone: files/gone.jsonl: expected a file, found none" in str(all_.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"source": "files/other.jsonl"}, "files/other.jsonl: expected a file, found none"),
        ({"sha256": "1" * 64}, "expected SHA-256 111111111111…, found "),
        ({"prompt": "{question}\n{choice}"}, "expected a column choice, found answer, options, qu"),
        ({"where": {"answer": "("}}, "expected a regular expression"),
    ],
)
def test_sources_of_targets(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    project = small_project(tmp_path)
    section = project.params.target_sets["desk"].model_dump(mode="json", exclude_unset=True)
    section["components"][0] |= change
    write_params(tmp_path, target_sets={"desk": section})
    (line,) = said(project)
    assert line.startswith("params.yaml: target_sets.desk.components.")
    assert expected in line


def test_a_folder_or_something_remote_has_to_be_pinned(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    write_lines(tmp_path / "talk" / "train.jsonl", rows(4))
    sources = ["talk", "https://example.org/a.jsonl", "owner/name", "files/target.jsonl"]
    components = [
        {"name": f"c{place}", "source": source, "split": "train", "prompt": "{question}",
         "completion": "{answer}"}
        for place, source in enumerate(sources)
    ]  # fmt: skip
    write_params(tmp_path, target_sets={"desk": {"title": "T", "components": components}})
    folder, remote, hub = (line.partition("components.")[2] for line in said(project))
    assert folder.startswith("c0: expected the SHA-256 of the source, found none; add `sha256: ")
    assert remote.startswith("c1: expected the SHA-256 of the source")
    assert hub.startswith("c2: expected the revision (a commit) of the hub id owner/name")


def test_pairs_are_asked_for_by_the_objective(tmp_path: Path) -> None:
    small_project(tmp_path)
    project = write_params(tmp_path, gradient_sketches={"objective": {"kind": "dpo"}})
    with_choices = offer(tmp_path, "good", choices="{options}")
    write_pool(tmp_path, [with_choices, offer(tmp_path, "plain", rows(9))])
    (fault,) = asked.check(project)
    assert fault.offer == "plain"
    assert "expected pairs of a better and a worse answer" in fault.says


def test_a_reward_that_does_not_exist(tmp_path: Path) -> None:
    small_project(tmp_path)
    objective = {"kind": "grpo", "reward": "exact_nmber", "max_new_tokens": 8}
    project = write_params(tmp_path, gradient_sketches={"objective": objective})
    (line,) = said(project)
    assert line.startswith("params.yaml: gradient_sketches.objective.reward: expected exact_number")


def test_nothing_is_said_of_columns_that_later_rows_may_have(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    mixed = [{"text": "a"}, {"question": "why ?", "answer": "so", "options": "so"}]
    write_pool(tmp_path, [offer(tmp_path, "good"), offer(tmp_path, "mixed", mixed)])
    assert said(project) == []


def test_what_was_read_is_not_looked_at_again(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    for one in (offers.STEP, target_sets.STEP, auxiliary_datasets.STEP):
        run(one, project)
    for path in (tmp_path / "files").iterdir():
        path.unlink()
    assert said(project) == []
    (tmp_path / "pool.yaml").unlink()
    assert len(said(project)) == 1
    asked.check(project, "report")  # it reads no pool
    write_params(tmp_path, kmm_weights={"caps": {"god": 0.5}})
    with pytest.raises(ParamsError, match="did you mean good"):
        asked.check(Project(tmp_path), "report")


def test_every_command_that_reads_says_all_before_it_computes(tiny: Path, tmp_path: Path) -> None:
    root = write_project(tmp_path / "project", tiny, kmm_weights={"caps": {"colors": 1.0}})
    pool = yaml.safe_load((root / "pool.yaml").read_text())
    pool["offers"][1]["prompt"] = "{promt}"
    (root / "pool.yaml").write_text(yaml.safe_dump(pool))
    for words in (["run"], ["base-model"], ["offers", "--json"]):
        done = appraise(root, *words, "--no-record")
        assert done.exit_code == 2
        assert done.stderr.splitlines() == [
            "appraise: 2 things to put right first:",
            "- pool.yaml: animals: prompt template: expected a column promt, found completion, "
            "options, prompt; name one of these in the template",
            "- params.yaml: kmm_weights.caps: expected one of animals, colours, numbers, found "
            "'colors'; did you mean colours?",
        ]
        assert not (root / "data").exists()


def test_a_run_says_first_what_will_be_set_aside(tiny: Path, tmp_path: Path) -> None:
    root = write_project(tmp_path / "project", tiny)
    pool = yaml.safe_load((root / "pool.yaml").read_text())
    del pool["offers"][0]["sha256"]
    (root / "pool.yaml").write_text(json.dumps(pool))
    done = appraise(root, "run", "--until", "target_sets", "--no-record")
    first = done.stderr.splitlines()[0]
    assert first.startswith("will be set aside: pool.yaml: colours: expected the SHA-256 of the so")
