"""What an installed package says of itself, in a folder for `sys.path`: its entry points alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
GROUP = "appraise.recorders"


def installed(site: Path, distribution: str, entry_points: dict[str, str]) -> Path:
    """Write the metadata of a distribution with these recorders."""
    folder = site / f"{distribution}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.3\nName: {distribution}\nVersion: 0.1.0")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (folder / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    return site


def ours(site: Path) -> Path:
    """This project, installed as its `pyproject.toml` says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return installed(site, "appraise", project["entry-points"][GROUP])
