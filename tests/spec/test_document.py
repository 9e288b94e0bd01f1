"""The document: a keyword that the loader does not support stops the boot, and the message names its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.spec.document import SpecError, check_document, encode_json, find_document, load_document

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT: Final = load_document(find_document("openapi.yaml"))
ROOT: Final = CONTRACT.root
MAPS: Final = {
    "paths", "responses", "headers", "content", "examples", "links", "properties", "schemas", "securitySchemes",
    "x-elsewhere", "webhooks",
}  # fmt: skip
"""The objects whose keys are names, not keywords."""
OPAQUE: Final = {"info", "xml", "servers", "security", "tags", "value", "default", "required", "enum", "x-transitions"}
"""The keywords whose values the loader does not inspect."""
UNKNOWN: Final = st.sampled_from(
    [
        "nullable",
        "deprecated",
        "contains",
        "$defs",
        "dependentRequired",
        "patternProperties",
        "x-secret",
        "style",
        "a/b",
        "a~b",
        "",
        "Type",
    ]
)


def objects(node: Any, pointer: str, *, named: bool) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401  JSON
    """Every object of the document whose keys are keywords; in `named` objects the keys are names."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    elif isinstance(node, dict) and not named:
        yield pointer, node
    for key, child in node.items() if isinstance(node, dict) else ():
        inside = pointer.split("/")[1:2] == ["components"] and pointer.count("/") == 1
        if named or key not in OPAQUE:
            maps = not named and (key in MAPS or (key == "parameters" and (inside or isinstance(child, list))))
            below = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if not (key == "parameters" and "/links/" in pointer):
                yield from objects(child, below, named=maps and isinstance(child, dict))


PLACES: Final = list(objects(ROOT, "#", named=False))


def level(pointer: str) -> str:
    """The kind of object at a pointer: the last part that is a keyword."""
    words = {
        *MAPS,
        "parameters",
        "get",
        "post",
        "requestBody",
        "schema",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "components",
    }
    return next((word for word in reversed(pointer.split("/")) if word in words), "#")


def test_every_level_of_the_document_is_met() -> None:
    """The places in which a keyword is planted are on all levels, from the root down to a property of a property."""
    found = {pointer for pointer, _ in PLACES}
    assert len(found) > 500
    assert found >= {
        "#",
        "#/paths/~1runs",
        "#/paths/~1runs/get",
        "#/paths/~1runs/get/parameters/0",
        "#/paths/~1runs/get/responses/200/links/GetRun",
        "#/paths/~1runs/post/requestBody/content/application~1json",
        "#/components",
        "#/components/parameters/Limit/schema",
        "#/components/schemas/ErrorDetail/properties/code",
        "#/components/schemas/RunDetail/allOf/1/properties/case_outcomes/items",
        "#/x-elsewhere/404/content/application~1json/examples/unknown_path",
    }


LEVELS: Final = sorted({level(pointer) for pointer, _ in PLACES})
anywhere = st.sampled_from(LEVELS).flatmap(
    lambda chosen: st.sampled_from([place for place in PLACES if level(place[0]) == chosen])
)
"""Any object of the document; each level as often as the others, since there are far more schemas than all else."""


@given(anywhere, UNKNOWN)
def test_an_unknown_keyword_anywhere_is_named_by_its_pointer(place: tuple[str, dict[str, Any]], keyword: str) -> None:
    """An unsupported keyword anywhere stops the boot, and the message has its JSON pointer."""
    pointer, node = place
    node[keyword] = {}
    try:
        with pytest.raises(SpecError) as stopped:
            check_document(ROOT)
    finally:
        del node[keyword]
    escaped = keyword.replace("~", "~0").replace("/", "~1")
    assert str(stopped.value).partition(": ")[0] == f"{pointer}/{escaped}"


REFERENCES: Final = [(pointer, node) for pointer, node in PLACES if "$ref" in node]


@given(
    st.sampled_from(REFERENCES),
    st.sampled_from(["#/components/schemas/None", "#/a", "#", "", "other.yaml#/Run", "Run"]),
)
def test_a_reference_that_leads_nowhere_is_named(place: tuple[str, dict[str, Any]], ref: str) -> None:
    """Every reference is resolved at the boot, even if no request needs it."""
    _, node = place
    before = node["$ref"]
    node["$ref"] = ref
    try:
        with pytest.raises(SpecError, match="leads nowhere") as stopped:
            check_document(ROOT)
    finally:
        node["$ref"] = before
    assert str(stopped.value).startswith(f"{ref}: ")


BASES: Final = [(pointer, node) for pointer, node in PLACES if "x-basis" in node]


@given(st.sampled_from(BASES), st.sampled_from(["", "D", "I", "X S0", "d S0", "D  S0", "A ", "D S0 ", "DS0", "S0"]))
def test_a_bad_basis_is_named(place: tuple[str, dict[str, Any]], basis: str) -> None:
    """A basis is D or I with its sources, or A; anything else stops the boot with its pointer."""
    pointer, node = place
    before = node["x-basis"]
    node["x-basis"] = basis
    try:
        with pytest.raises(SpecError) as stopped:
            check_document(ROOT)
    finally:
        node["x-basis"] = before
    assert str(stopped.value) == f"{pointer}/x-basis: not a basis; use D or I with its sources, or A"


@pytest.mark.parametrize("basis", ["A", "A S0", "D S0", "I S0 /docs/api/projects", "D /docs/a S1"])
def test_a_basis(basis: str) -> None:
    """A documented or inferred basis names its sources; an assumed one may name some."""
    assert check_document({"components": {"schemas": {"X": {"x-basis": basis}}}}) is not None


def test_what_stands_beside_a_reference_is_laid_over_it() -> None:
    """Keywords beside a schema's reference count, and the referenced schema does not change."""
    schemas = {"X": {"type": "string", "description": "X"}, "Y": {"$ref": "#/components/schemas/X", "description": "Y"}}
    document = check_document({"components": {"schemas": schemas}})
    assert document.follow(schemas["Y"]) == {"type": "string", "description": "Y"}
    assert document.resolve(schemas) == {"X": schemas["X"], "Y": {"type": "string", "description": "Y"}}
    assert schemas["X"] == {"type": "string", "description": "X"}


@pytest.mark.parametrize("beside", ["required", "schema", "name", "in", "examples"])
def test_only_words_stand_beside_the_reference_of_a_parameter(beside: str) -> None:
    """A keyword beside a reference that OpenAPI ignores stops the boot, except description and basis."""
    parameter = {"$ref": "#/components/parameters/Limit", "description": "d", "x-basis": "A"}
    root = {"components": {"parameters": {"Limit": {}, "Other": parameter}}}
    assert check_document(root) is not None
    parameter[beside] = {} if beside in {"schema", "examples"} else "x"  # type: ignore[assignment]
    with pytest.raises(SpecError, match=f"#/components/parameters/Other/{beside}: a .ref allows no other keyword"):
        check_document(root)


@pytest.mark.parametrize("name", ["openapi.yaml", "control.yaml"])
def test_our_documents_are_honoured_whole(name: str) -> None:
    """Both documents load and resolve to values without references."""
    document = load_document(find_document(name))
    assert b'"$ref"' not in encode_json(document.resolve(document.root))
