#!/usr/bin/env python3
"""Writes docs/contract.md from openapi.yaml: every rule of the contract, with its basis and its sources.

`.venv/bin/python scripts/contract_page.py` writes the page; `--check` says whether it is current (exit code 0 or 1).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.spec.document import Document, find_document, load_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "contract.md"
TAGS: Final = {"D": "documented", "I": "inferred", "A": "assumed"}
SOURCES: Final = {"S0": "Runs API", "S1": "Start run", "S2": "Results API", "S3": "Retrieve result", "S4": "Errors"}
CONSTRAINTS: Final = (
    ("const", "always `{}`"),
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("pattern", "pattern `{}`"),
    ("x-pattern", "pattern `{}`"),
    ("default", "default `{}`"),
)
HEAD: Final = """# The contract

Generated from `openapi.yaml` by `scripts/contract_page.py`; change the document, not this page.

Each rule has a basis: **D** documented, **I** inferred or **A** assumed, with the pages that it rests on. A deployment
that differs from a documented or inferred rule violates the published contract; one that differs from an assumed rule
differs from the choice of this project, and nothing more.
"""


def render(document: Document) -> str:
    """The page as Markdown."""
    parts = [HEAD, *_render_conventions(document)]
    for path, method, node in document.operations():
        parts += _render_operation(document, path, method, node)
    for event, item in document.root.get("webhooks", {}).items():
        for method, node in item.items():
            parts += _render_operation(document, f"webhook {event}", method.upper(), node)
    parts += _render_elsewhere(document)
    parts += _render_headers(document)
    parts.append("## Objects\n")
    for name, schema in document.root["components"]["schemas"].items():
        parts += _render_schema(document, name, schema)
    return "\n".join(parts).rstrip() + "\n"


def _render_conventions(document: Document) -> Iterator[str]:
    yield "## Conventions\n"
    yield _table("rule|says|basis", ((one["name"], one["description"], one) for one in document.root["x-conventions"]))


def _render_operation(document: Document, path: str, method: str, node: dict[str, Any]) -> Iterator[str]:
    yield f"## {node['summary']}: `{method} {path}`\n"
    yield f"{_flow(node['description'])} ({_basis(node)}; operation `{node['operationId']}`)\n"
    parameters = [document.follow(one) for one in node.get("parameters", ())]
    if parameters:
        rows = ((f"`{one['name']}` ({one['in']})", _say(one, one["schema"]), one) for one in parameters)
        yield _table("parameter|says|basis", rows)
    if "requestBody" in node:
        body = node["requestBody"]
        name = _name(body["content"]["application/json"]["schema"])
        most = f", at most {body['x-max-bytes']} bytes" if "x-max-bytes" in body else ""
        yield f"Body: {_flow(body['description'])} {name}{most} ({_basis(body)}).\n"
    yield _table("status|says|basis", (_row_of_answer(document, *one) for one in node["responses"].items()))


def _row_of_answer(document: Document, status: str, response: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    found = document.follow(response)
    says = [found["description"]]
    for media, content in found.get("content", {}).items():
        if int(status) < 400:  # noqa: PLR2004  the statuses of errors
            says.append(f"`{media}`: {_name(content['schema'])}.")
        else:
            codes = {document.follow(one)["value"]["error"]["code"] for one in content["examples"].values()}
            reasons = ", ".join(f"`{name}`" for name in content["examples"])
            says.append(f"Code {', '.join(f'`{code}`' for code in sorted(codes))}; reasons: {reasons}.")
    return f"`{status}`", " ".join(says), found


def _render_elsewhere(document: Document) -> Iterator[str]:
    yield "## Answers that belong to no operation\n"
    rows = (_row_of_answer(document, *one) for one in document.root["x-elsewhere"].items())
    yield _table("status|says|basis", rows)


def _render_headers(document: Document) -> Iterator[str]:
    yield "## Headers of answers\n"
    headers = [*document.root["components"]["headers"].items(), *_headers_of_one_answer(document)]
    yield _table("header|says|basis", ((f"`{name}`", _say(one, one["schema"]), one) for name, one in headers))
    yield "## Access\n"
    schemes = document.root["components"]["securitySchemes"].items()
    yield _table("scheme|says|basis", ((f"`{name}`", one["description"], one) for name, one in schemes))


def _headers_of_one_answer(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    """The headers that stand in the answers themselves, each once."""
    answers = [one for _, _, node in document.operations() for one in node["responses"].values()]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for answer in (*answers, *document.root["x-elsewhere"].values()):
        for name, header in answer.get("headers", {}).items():
            if "$ref" not in header:
                found[name, header["description"]] = header
    for (name, _), header in found.items():
        yield name, header


def _render_schema(document: Document, name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    basis = f" ({_basis(schema)})" if "x-basis" in schema else ""
    yield f"{_say(schema, schema)}{basis}\n"
    rows = list(_rows_of_fields(document, schema))
    if rows:
        yield _table("field|says|basis", rows)


def _rows_of_fields(document: Document, schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            yield f"all of {_name(part)}", "The same fields.", {}
        yield from _rows_of_fields(document, part)
    required = schema.get("required", ())
    for field, inner in schema.get("properties", {}).items():
        label = f"`{field}`" if field in required else f"`{field}` (optional)"
        yield label, _say({**document.follow(inner), **inner}, inner), inner


def _say(described: dict[str, Any], schema: dict[str, Any]) -> str:
    """The description in the document, then the name of its schema or its constraints."""
    words = _flow(described["description"])
    if "$ref" in schema:
        return f"{words} {_name(schema)}."
    names = [_name(one) for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if "$ref" in one]
    items = [f"items: {_name(schema['items'])}"] if "$ref" in schema.get("items", {}) else []
    choices = schema.get("enum") or schema.get("x-extensible-enum") or ()
    kind = "may grow" if "x-extensible-enum" in schema else "closed"
    listed = [f"one of {', '.join(f'`{one}`' for one in choices)} ({kind})"] if choices else []
    limits = [text.format(schema[key]) for key, text in CONSTRAINTS if key in schema]
    unique = ["no item twice"] if schema.get("uniqueItems") else []
    closed = ["no other fields"] if schema.get("additionalProperties") is False else []
    says = names + items + listed + limits + unique + closed
    return f"{words} ({'; '.join(says)})" if says else words


def _name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    return _flow(schema["description"]).rstrip(".")


def _basis(node: dict[str, Any]) -> str:
    tag, *sources = node["x-basis"].split()
    named = ", ".join(f"{one} {SOURCES[one]}" if one in SOURCES else one for one in sources)
    return f"**{tag}** {TAGS[tag]}{f': {named}' if named else ''}"


def _table(head: str, rows: Iterable[tuple[str, str, dict[str, Any]]]) -> str:
    titles = head.split("|")
    lines = [f"| {' | '.join(titles)} |", f"| {' | '.join('---' for _ in titles)} |"]
    for name, says, node in rows:
        basis = _basis(node) if "x-basis" in node else ""
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (name, _flow(says), basis)) + " |")
    return "\n".join(lines) + "\n"


def _flow(text: str) -> str:
    return " ".join(text.split())


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is current."""
    page = render(load_document(find_document("openapi.yaml")))
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        sys.stderr.write("docs/contract.md is not current: run .venv/bin/python scripts/contract_page.py\n")
        return 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
