"""The published schema of decision.json is the one that the code generates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from click.testing import CliRunner

from appraise.cli import main
from appraise.records.decision import json_schema, json_schema_text

PUBLISHED = Path(__file__).parents[2] / "docs" / "decision.schema.json"


def test_the_published_schema_is_what_the_command_prints() -> None:
    """Changed on purpose? `appraise schema decision > docs/decision.schema.json`."""
    printed = CliRunner().invoke(main, ["schema", "decision"])
    assert printed.exit_code == 0
    assert printed.stdout == json_schema_text() == PUBLISHED.read_text(encoding="utf-8")


def test_it_is_a_json_schema_that_names_its_version() -> None:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == schema["properties"]["schema"]["const"] == "appraise/decision/5"
    assert set(schema["required"]) == set(schema["properties"])


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    yield schema
    yield from (part for part in schema["$defs"].values() if part.get("type") == "object")


def test_nothing_unknown_is_allowed_anywhere_and_all_parts_say_what_they_are() -> None:
    for part in parts(json_schema()):
        assert part["additionalProperties"] is False, part["title"]
        assert part["description"], part["title"]
        assert "None" not in json.dumps(part), "JSON says null"


def test_another_name_is_refused_with_the_names_there_are() -> None:
    refused = CliRunner().invoke(main, ["schema", "purchase"])
    assert refused.exit_code == 2
    assert "decision" in refused.output
