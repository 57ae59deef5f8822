"""The schemas of what commands print with --json, as strict as a test needs them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from pktmend.commands.schema import text_of


def strict(schema: Any) -> Any:
    """Return the schema with nothing allowed that it does not name: users may ignore what is new, a test may not."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    if "properties" in out and "oneOf" not in out and isinstance(out.get("type"), str):
        out.setdefault("additionalProperties", False)
    return out


@cache
def judge(name: str) -> Draft202012Validator:
    """Return what judges a line of a command."""
    schema = strict(json.loads(text_of(name)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def valid(name: str, text: str | bytes) -> list[dict[str, Any]]:
    """Return the lines that a command has printed, each of which fits its schema."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        judge(name).validate(line)
    return lines
