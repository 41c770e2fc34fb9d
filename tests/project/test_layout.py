"""The engine: partitions appear whole or not at all, and only what changed is computed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from appraise.errors import ArtifactError, ParamsError
from appraise.project import Project, Recipe
from appraise.project.params import read_params
from appraise.project.reads import Fact, Given, Reads
from appraise.steps.progress import Progress
from appraise.steps.runner import run
from appraise.steps.step import Keys, Output, Step
from appraise.storage.files import read_arrays, read_json, sha256_file, write_arrays, write_json

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Value:
    """What the letters' partitions hold; `meanwhile` is called once it is written."""

    FILE: ClassVar[str] = "value.json"
    SCHEMA: ClassVar[int] = 1

    value: object
    meanwhile: Callable[[], object] = lambda: None

    def write(self, folder: Path) -> None:
        write_json(folder / self.FILE, self.value)
        self.meanwhile()


class Counting:
    """A step over letters whose result depends on one setting; remembers what it computed."""

    def __init__(self) -> None:
        self.letters = ["a", "b"]
        self.setting = 1
        self.meanwhile: Callable[[], object] = lambda: None
        self.computed: list[str] = []
        fact = Fact("setting", lambda _, key: self.setting if key == "a" else 0)
        keys = Keys(lambda _: self.letters)
        reads = Reads(facts=(fact,))
        self.step = Step("letters", "dataset", keys, reads, (Value,), self.make)

    def make(self, partitions: Sequence[Given], _: Progress) -> Iterator[Output]:
        for given in partitions:
            self.computed.append(given.key)
            value = {"key": given.key, "setting": given.fact("setting")}
            yield Output(given.key, (Value(value, self.meanwhile),))


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_second_run_computes_nothing(tmp_path: Path, counting: Counting) -> None:
    assert run(counting.step, Project(tmp_path)).made == ("a", "b")
    again = run(counting.step, Project(tmp_path))
    assert again.made == ()
    assert again.current == ("a", "b")
    assert counting.computed == ["a", "b"]


def test_only_what_a_setting_touches_is_computed_again(tmp_path: Path, counting: Counting) -> None:
    project = Project(tmp_path)
    run(counting.step, project)
    counting.setting = 2
    assert run(counting.step, project).made == ("a",)


def test_what_json_has_no_word_for_is_compared_as_it_comes_back(
    tmp_path: Path, counting: Counting
) -> None:
    counting.setting = ("a pair", Path("of/two"))  # type: ignore[assignment]
    run(counting.step, Project(tmp_path), ["a"])
    assert counting.step.current(Project(tmp_path), "a")
    value = read_json(tmp_path / "data/letters/a/value.json")
    assert value == {"key": "a", "setting": ["a pair", "of/two"]}


def test_a_new_key_is_added_and_a_gone_one_removed(tmp_path: Path, counting: Counting) -> None:
    project = Project(tmp_path)
    run(counting.step, project)
    counting.letters = ["b", "c"]
    made = run(counting.step, project)
    assert made.made == ("c",)
    assert made.removed == ("a",)
    assert project.partitions("letters") == ["b", "c"]


def test_damage_is_noticed_on_reading_and_repaired_by_the_next_run(
    tmp_path: Path, counting: Counting
) -> None:
    project = Project(tmp_path)
    run(counting.step, project)
    path = project.folder("letters", "b") / "value.json"
    content = path.read_text()
    path.write_text(content.replace("b", "x"))
    with pytest.raises(ArtifactError, match=r"value\.json: expected SHA-256 .* damaged"):
        project.open("letters", "b")
    assert run(counting.step, project).made == ("b",)
    assert path.read_text() == content


def test_unknown_key_names_those_that_exist(tmp_path: Path, counting: Counting) -> None:
    with pytest.raises(ParamsError, match=r"expected one of a, b keys, found '\.\./\.\./x'"):
        run(counting.step, Project(tmp_path), ["../../x"])
    assert not (tmp_path / "data").exists()


def test_a_failure_leaves_the_old_partition_alone(tmp_path: Path, counting: Counting) -> None:
    project = Project(tmp_path)
    run(counting.step, project)
    before = project.content("letters", "a")

    def fail() -> None:
        raise RuntimeError

    counting.meanwhile = fail
    with pytest.raises(RuntimeError):
        run(counting.step, project, ["a"], force=True)
    assert project.content("letters", "a") == before
    assert project.intact("letters", "a")
    assert not list(project.folder("letters").glob(".tmp-*"))


def test_an_input_that_changes_meanwhile_is_refused(tmp_path: Path, counting: Counting) -> None:
    project = Project(tmp_path)

    def change() -> None:
        counting.setting = 7

    counting.meanwhile = change
    with pytest.raises(ArtifactError, match="input changed while this was computed"):
        run(counting.step, project, ["a"])
    assert project.partitions("letters") == []


def test_the_content_does_not_depend_on_the_recipe(tmp_path: Path) -> None:
    project = Project(tmp_path)
    contents = []
    for version in ("1", "2"):
        with project.writing("n", "", Recipe(version, {})) as folder:
            write_json(folder / "x.json", 1)
        contents.append(project.content("n"))
    assert contents[0] == contents[1]


KILLED = """
import os, signal, sys
from appraise.project import Project, Recipe
from appraise.storage.files import write_json
import appraise.project.manifest as p
def kill(path, value):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "before manifest":
    p.write_json = kill
with Project(sys.argv[1]).writing("letters", "a", Recipe("1", {"setting": 1})) as folder:
    write_json(folder / "value.json", "other")
    if sys.argv[2] == "while writing":
        kill(None, None)
"""


