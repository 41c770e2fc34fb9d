"""`appraise schema`: the JSON Schema of what others read."""

from __future__ import annotations

import click

from appraise.records.decision import json_schema_text

SCHEMAS = {"decision": json_schema_text}


@click.command()
@click.argument("name", type=click.Choice(sorted(SCHEMAS)))
def schema(name: str) -> None:
    """Print the JSON Schema of a file that other programs read: `decision` for decision.json."""
    click.echo(SCHEMAS[name](), nl=False)
