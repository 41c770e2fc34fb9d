"""Progress in a terminal: what the steps say, without Dagster's own events."""

from __future__ import annotations

import logging
import sys

from dagster import InitLoggerContext, logger

_ENGINE = "Dependencies for step "  # … failed: a line for each step that comes after; said once


class _Spoken(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", {})
        spoken = record.spoken = str(meta.get("orig_message", record.getMessage()))
        return meta.get("dagster_event") is None and not spoken.startswith(_ENGINE)


@logger
def progress_logger(init_context: InitLoggerContext) -> logging.Logger:  # noqa: ARG001
    """A logger of its own, so that Dagster's default one can stay silent."""
    spoken = logging.Logger("appraise", level=logging.INFO)  # not shared: handlers add up otherwise
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(spoken)s"))
    handler.addFilter(_Spoken())
    spoken.addHandler(handler)
    return spoken
