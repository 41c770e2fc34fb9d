"""What is printed that nobody needs: nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tiny_project import write_project

START = """
import sys
from appraise.cli import main
sys.argv = ["appraise", "--project", sys.argv[1], "base-model", "--no-record"]
main()
"""


def test_the_step_that_loads_everything_says_what_it_made_and_no_more(
    tiny: Path, tmp_path: Path
) -> None:
    root = write_project(tmp_path / "project", tiny)
    words = [sys.executable, "-c", START, str(root)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "base_model: 1 made, 0 already up to date\n"
    assert done.stderr == ""
