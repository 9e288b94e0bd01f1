"""The contract and the emulator agree on reasons, statuses, permissions and environments; every part has a basis."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.core.lifecycle import TRANSITIONS, Status
from zof_emulator.core.tenants import DEFAULT, PERMITS, Organization
from zof_emulator.spec.document import Document, find_document, load_document
from zof_emulator.spec.operation import compile_elsewhere, compile_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT: Final = load_document(find_document("openapi.yaml"))
CONTROL: Final = load_document(find_document("control.yaml"))
ROOT: Final = CONTRACT.root


def list_reasons(document: Document) -> set[str]:
    """All reasons for which a document has a message."""
    return {reason for one in compile_operations(document) for reason in one.reasons} | compile_elsewhere(
        document
    ).keys()


DOCUMENTED: Final = list_reasons(CONTRACT) | list_reasons(CONTROL)


def possible_reasons() -> Iterator[str]:
    """Every string in the code that can be a reason; an f-string gives one for a field and one for a parameter."""
    for path in Path("emulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                yield from (f"{node.values[0].value!s}{kind}" for kind in ("field", "parameter"))


def raised_reasons() -> Iterator[str]:
    """Every reason that the code passes to `Refused`."""
    for path in Path("emulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refused":
                choices = node.args[0] if not isinstance(node.args[0], ast.JoinedStr) else ast.Pass()
                yield from (str(one.value) for one in ast.walk(choices) if isinstance(one, ast.Constant))


def test_every_documented_reason_is_raised() -> None:
    """A document has a message for a reason only if the emulator can give that reason."""
    assert set(possible_reasons()) >= DOCUMENTED


def test_every_raised_reason_is_documented() -> None:
    """The emulator gives a reason only if a document has its status, its code and its message."""
    found = set(raised_reasons())
    assert len(found) > 20
    assert found <= DOCUMENTED


def test_the_statuses_of_a_run_stand_in_the_contract() -> None:
    """The core's table of transitions is equal to that of the contract."""
    schema = ROOT["components"]["schemas"]["RunStatus"]
    assert schema["x-extensible-enum"] == list(Status)
    assert ROOT["components"]["schemas"]["RunStatusFilter"]["enum"] == list(Status)
    core = {status.value: {to.value for (since, _), to in TRANSITIONS.items() if since is status} for status in Status}
    assert {status: set(following) for status, following in schema["x-transitions"].items()} == core


def test_a_result_has_the_terminal_statuses() -> None:
    """The statuses of a result are the terminal statuses of a run."""
    transitions = ROOT["components"]["schemas"]["RunStatus"]["x-transitions"]
    terminal = [status for status, following in transitions.items() if not following]
    assert ROOT["components"]["schemas"]["ResultStatus"]["x-extensible-enum"] == terminal
    assert ROOT["components"]["schemas"]["ResultStatusFilter"]["enum"] == terminal


def test_permissions_are_those_that_roles_grant() -> None:
    """Some role grants each permission that the contract requires."""
    asked = {permission for one in compile_operations(CONTRACT) for permission in one.permissions}
    assert asked <= frozenset().union(*PERMITS.values())
    described = ROOT["components"]["securitySchemes"]["bearerAuth"]["description"]
    assert all(f"`{permission}`" in described for granted in PERMITS.values() for permission in granted)


def test_every_organization_has_the_environments_of_the_contract() -> None:
    """The environments that the contract lists are those that every organization has."""
    environment = ROOT["components"]["schemas"]["StartRun"]["properties"]["environment"]
    assert tuple(environment["x-extensible-enum"]) == Organization("org_x").environments
    assert all(one.environments == ("staging", "production") for one in DEFAULT.organizations)


_MAPS: Final = {"parameters": "parameter", "headers": "header", "properties": "property", "responses": "response"}
_OPAQUE: Final = {"value", "example", "examples", "links", "required", "x-transitions"}


def parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation, parameter, header, property and response of the contract, by its pointer."""
    for path, item in ROOT["paths"].items():
        for method, node in item.items():
            yield from _walk(node, f"#/paths/{path}/{method}", "operation")
    yield from _walk(ROOT["components"], "#/components", "")
    yield from _walk(ROOT["x-elsewhere"], "#/x-elsewhere", "responses")


def _walk(node: Any, pointer: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    if kind == "property" or (kind and kind not in _MAPS and "$ref" not in node):
        yield pointer, node
    for key, child in node.items():
        if key not in _OPAQUE or kind == "properties":
            inner = _MAPS.get(kind) or ("body" if key == "requestBody" else key if key in _MAPS else "")
            yield from _walk(child, f"{pointer}/{key}", inner)


@pytest.mark.parametrize(("pointer", "node"), [pytest.param(*part, id=part[0]) for part in parts()])
def test_every_part_has_a_basis(pointer: str, node: dict[str, Any]) -> None:
    """Every operation, parameter, header, property and response has a basis: documented, inferred or assumed."""
    assert "x-basis" in node, pointer


def test_the_parts_are_all_found() -> None:
    """The parts include every kind of part, so that the test before this one can fail."""
    found = [pointer for pointer, _ in parts()]
    assert len(found) > 100
    assert "#/components/schemas/Run/properties/url" in found
    assert "#/components/headers/Retry-After" in found
    assert "#/paths//runs/get/responses/200" in found
    assert "#/paths//runs/{id}/cancel/post/parameters/0" in found
    assert "#/x-elsewhere/405" in found


def test_no_failure_is_documented_by_a_wildcard() -> None:
    """Every failure has its own status, since a wildcard would hide an undocumented one."""
    for _, _, node in CONTRACT.operations():
        assert all(status.isdigit() for status in node["responses"])


def find_undefined(node: Any, defined: frozenset[str], pointer: str) -> Iterator[str]:  # noqa: ANN401  a JSON value
    """Where a schema requires what neither it nor the schema around its condition defines as a property."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    known = defined | frozenset(node.get("properties", ()))
    if isinstance(node.get("required"), list):
        yield from (f"{pointer}/required: {name}" for name in node["required"] if name not in known)
    for key, child in node.items():
        inside = key in {"if", "then", "else", "not", "anyOf", "oneOf", "allOf"} or isinstance(key, int)
        if key not in {"value", "examples", "required"}:
            yield from find_undefined(child, known if inside else frozenset(), f"{pointer}/{key}")


