"""What each dataset is worth to a target: one module for each method of valuation."""

from __future__ import annotations

from appraise.methods.alignment import Alignment
from appraise.methods.kmm import Kmm
from appraise.methods.method import Method
from appraise.methods.task_vectors import TaskVectors

METHODS: dict[str, Method] = {method.name: method for method in (Kmm(), Alignment(), TaskVectors())}
