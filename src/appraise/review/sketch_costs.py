"""What looking at the datasets cost, with the seconds that this machine needed."""

from __future__ import annotations

from appraise.presentation.costs import Cost
from appraise.project import Project
from appraise.records.sketch import SKETCH, Sketch


def cost(project: Project, noun: str, key: str) -> Cost | None:
    """What a sketch cost, or None for a dataset that was set aside."""
    if project.set_aside(noun, key) is not None:
        return None
    folder = project.open(noun, key)
    stored = (folder / SKETCH).stat().st_size
    return Cost.of(key, Sketch.read(folder), stored, project.measured(noun, key).get("seconds"))


def costs(project: Project, target: str) -> list[Cost]:
    """Of the target's sketch, then of each dataset's."""
    names = [("target_sketches", target)]
    names += [("gradient_sketches", key) for key in project.partitions("gradient_sketches")]
    return [one for name in names if (one := cost(project, *name)) is not None]
