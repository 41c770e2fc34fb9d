"""The finished project of the tests of orchestration, for tests of what people see of it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "orchestration"))

from finished_project import TARGET, finished  # type: ignore[import-not-found]

__all__ = ["TARGET", "finished"]
