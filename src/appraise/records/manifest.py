"""What made a partition, and what is in it: written last, so that without it nothing is there."""

from __future__ import annotations

from typing import ClassVar

from pydantic import JsonValue

from appraise.records.record import JsonRecord


class Manifest(JsonRecord):
    """The content of `manifest.json`.

    Attributes:
        noun: the step.
        key: of the partition; "" for the only one.
        version: of the step's code.
        settings: that decide the content.
        inputs: what was read → SHA-256.
        files: name → SHA-256.
        content: SHA-256 of `files`: the partition's identity.
    """

    FILE: ClassVar[str] = "manifest.json"
    STEP: ClassVar[str] = "verify"

    noun: str
    key: str
    version: str
    settings: dict[str, JsonValue]
    inputs: dict[str, str]
    files: dict[str, str]
    content: str
