"""What the base model is known by: everything that decides a gradient."""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from appraise.records.record import JsonRecord


class BaseModelFingerprint(JsonRecord):
    """The content of `fingerprint.json`.

    Attributes:
        fingerprint: SHA-256 of all the rest; sketches are comparable where it is the same.
        weights: file → SHA-256.
        config: SHA-256 of the model's configuration.
        tokenizer: file → SHA-256.
        lora: shape of the adapter, and the seed of A.
        lora_a: SHA-256 of A.
        format: of prompts and completions.
    """

    FILE: ClassVar[str] = "fingerprint.json"
    STEP: ClassVar[str] = "base_model"

    fingerprint: str
    weights: dict[str, str]
    config: str
    tokenizer: dict[str, str]
    lora: dict[str, JsonValue]
    lora_a: str
    format: dict[str, JsonValue]
