"""How a project's model reads a prompt and a completion, before anything has been made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from appraise.authoring.shown import AsRead
from appraise.errors import ParamsError
from appraise.examples.plain import plain_texts
from appraise.project import Project
from appraise.settings.model import BaseModelParams
from appraise.settings.section import describe


def view(root: Path, settings: Mapping[str, Any]) -> tuple[AsRead, str]:
    """What shows a row as the model reads it, and what cannot be shown; "" if all can.

    Args:
        settings: the content of `params.yaml`, of which only `base_model` has to be complete.

    Raises:
        ParamsError: that section cannot be used.
    """
    try:
        params = BaseModelParams.model_validate(settings.get("base_model"))
    except ValidationError as error:
        raise ParamsError(f"params.yaml: base_model: {describe(error)}") from None
    plain: AsRead = lambda prompt, completion: plain_texts(params, prompt, completion)  # noqa: E731
    if not params.chat:
        return plain, ""
    for folder in (Project(root).folder("base_model"), root / params.source):
        if (folder / "tokenizer_config.json").is_file():
            return _in_chat_format(folder, params), ""
    return plain, (
        "The model's chat format is not shown: its tokenizer is not here yet; `appraise "
        "base-model` fetches it"
    )


def _in_chat_format(folder: Path, params: BaseModelParams) -> AsRead:
    from appraise.language_model.base import load_tokenizer
    from appraise.language_model.prompts import texts

    tokenizer = load_tokenizer(folder)
    return lambda prompt, completion: texts(tokenizer, params, prompt, completion)
