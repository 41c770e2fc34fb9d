"""Tasks of lm-eval on a tiny model: their numbers, their errors, and what of them is hashed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rooms import Room, room  # type: ignore[import-not-found]

from appraise.errors import ModelError, ParamsError
from appraise.language_model.harness import Tasks
from appraise.language_model.scores import TaskScore, as_metrics
from appraise.language_model.tasks import contents

CHOICES = ["yes", "no", "maybe"]
GENERATED = 4  # tokens


@pytest.fixture(scope="module")
def here(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return room(tiny, tmp_path_factory.mktemp("harness") / "base")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def rows(here: Room) -> list[dict[str, Any]]:
    """Questions; the answer is what the model writes to the first two, and something else."""
    made = []
    for number in range(5):
        asked = f"Is {number} {number}?"
        answer = written(here, asked) if number < 2 else "never written"
        made.append({"q": asked, "choices": CHOICES, "gold": number % 3, "answer": answer})
    return made


def written(here: Room, asked: str) -> str:
    """Greedily, without a cache, one token after the other."""
    ids = here.tokenizer(asked)["input_ids"]
    whole = list(ids)
    with torch.no_grad():
        for _ in range(GENERATED):
            whole.append(int(here.model(input_ids=torch.tensor([whole])).logits[0, -1].argmax()))
    return str(here.tokenizer.decode(whole[len(ids) :], skip_special_tokens=True))


def chosen(here: Room, asked: str) -> int:
    """The likeliest choice, after a space, as lm-eval puts it."""
    left = here.tokenizer(asked)["input_ids"]
    nats = []
    for choice in CHOICES:
        whole = here.tokenizer(f"{asked} {choice}")["input_ids"]
        with torch.no_grad():
            logits = here.model(input_ids=torch.tensor([whole])).logits[0, len(left) - 1 : -1]
        wanted = torch.tensor(whole[len(left) :])
        nats.append(float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")))
    return nats.index(min(nats))


def write_tasks(root: Path, here: Room) -> Path:
    """A folder of two tasks over one file, whose place is relative to the project."""
    folder = root / "own"
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(row) + "\n" for row in rows(here)]
    (folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "own/data.jsonl"}},
        "test_split": "test",
        "doc_to_text": "{{q}}",
    }
    mean = {"aggregation": "mean", "higher_is_better": True}
    pick = {
        "task": "pick",
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", **mean}],
    }
    write = {
        "task": "write",
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": {"max_gen_toks": GENERATED, "until": ["\n\n"], "do_sample": False},
        "metric_list": [{"metric": "exact_match", **mean}],
    }
    for task in (pick, write):
        (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump(common | task))
    return folder


def test_tasks_of_ones_own_are_scored_as_lm_eval_scores_them(here: Room, tmp_path: Path) -> None:
    write_tasks(tmp_path, here)
    tasks = Tasks(["own"], tmp_path)
    scores = tasks.scores(here.model, here.tokenizer, chat=False)
    right = [chosen(here, row["q"]) == row["gold"] for row in rows(here)]
    share = sum(right) / 5
    pick, write = scores
    assert (pick.task, pick.metric) == ("pick", "acc")
    assert pick.value == pytest.approx(share)
    assert pick.stderr == pytest.approx((share * (1 - share) / 4) ** 0.5)
    assert (write.task, write.metric, write.value) == ("write", "exact_match", 0.4)
    assert tasks.scores(here.model, here.tokenizer, chat=False) == scores, "the same again"
    assert here.tokenizer.pad_token is None, "the tokenizer is left as it was"


def test_a_limit_is_of_each_task(here: Room, tmp_path: Path) -> None:
    write_tasks(tmp_path, here)
    _, write = Tasks(["own"], tmp_path, limit=2).scores(here.model, here.tokenizer, chat=False)
    assert write.value == 1.0


def test_scores_as_metrics_have_them() -> None:
    scores = (
        TaskScore("gsm", "exact_match/strict-match", 0.5, 0.1),
        TaskScore("gsm", "exact_match/flexible-extract", 0.6, None),
        TaskScore("arc", "acc", 0.25, 0.05),
    )
    assert as_metrics(scores) == {
        "gsm": {
            "exact_match/strict-match": 0.5,
            "exact_match_stderr/strict-match": 0.1,
            "exact_match/flexible-extract": 0.6,
        },
        "arc": {"acc": 0.25, "acc_stderr": 0.05},
    }


def test_what_is_no_task_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for asked, message in (
        (["nothing_of_this_name"], "expected tasks of lm-eval or folders with some, found nothing"),
        (["./nowhere"], r"expected a folder with tasks of lm-eval, found none at \./nowhere"),
        (["empty"], r"expected tasks of lm-eval in the folder empty \(YAML files"),
    ):
        with pytest.raises(ParamsError, match=message) as raised:
            Tasks(asked, tmp_path)
        assert "\n" not in str(raised.value)


def test_data_that_cannot_be_had_is_one_line(here: Room, tmp_path: Path) -> None:
    folder = write_tasks(tmp_path, here)
    (folder / "data.jsonl").unlink()
    with pytest.raises(ModelError, match="expected the data of pick, write, found") as raised:
        Tasks(["own"], tmp_path)
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match=r"data of arc_easy, .*set HF_DATASETS_OFFLINE=0"):
        Tasks(["arc_easy"], tmp_path)


def test_what_decides_a_folders_tasks_is_hashed(here: Room, tmp_path: Path) -> None:
    folder = write_tasks(tmp_path, here)
    before = contents(["own", "arc_easy"], tmp_path)
    assert set(before) == {"own"}, "what comes with lm-eval has its version"
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "utils.pyc").write_bytes(b"made by running it")
    assert contents(["own"], tmp_path) == before
    with (folder / "data.jsonl").open("a") as file:
        file.write("{}\n")
    assert contents(["own"], tmp_path) != before
