#!/usr/bin/env python3
"""Writes the reference in docs/pytest.md from the docstrings of `zof_emulator.testing` and the schema of worlds.

`.venv/bin/python scripts/pytest_page.py` writes the page; `--check` says whether it is current (exit code 0 or 1).
"""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zof_emulator import testing
from zof_emulator.spec.document import find_document, load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "pytest.md"
MARK: Final = "## Reference\n"
INTRODUCTION: Final = """
`scripts/pytest_page.py` writes this part from the docstrings, which also name the arguments and the errors. Times are
in ms; instants are datetimes in UTC.
"""
PARTS: Final = {
    "World": "zof",
    "Clock": "zof.clock",
    "Journal": "zof.journal",
    "Faults": "zof.faults",
    "Fault": "fault",
    "Webhooks": "zof.webhooks",
    "ClientCheck": "check",
    "Emulator": "emulator",
}
"""The classes of the reference, and the name by which a test knows an object of each."""


def render_page(before: str) -> str:
    """The page; `before` is a page whose part before the reference stays."""
    return before.partition(MARK)[0] + MARK + INTRODUCTION + "\n".join(_sections()) + "\n"


def _sections() -> Iterator[str]:
    yield "\n### `@pytest.mark.zof`\n"
    yield "| field | meaning |\n| --- | --- |"
    for name, schema in _find_fields().items():
        yield f"| `{name}` | {_first_line(schema['description'])} |"
    for kind, name in PARTS.items():
        own = getattr(testing, kind)
        yield f"\n### `{name}`: `{kind}`\n"
        yield f"{_first_line(inspect.getdoc(own) or '')}\n"
        yield "| member | meaning |\n| --- | --- |"
        for member, meaning in _list_members(own):
            yield f"| `{name}.{member}` | {_first_line(meaning)} |"


def _find_fields() -> dict[str, dict[str, str]]:
    """The fields of the marker: those of `POST /_emulator/worlds`."""
    document = load_document(find_document("control.yaml"))
    fields: dict[str, dict[str, str]] = document.resolve({"$ref": "#/components/schemas/CreateWorld"})["properties"]
    return fields


def _list_members(kind: type) -> Iterator[tuple[str, str]]:
    """The public attributes, properties and methods of a class, in its own order, each with its docstring."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101  the source of a class is one
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            if node.name == "__init__":
                yield from _list_attributes(node.body)
            elif not node.name.startswith("_"):
                is_property = any(isinstance(one, ast.Name) and "property" in one.id for one in node.decorator_list)
                arguments = "" if is_property else f"({_render_arguments(node.args)})"
                yield node.name + arguments, ast.get_docstring(node) or ""
    yield from _list_attributes(tree.body)


def _list_attributes(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node, after in pairwise(body):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(after, ast.Expr):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = ast.unparse(target).removeprefix("self.")
        if not name.startswith("_") and isinstance(after.value, ast.Constant):
            yield name, str(after.value.value)


def _render_arguments(arguments: ast.arguments) -> str:
    names = [one.arg for one in arguments.args[1:]]
    names += [f"{one.arg}=" for one in arguments.kwonlyargs]
    return ", ".join([*names, *([f"**{arguments.kwarg.arg}"] if arguments.kwarg else [])])


def _first_line(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it."""
    before = PAGE.read_text(encoding="utf-8")
    expected = render_page(before)
    if "--check" in arguments:
        return int(before != expected)
    PAGE.write_text(expected, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
