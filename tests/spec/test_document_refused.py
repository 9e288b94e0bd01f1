"""Files and parts that are no document raise `SpecError`, and never another exception."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.spec.document import SpecError, check_document, find_document, load_document
from zof_emulator.spec.operation import compile_elsewhere, compile_operations

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = load_document(find_document("openapi.yaml")).root


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: [", "not YAML"),
        (b"a: b: c", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"a: &x 1\nb: *y", "not YAML"),
        (b"!!python/object:os.system x", "not YAML"),
        (b"--- 1\n--- 2", "not YAML"),
        (b"a: 2026-13-45", "not YAML"),
        (b"!!int x", "not YAML"),
        (b"!!bool x", "not YAML"),
        (b"!!map [1]", "not YAML"),
        (b"!!seq {a: 1}", "not YAML"),
        (b"!!set {a, b}", "not YAML"),
        (b"{a: {? [1] : 2}}", "no scalar"),
        (b"[" * 5_000 + b"]" * 5_000, "not YAML"),
        (b"? [a]\n: b", "not YAML"),
        (b"", "must be an object"),
        (b"- 1", "must be an object"),
        (b"just words", "must be an object"),
        (b"null", "must be an object"),
        (b"unheard: of", "#/unheard: the emulator does not honour this keyword"),
    ],
)
def test_a_file_that_is_no_document(tmp_path: Path, content: bytes, why: str) -> None:
    """A file that is not YAML, no object, or has an unknown keyword raises a `SpecError` of one line."""
    path = tmp_path / "openapi.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as stopped:
        load_document(path)
    assert why in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_a_keyword_that_stands_twice_is_not_lost(tmp_path: Path) -> None:
    """A repeated YAML key is refused, because the first value would be ignored silently."""
    path = tmp_path / "openapi.yaml"
    path.write_text("paths: {}\ncomponents:\n  schemas:\n    X: {minLength: 5, minLength: 1}\n")
    with pytest.raises(SpecError, match="minLength"):
        load_document(path)


@pytest.mark.parametrize("name", ["missing.yaml", ".", "x/y"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """The error for a missing or unreadable file has its name and the system's message."""
    with pytest.raises(SpecError) as stopped:
        load_document(tmp_path / name)
    assert str(stopped.value).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("paths",), 5),
        (("paths",), []),
        (("paths",), None),
        (("paths", "/runs", "get", "parameters"), 5),
        (("paths", "/runs", "get", "parameters"), {}),
        (("paths", "/runs", "get", "x-basis"), 5),
        (("paths", "/runs", "get", "responses", "2XX"), {"description": "Any."}),
        (("paths", "/none"), {"$ref": "#/paths/~1runs"}),
        (("components", "schemas", "Run", "$ref"), 5),
        (("components", "schemas", "Loop"), {"$ref": "#/components/schemas/Loop"}),
        (
            ("components", "schemas", "Run", "properties", "parent"),
            {"$ref": "#/components/schemas/Run", "x-basis": "A"},
        ),
        (("components", "schemas", "RunId", "type"), "strng"),
        (("components", "schemas", "RunId", "pattern"), "("),
        (("components", "schemas", "RunId", "properties"), {"x": True}),
        (("x-elsewhere", "404", "content"), {}),
    ],
    ids=lambda one: "/".join(one) if isinstance(one, tuple) else repr(one),
)
def test_a_part_of_the_wrong_shape_stops_the_boot(where: tuple[str, ...], value: object) -> None:
    """A document that cannot be used is a `SpecError`, whatever is wrong with it, and never another exception."""
    root = copy.deepcopy(ROOT)
    node = root
    for step in where[:-1]:
        node = node[step]
    node[where[-1]] = value
    with pytest.raises(SpecError):
        boot(root)


def boot(root: dict[str, Any]) -> object:
    """Compile a document as the emulator does at its boot."""
    document = check_document(root)
    return compile_operations(document), compile_elsewhere(document)


def test_a_document_without_paths_stops_the_boot() -> None:
    """A document without paths is refused."""
    with pytest.raises(SpecError):
        boot({key: value for key, value in ROOT.items() if key != "paths"})