@pytest.mark.parametrize("document", [CONTRACT, CONTROL], ids=["contract", "control"])
def test_every_required_property_is_defined(document: Document) -> None:
    """A schema requires a property only if it defines it, or if the schema around its condition does."""
    assert list(find_undefined(document.root, frozenset(), "#")) == []


def test_a_required_property_that_is_not_defined_is_found() -> None:
    """A misspelt name in `required` is told by its pointer, in a schema and in a condition of one."""
    schema = {"properties": {"a": {}}, "required": ["a", "b"], "if": {"required": ["a"]}, "else": {"required": ["c"]}}
    found = list(find_undefined({"components": {"schemas": {"X": schema}}}, frozenset(), "#"))
    assert found == ["#/components/schemas/X/required: b", "#/components/schemas/X/else/required: c"]


def find_anonymous(node: Any, pointer: str) -> Iterator[str]:  # noqa: ANN401  a JSON value
    """Where an object with properties or an enum stands that is no schema of `components`, and so has no name."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    is_named = re.fullmatch(r"#/components/schemas/\w+(/allOf/\d+)?", pointer) is not None
    is_condition = pointer.rpartition("/")[2] in {"if", "then", "else", "not"} or "/if/" in pointer
    needs_name = "enum" in node or (node.get("type") == "object" and "properties" in node)
    if needs_name and not is_named and not is_condition:
        yield pointer
    for key, child in node.items():
        if key not in {"example", "examples", "value", "default"}:
            yield from find_anonymous(child, f"{pointer}/{key}")


@pytest.mark.parametrize("document", [CONTRACT, CONTROL], ids=["contract", "control"])
def test_every_object_and_enum_has_a_name(document: Document) -> None:
    """Objects and enums are schemas of `components`, since generators make up names such as `Error1` for others."""
    assert list(find_anonymous(document.root, "#")) == []


def test_an_object_without_a_name_is_found() -> None:
    """An object or an enum inside another schema, or in an answer, is told by its pointer."""
    inner = {"type": "object", "properties": {"b": {"enum": ["x"]}}}
    document = {"components": {"schemas": {"A": {"type": "object", "properties": {"a": inner}}}}}
    found = list(find_anonymous(document, "#"))
    assert found == ["#/components/schemas/A/properties/a", "#/components/schemas/A/properties/a/properties/b"]


def find_shared_constants(schemas: dict[str, Any]) -> dict[str, list[str]]:
    """The constants that more than one closed enum of named schemas gives a client, with the schemas."""
    found: dict[str, list[str]] = {}
    for name, schema in schemas.items():
        for constant in schema.get("x-enum-varnames", schema.get("enum", ())):
            found.setdefault(str(constant).upper(), []).append(name)
    return {constant: names for constant, names in found.items() if len(names) > 1}


@pytest.mark.parametrize("document", [CONTRACT, CONTROL], ids=["contract", "control"])
def test_no_two_enums_share_a_constant(document: Document) -> None:
    """Generated Go has one name space for the constants of all enums, so none may occur twice."""
    assert find_shared_constants(document.root["components"]["schemas"]) == {}


def test_a_shared_constant_is_found() -> None:
    """Two enums share a constant by a value or by the name that they give it."""
    schemas = {"A": {"enum": ["late"]}, "B": {"enum": ["x"], "x-enum-varnames": ["LATE"]}, "C": {"enum": ["on"]}}
    assert find_shared_constants(schemas) == {"LATE": ["A", "B"]}


@pytest.mark.parametrize("document", [CONTRACT, CONTROL], ids=["contract", "control"])
def test_no_constant_is_a_keyword_of_ruby(document: Document) -> None:
    """Generated Ruby has a constant for each value of an enum, and `BEGIN` and `END` are keywords of Ruby."""
    schemas = document.root["components"]["schemas"].values()
    names = {str(name).upper() for node in schemas for name in node.get("x-enum-varnames", node.get("enum", ()))}
    assert len(names) > 1
    assert not names & {"BEGIN", "END"}


def test_generated_go_can_check_the_patterns_of_events() -> None:
    """An event's pattern has no comma, and stands on no field that may be null: generated Go cannot check either."""
    schemas = ROOT["components"]["schemas"]
    checked = []
    for name in ("WebhookEvent", "EventData", "EventObject", "LegacyWebhookEvent", "LegacyEventData"):
        nodes = [CONTRACT.resolve(node) for node in schemas[name]["properties"].values()]
        checked += [node for node in nodes if "pattern" in node]
    assert checked
    assert all("," not in node["pattern"] and node["type"] == "string" for node in checked)


def test_generated_clients_have_no_operations_for_events() -> None:
    """The requests that the API sends are internal: openapi-generator makes operations of them that do not compile."""
    sent = [item["post"] for item in ROOT["webhooks"].values()]
    assert len(sent) > 1
    assert all(operation["x-internal"] is True for operation in sent)
