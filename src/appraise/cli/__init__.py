"""The command line."""

from __future__ import annotations

from appraise.cli.main import main as main
