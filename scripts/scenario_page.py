#!/usr/bin/env python3
"""Writes the reference in docs/scenarios.md, and the schema file in the package, from the schema of scenarios.

`.venv/bin/python scripts/scenario_page.py` writes both; `--check` says whether they are current (exit code 0 or 1).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.scenarios.load import list_names, read_builtin
from zof_emulator.scenarios.schema import SCHEMA
from zof_emulator.scenarios.tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "scenarios.md"
FILE: Final = ROOT / "emulator" / "zof_emulator" / "scenarios" / "schema.json"
MARK: Final = "## Reference\n"
INTRODUCTION: Final = """
`scripts/scenario_page.py` writes this part from the schema. Every field may be left out unless it is marked
*required*.
"""


def render_page(before: str) -> str:
    """The page; `before` is a page whose part before the reference stays."""
    head = before.partition(MARK)[0]
    return head + MARK + INTRODUCTION + "\n".join(_sections()) + "\n"


def render_schema() -> str:
    """The content of the schema file."""
    return json.dumps(SCHEMA, indent=2) + "\n"


def _sections() -> Iterator[str]:
    yield "\n### The scenario\n"
    yield from _table(SCHEMA)
    for name, schema in SCHEMA["properties"].items():
        yield from _render_nested(name, schema)
    yield "\n### Built-in scenarios\n"
    yield "| name | what it is for |\n| --- | --- |"
    for name in list_names():
        text = read_builtin(name)
        what = read_tree(text.encode()).value["description"] if text else _CORE[name]
        yield f"| `{name}` | {what} |"


_CORE: Final = {
    "default": "The default data with the two ended runs of the contract's examples.",
    "empty": "The default data without runs.",
}


def _render_nested(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """The tables of the objects in a part, except those of fault rules, which docs/faults.md describes."""
    if name == "faults":
        return
    for one in _objects(schema):
        yield f"\n### `{name}`\n"
        yield f"{one.get('description') or schema['description']}\n"
        yield from _table(one)
        for inner_name, inner in one["properties"].items():
            yield from _render_nested(f"{name}.{inner_name}", inner)


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for one in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from _objects(one)


def _table(schema: dict[str, Any]) -> Iterator[str]:
    yield "| field | value | meaning |\n| --- | --- | --- |"
    for name, one in schema["properties"].items():
        required = "*required*; " if name in schema.get("required", ()) else ""
        yield f"| `{name}` | {required}{_value(one)} | {one['description']} |"


def _value(schema: dict[str, Any]) -> str:
    """The allowed values, in words."""
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    return str(schema["x-expected"]).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write both files, or with `--check` compare them."""
    expected = {PAGE: render_page(PAGE.read_text(encoding="utf-8")), FILE: render_schema()}
    if "--check" in arguments:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in expected.items()))
    for path, text in expected.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