@pytest.mark.parametrize("moment", ["while writing", "before manifest"])
def test_a_kill_at_any_moment_is_repaired_by_the_next_run(
    tmp_path: Path, counting: Counting, moment: str
) -> None:
    project = Project(tmp_path)
    run(counting.step, project)
    good = (project.folder("letters", "a") / "value.json").read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    run(counting.step, project)
    assert (project.folder("letters", "a") / "value.json").read_bytes() == good
    assert project.intact("letters", "a")
    assert not list(project.folder("letters").glob(".tmp-*"))


def test_two_runs_of_one_step_follow_each_other(tmp_path: Path) -> None:
    code = (
        "import sys, time; from appraise.project import Project\n"
        "with Project(sys.argv[1]).alone('letters'):\n"
        "    print('in', flush=True); time.sleep(0.5); print('out', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    out = tmp_path / "out"
    with out.open("w") as file:
        runs = [subprocess.Popen(command, stdout=file) for _ in range(2)]
        assert [one.wait() for one in runs] == [0, 0]
    assert out.read_text().split() == ["in", "out", "in", "out"]


def test_arrays_come_back_and_have_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    import numpy as np

    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from appraise.storage.files import write_arrays\n"
        "write_arrays(Path(sys.argv[1]), {'b': np.ones(2), 'a': np.arange(3)}, {'y': 1})\n"
    )
    digests = set()
    for seed in ("1", "2", "3"):
        path = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
        digests.add(sha256_file(path))
    assert len(digests) == 1
    arrays, meta = read_arrays(path)
    np.testing.assert_array_equal(arrays["a"], np.arange(3))
    assert meta == {"y": 1}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for name, read in (("x.json", read_json), ("x.safetensors", read_arrays)):
        path = tmp_path / name
        with pytest.raises(ArtifactError, match="found none"):
            read(path)
        path.write_bytes(b"\x00garbage")
        with pytest.raises(ArtifactError, match="run the step again"):
            read(path)


def test_nan_never_reaches_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_arrays_are_written_beside_and_renamed(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "x.safetensors"
    write_arrays(path, {"x": np.zeros(1)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kmm_weights": {"relative_lambda": 1.5}}, r"kmm_weights\.relative_lambda: .*found 1\.5"),
        ({"kmm_weights": {"lamda": 1}}, r"kmm_weights\.lamda: .* did you mean relative_lambda"),
        ({"selected_subset": {"k": 0}}, r"selected_subset\.k"),
        ({"selected_subset": {"policies": ["best"]}}, r"selected_subset\.policies\.0"),
        ({"selected_subset": {"policies": ["kmm", "best"]}}, r"one of none, kmm, .* found 'best'"),
        ({"selected_subset": {"policies": ["kmm", "kmm"]}}, r"must name each policy once"),
        ({"selected_subset": {"policies": ["none"]}}, r"decide_by: .*there is none.* found 'kmm'"),
        ({"selected_subset": {"decide_by": "kmm_bagged"}}, r"kmm, one_step, random\), found 'kmm_"),
        (
            {"selected_subset": {"policies": ["kmm", "all"], "decide_by": "all"}},
            r"decide_by: expected .* that buys within the limits \(kmm\), found 'all'",
        ),
        ({"selected_subset": {"budget": -1}}, r"selected_subset\.budget: .* equal to 0.*found -1"),
        ({"selected_subset": {"exchange_rate": 0}}, r"selected_subset\.exchange_rate: .*found 0"),
        ({"selected_subset": {"time_limit": 9}}, r"time_limit: no setting any more: .* nodes"),
        ({"kmm_weights": {"absolute_lambda": 0}}, r"kmm_weights\.absolute_lambda: .*found 0"),
        ({"kmm_weights": {"rule": "number"}}, r"rule is number, but number is not given"),
        ({"kmm_weights": {"rule": "budget"}}, r"kmm_weights\.rule: .*'budget'"),
        (
            {"kmm_weights": {"penalty": "price"}},
            r"penalty: no setting any more: prices do not enter the weights; .* leave it out",
        ),
        (
            {"kmm_weights": {"budget": 50}},
            r"budget: no setting any more: money is spent by selected_subset\.budget",
        ),
        ({"target_sets": {}}, "target_sets"),
        ({"lora_adapter": {"target_share": 0.7}}, r"target_sets\.t\.train: .*found 0"),
    ],
)
def test_params_say_what_was_expected(tmp_path: Path, change: dict, message: str) -> None:
    component = {"name": "c", "source": "x.jsonl"}
    params = {
        "base_model": {"source": "m"},
        "offers": {"pool": "pool.yaml"},
        "target_sets": {"t": {"title": "T", "components": [component]}},
    }
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps({**params, **change}))
    with pytest.raises(ParamsError, match=message):
        read_params(path)


def test_params_of_this_repository_can_be_read() -> None:
    assert read_params(ROOT / "params.yaml").policies() == ("none", "kmm", "one_step", "random")


def test_what_was_measured_lies_beside_the_content_and_goes_with_it(tmp_path: Path) -> None:
    project = Project(tmp_path)

    def write(value: int, seconds: float) -> dict[str, bytes]:
        with project.writing("letters", "a", Recipe("1", {}), {"seconds": seconds}) as folder:
            write_json(folder / "value.json", value)
        folder = project.folder("letters", "a")
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = write(1, 3.5)
    assert project.measured("letters", "a") == {"seconds": 3.5}
    assert write(1, 99.0) == first  # another machine's seconds, the same bytes
    with project.writing("letters", "a", Recipe("1", {})) as folder:
        write_json(folder / "value.json", 2)
    assert project.measured("letters", "a") == {}  # they were of another content
    assert project.measured("letters", "never_made") == {}
