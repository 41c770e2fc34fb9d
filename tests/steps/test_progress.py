"""Progress: a bar in a terminal, a line a minute in a log."""

from __future__ import annotations

import io
import sys

import pytest

from appraise.steps.progress import SECONDS, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_in_a_log_it_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress("gradient_sketches", 3, clock)
    progress.count(6000, "example")
    for _ in range(3000):
        clock.now += 0.25
        progress.step(1, "12 tokens/s")
    progress.close()
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 3000 * 0.25 // SECONDS
    assert lines[0] == "gradient_sketches: 240 of 6,000 examples (12 tokens/s), 24 min left"
    assert lines[-1].startswith("gradient_sketches: 2,880 of 6,000 examples (12 tokens/s), 13 min")


def test_what_an_earlier_run_did_is_no_measure_of_this_ones_speed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress("gradient_sketches", 1, clock)
    progress.count(1000, "example")
    progress.skip(900)
    clock.now += SECONDS
    progress.step(10)
    line = "gradient_sketches: 910 of 1,000 examples, 9 min left\n"
    assert capsys.readouterr().err == line


def test_many_short_partitions_are_a_line_a_minute_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = Progress("evaluation", 10, clock)
    for number in range(10):
        progress.count(2, "item", f"desk/{number}")
        for _ in range(2):
            clock.now += SECONDS / 4
            progress.step()
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_in_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("lora_adapter", 2)
    progress.count(4, "step", "desk/kmm")
    progress.skip(1)
    progress.step(3, "loss 1.2")
    progress.say("2 rows too long")
    progress.close()
    shown = terminal.getvalue()
    assert "lora_adapter desk/kmm: 100%" in shown
    assert "4/4" in shown
    assert "lora_adapter: 2 rows too long" in shown
