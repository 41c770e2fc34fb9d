"""The language model: encoding, gradients, training and evaluation. No paths of a project."""

from __future__ import annotations

import logging


def _matters(record: logging.LogRecord) -> bool:
    """Not that bitsandbytes, which PEFT imports at every start, finds no kernel for packed 4-bit
    weights on CPUs: none are packed here (`base.keep_unpacked`)."""
    return not record.getMessage().startswith("Failed to load CPU gemm_4bit_forward")


logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(_matters)
