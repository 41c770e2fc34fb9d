"""A project: its settings, where its artifacts lie, and what each step may read of them."""

from __future__ import annotations

from appraise.project.layout import Project as Project
from appraise.project.manifest import MANIFEST as MANIFEST
from appraise.project.manifest import Input as Input
from appraise.project.manifest import Recipe as Recipe
