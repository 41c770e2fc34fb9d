"""What all tests share: no hub, and a tiny model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_model import tiny_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")
