"""A project of one's own: settings, steps and an empty pool in a folder, under git and DVC.

The steps and settings are this package's own `dvc.yaml` and `params.yaml`, to which `template/` has
links, so that each is written once. Only what belongs to the demo is replaced: its model, its pool
and its target.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from appraise.authoring.yaml_text import Place, replaced
from appraise.errors import ParamsError
from appraise.storage.files import sha256_file, write_bytes

TEMPLATE = Path(__file__).parent / "template"
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the demo's, as the hub has it
POOL = "pool.yaml"
DEMO = "clinic_desk"  # its target, which no other project has
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def write_project(folder: Path, model: str = MODEL) -> list[str]:
    """Write the files of a new project; gives their names.

    Args:
        folder: where; it may exist, but none of the files may.
        model: a folder with a model, a GGUF file, or a hub id.

    Raises:
        ParamsError: a file is there already, or there is no such model.
    """
    files = _files(folder, model)
    there = [name for name in files if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        there = [folder.name]
    if there:
        raise ParamsError(
            f"{folder}: expected a folder without a project, found {', '.join(there)}; nothing was "
            "changed: name another folder"
        )
    for name, text in files.items():
        write_bytes(folder / name, text.encode())
    return list(files)


def _files(folder: Path, model: str) -> dict[str, str]:
    """Name → text."""
    return {
        "params.yaml": _settings(folder, model),
        POOL: _template("pool.yaml"),
        "dvc.yaml": _stages(),
        "README.md": _template("readme.md").replace("{name}", folder.resolve().name),
        ".gitignore": _template("gitignore"),
        ".dvcignore": _template("dvcignore"),
    }


def _template(name: str) -> str:
    return (TEMPLATE / name).read_text(encoding="utf-8")


def _stages() -> str:
    """All steps; `metrics` and `plots` name a target's files, and there is no target yet."""
    text = _template("stages.yaml")
    for name in ("metrics", "plots"):
        text = replaced(text, [name], [], "dvc.yaml")
    return text


def _settings(folder: Path, model: str) -> str:
    """The demo's settings with another model, an empty pool and no target yet."""
    source, sha256 = model_source(folder, model)
    text = _template("settings.yaml")
    values: dict[Place, Any] = {
        ("base_model", "source"): source,
        ("base_model", "sha256"): sha256,
        ("offers", "pool"): POOL,
        ("target_sets",): {},
    }
    for place, value in values.items():
        text = replaced(text, place, value, "params.yaml")
    return text


def model_source(folder: Path, model: str) -> tuple[str, str | None]:
    """How a project names a model, and what pins it; ParamsError where there is none."""
    path = Path(model)
    if path.is_dir() and (path / "config.json").is_file():
        return named_from(folder, path), None
    if path.is_file() and path.suffix == ".gguf":
        return named_from(folder, path), sha256_file(path)
    if "://" in model or (not path.exists() and _HUB_ID.fullmatch(model)):
        return model, None
    found = (
        "nothing" if not path.exists() else "a file" if path.is_file() else "a folder without it"
    )
    raise ParamsError(
        f"{model}: expected a folder with a model's config.json, a GGUF file or a hub id "
        f"owner/name, found {found}; name another"
    )


def named_from(root: Path, path: Path) -> str:
    """A file as a project names it: from its own folder where it lies in that, else in full."""
    whole, top = path.resolve(), root.resolve()
    return whole.relative_to(top).as_posix() if whole.is_relative_to(top) else str(whole)
