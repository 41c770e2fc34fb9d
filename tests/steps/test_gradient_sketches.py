"""What is known of sketches before they are made."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from appraise.errors import ArtifactError
from appraise.steps.gradient_sketches import check_room
from appraise.steps.progress import Progress


def test_no_room_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    progress = Progress("gradient_sketches", 2)
    check_room(tmp_path, [1_000_000, 2_000_000], progress)
    assert "gradient_sketches: 2 to make, 3.0 MB\n" in capsys.readouterr().err
    with pytest.raises(ArtifactError, match=r"expected room for 5.2 MB .* found 5.0 MB free"):
        check_room(tmp_path, [1_000_000, 2_100_000], progress)
