"""Unknown fields and query parameters of control operations: the error names them and the nearest known name."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from zof_emulator.spec.document import find_document, load_document

from tests.http.histories import reset_emulator

DOCUMENT: Final = load_document(find_document("control.yaml"))
IDS: Final = {"/worlds/{id}": "default", "/worlds/{id}/fork": "default"}


def list_fields() -> list[tuple[str, str, str]]:
    """Method, path and name of each field of a body that has no other fields."""
    found = []
    for path, method, node in DOCUMENT.operations():
        body = DOCUMENT.resolve(node.get("requestBody", {})).get("content", {})
        schema: dict[str, Any] = body.get("application/json", {}).get("schema", {})
        if schema.get("additionalProperties") is False:
            found += [(method, path, name) for name in schema["properties"]]
    return found


def list_parameters() -> list[tuple[str, str]]:
    """Path and name of each query parameter."""
    return [
        (path, one["name"])
        for path, _, node in DOCUMENT.operations()
        for one in map(DOCUMENT.resolve, node.get("parameters", ()))
        if one["in"] == "query"
    ]


@pytest.mark.parametrize(("method", "path", "name"), list_fields())
def test_a_misspelt_field(method: str, path: str, name: str) -> None:
    """A misspelt field is refused before a missing one, with the fields that there are and the nearest of them."""
    wrong = name + "x"
    body = json.dumps({wrong: 1}).encode()
    target = f"/_emulator{path}".replace("{id}", IDS.get(path, "any"))
    answer = reset_emulator().send(method, target, key=None, headers=[("content-type", "application/json")], body=body)
    assert answer.error == (400, "invalid_request", wrong)
    message = answer.json["error"]["message"]
    assert message.startswith(f"{wrong} is not a field of this request; use ")
    assert message.endswith(f"; the nearest is {name}")


@pytest.mark.parametrize(("method", "path", "more"), [("POST", "/worlds", {"name": "x"}), ("PATCH", "/config", {})])
def test_a_misspelt_field_of_an_object(method: str, path: str, more: dict[str, str]) -> None:
    """A misspelt field of an object in a body is named with its place, and with the nearest field of that object."""
    answer = reset_emulator().tell(method, path, {**more, "rate": {"limit": 0, "windowms": 1}})
    assert answer.error == (400, "invalid_request", "rate.windowms")
    message = (
        "rate.windowms is not a field of this request; use limit, window_ms, scope, burst; the nearest is window_ms"
    )
    assert answer.json["error"]["message"] == message


def test_a_request_without_fields() -> None:
    """An operation that takes no fields says so."""
    body, headers = b'{"seed": 1}', [("content-type", "application/json")]
    answer = reset_emulator().send("POST", "/_emulator/reset", key=None, headers=headers, body=body)
    assert answer.json["error"]["message"] == "seed is not a field of this request; it takes none"


@pytest.mark.parametrize(("path", "name"), list_parameters())
def test_a_misspelt_parameter(path: str, name: str) -> None:
    """A misspelt query parameter is refused before a wrong one, with the nearest that there is."""
    answer = reset_emulator().send("GET", f"/_emulator{path}?limit=0&{name}x=1", key=None)
    assert answer.error == (400, "invalid_request", f"{name}x")
    assert answer.json["error"]["message"].endswith(f"; the nearest is {name}")


def test_the_api_itself() -> None:
    """Operations of the API refuse an unknown field after what else is wrong, and name no other field."""
    answer = reset_emulator().post("/runs", {"project_idx": "proj_a"})
    assert answer.error == (400, "invalid_request", "project_id")
    answer = reset_emulator().send("GET", "/v1/runs?limitx=1")
    assert answer.json["error"]["message"] == "limitx is not a query parameter of this operation"
