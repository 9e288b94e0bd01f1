"""Finds the line of a place in `openapi.yaml`, so that a report can link to it."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from zof_contracts.contract.document import find_document


def find_line(pointer: str) -> int:
    """Return the line, from 1, of a JSON pointer such as `#/paths/~1runs/post`, or of the nearest place above it."""
    node, line = _load_nodes(), 1
    for part in pointer.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next(((key, value) for key, value in pairs if key.value == name), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


@cache
def _load_nodes() -> Any:  # noqa: ANN401  a YAML node
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.compose(find_document().read_text(encoding="utf-8"), Loader=loader)
