"""A model as people have it: its name, its folder, or the object that they have loaded."""

from __future__ import annotations

import shutil
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

from appraise.authoring.new_project import model_source
from appraise.errors import ParamsError
from appraise.storage.files import sha256_file, sha256_json

FOLDER = "models"


def source_of(model: Any, tokenizer: Any, root: Path) -> tuple[str, str | None]:
    """What names a model in a project, and the SHA-256 that pins it.

    Args:
        model: a folder, a GGUF file, a hub id, or whatever has `save_pretrained`.
        tokenizer: of a model that is given as an object.
        root: the project's folder; a model that is an object is kept there, named by its content.

    Raises:
        ParamsError: it is none of these, or an object without its tokenizer.
    """
    if isinstance(model, str | PathLike):
        return model_source(root, str(model))
    if not hasattr(model, "save_pretrained"):
        raise ParamsError(
            "model: expected a model of transformers, its folder, a GGUF file or a hub id, found "
            f"{type(model).__name__}"
        )
    if not hasattr(tokenizer, "save_pretrained"):
        raise ParamsError(
            "tokenizer: expected the tokenizer of the model, found "
            f"{'none' if tokenizer is None else type(tokenizer).__name__}; give tokenizer=…"
        )
    models = root / FOLDER
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models) as temporary:
        saved = Path(temporary) / "model"
        model.save_pretrained(str(saved))
        tokenizer.save_pretrained(str(saved))
        hashes = {path.name: sha256_file(path) for path in sorted(saved.iterdir())}
        name = sha256_json(hashes)[:12]
        if not (models / name).exists():
            shutil.move(saved, models / name)
    return f"{FOLDER}/{name}", None
