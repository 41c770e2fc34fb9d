"""The graph of steps as `dvc.yaml` has it: one node for each stage, in the file's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from appraise.errors import ParamsError

DATA = "data/"


@dataclass(frozen=True)
class Stage:
    """One stage of `dvc.yaml`.

    Attributes:
        noun: its name.
        description: its `desc`.
        needs: the stages whose output folder is a dependency, in the file's order.
        sections: the sections of `params.yaml` that it reads.
    """

    noun: str
    description: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]


def read_graph(root: Path) -> dict[str, Stage]:
    """The stages of a project, by noun.

    Raises:
        ParamsError: `dvc.yaml` is missing or is not what DVC calls a pipeline.
    """
    path = root / "dvc.yaml"
    try:
        stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
        graph = {noun: _stage(noun, content) for noun, content in stages.items()}
    except FileNotFoundError:
        raise ParamsError(
            f"{path}: expected the project's stages, found no file; run inside a project folder"
        ) from None
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise ParamsError(
            f"{path}: expected `stages`, each with `cmd`, `desc` and `outs`, found "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from None
    for stage in graph.values():
        unknown = sorted(set(stage.needs) - set(graph))
        if unknown:
            raise ParamsError(
                f"{path}: {stage.noun}: expected dependencies in {DATA} to be outputs of stages, "
                f"found {', '.join(unknown)}"
            )
    return graph


def _stage(noun: str, content: Mapping[str, Any]) -> Stage:
    deps = [str(dep) for dep in content.get("deps", ())]
    needs = tuple(dep.removeprefix(DATA).split("/")[0] for dep in deps if dep.startswith(DATA))
    sections = dict.fromkeys(str(name).split(".")[0] for name in content.get("params", ()))
    return Stage(noun, str(content["desc"]), needs, tuple(sections))
