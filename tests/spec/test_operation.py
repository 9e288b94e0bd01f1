"""Operations: their compiled form, and the decoding or refusal of any query string."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers import table, views
from zof_emulator.http.api import OpenApiApp
from zof_emulator.http.policy import ApiPolicy
from zof_emulator.spec.document import SpecError, check_document, find_document, load_document
from zof_emulator.spec.operation import Refusal, compile_elsewhere, compile_operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.spec.operation import Operation

CONTRACT: Final = load_document(find_document("openapi.yaml"))
CONTROL: Final = load_document(find_document("control.yaml"))
OPERATIONS: Final = {one.id: one for one in compile_operations(CONTRACT)}
RUNS: Final = OPERATIONS["listRuns"].query

names = st.sampled_from(["limit", "status", "project_id", "created_after", "created_before", "starting_after", "x", ""])
texts = st.sampled_from(["5", "0", "101", "queued", "proj_a", "2026-01-01T00:00:00Z", "%zz", "", "-", "٣", "1.0", "+1"])
pieces = st.tuples(names, texts | st.text(max_size=5)).map(lambda pair: f"{pair[0]}={pair[1]}".encode())
queries = st.binary(max_size=40) | st.lists(pieces | st.binary(max_size=6), max_size=6).map(b"&".join)


def find_refusal(operation: Operation, raw: bytes) -> Refused | None:
    """The reason for which an operation refuses a query string, or None."""
    try:
        operation.query.decode(raw)
    except Refused as found:
        return found
    return None


@given(st.sampled_from(list(OPERATIONS.values())), queries)
@example(OPERATIONS["listRuns"], b"limit=" + b"9" * 5_000)
@example(OPERATIONS["listRuns"], b"=")
def test_any_query_is_decoded_or_refused_in_words(operation: Operation, raw: bytes) -> None:
    """Any query string is decoded or refused for a reason that the operation documents."""
    found = find_refusal(operation, raw)
    if found is not None:
        error = operation.reasons[found.reason].build_error(found)["error"]
        assert error["param"] == found.param
        assert not error["message"].startswith("The body")


@given(
    st.integers(1, 100),
    st.sampled_from(["queued", "error"]),
    st.from_regex(r"\Aproj_[A-Za-z0-9_-]{1,64}\Z"),
    st.sampled_from([quote, quote_plus, lambda text: "".join(f"%{ord(one):02x}" for one in text)]),
    st.data(),
)
def test_values_are_decoded(limit: int, status: str, project: str, escape: Any, data: st.DataObject) -> None:  # noqa: ANN401
    """Integers, timestamps in ms and texts are decoded, whatever their escaping and order."""
    at = "2026-01-01T00:00:00.5+01:00"
    given_values = {"limit": str(limit), "status": status, "project_id": project, "created_after": at}
    pairs = data.draw(st.permutations([f"{name}={escape(value)}" for name, value in given_values.items()]))
    found = RUNS.decode("&".join(pairs).encode())
    expected = {"limit": limit, "status": status, "project_id": project, "created_after": parse_rfc3339(at)}
    assert dict(found) == expected
    assert isinstance(found["limit"], int)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_defaults_are_filled_in(operation: Operation) -> None:
    """A missing parameter has the default of the document."""
    default = {"limit": 20} if operation.id.startswith("list") or operation.id == "getRunLogs" else {}
    assert dict(operation.query.decode(b"")) == dict(operation.query.decode(b"&&")) == default
    assert dict(operation.query.defaults) == default


@pytest.mark.parametrize(
    ("raw", "reason", "param"),
    [
        (b"limit=0", "invalid_value", "limit"),
        (b"limit=101", "invalid_value", "limit"),
        (b"limit=", "invalid_value", "limit"),
        (b"limit=1.0", "invalid_value", "limit"),
        (b"limit=1e1", "invalid_value", "limit"),
        (b"limit=%2B5", "invalid_value", "limit"),
        (b"limit=5+", "invalid_value", "limit"),
        (b"limit=--5", "invalid_value", "limit"),
        ("limit=\u0665".encode(), "invalid_value", "limit"),
        (b"limit=%D9%A5", "invalid_value", "limit"),
        (b"limit=5&limit=5", "repeated_parameter", "limit"),
        (b"limit=5&limi%74=5", "repeated_parameter", "limit"),
        (b"limit=0&limit=0", "repeated_parameter", "limit"),
        (b"x=1&x=1&limit=0", "invalid_value", "limit"),
        (b"x=1&x=1", "unknown_parameter", "x"),
        (b"Limit=5", "unknown_parameter", "Limit"),
        (b"limit[]=5", "unknown_parameter", "limit[]"),
        (b"status=done", "unknown_choice", "status"),
        (b"status=", "unknown_choice", "status"),
        (b"limit=0&status=done&project_id=x", "invalid_value", "project_id"),
        (b"created_after=2026-01-01T00:00:00+00:00", "invalid_value", "created_after"),
        (b"created_before=&created_after=x", "invalid_value", "created_after"),
        (b"starting_after=", "invalid_value", "starting_after"),
        (b"\xff=1", "unknown_parameter", "\xff"),
        (b"&" * 90 + b"x=1", "unknown_parameter", "x"),
    ],
)
def test_what_is_wrong_with_a_query(raw: bytes, reason: str, param: str) -> None:
    """The first fault in the order of the document is reported, unknown parameters last."""
    found = find_refusal(OPERATIONS["listRuns"], raw)
    assert found is not None
    assert (found.reason, found.param) == (reason, param)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"limit=0&starting_after=x", "limit"),
        (b"starting_after=x&starting_after=x", "starting_after"),
        (b"x=1&starting_after=x", "looked at"),
        (b"starting_after=x", "looked at"),
        (b"status=queued", "looked at"),
    ],
)
def test_a_look_comes_after_what_is_known_and_before_what_is_not(raw: bytes, param: str) -> None:
    """Schema faults are reported before faults of other checks, and these before unknown parameters."""

    def bad(known: object) -> None:
        raise Refused("invalid_cursor", "looked at", known=known)

    with pytest.raises(Refused) as found:
        RUNS.decode(raw, bad)
    assert found.value.param == param


@pytest.mark.parametrize("count", [99, 100, 101, 10_000])
def test_a_parameter_behind_many_empty_ones_is_not_lost(count: int) -> None:
    """An unknown parameter is refused and a known one counts after any number of ampersands."""
    assert find_refusal(OPERATIONS["listRuns"], b"&" * count + b"verbose=1") is not None
    assert RUNS.decode(b"&" * count + b"limit=5")["limit"] == 5


def test_a_million_parameters_are_refused() -> None:
    """A fault at the beginning of a query of any length is refused."""
    found = find_refusal(OPERATIONS["listRuns"], b"&".join(b"x%d=1" % number for number in range(100_000)))
    assert found is not None
    assert (found.reason, found.param) == ("unknown_parameter", "x0")


def test_reasons_are_those_of_the_examples() -> None:
    """A reason has the status, the code and the message template of its example."""
    start = OPERATIONS["startRun"].reasons
    text = "Project {id} does not exist in your organization."
    assert start["project_not_found"] == Refusal(404, "not_found", text, is_template=True)
    assert start["rate_limited"].status == 429
    assert start["missing_field"].message == "{param} is required"
    assert not start["body_missing"].is_template
    assert compile_elsewhere(CONTRACT)["unknown_path"].status == 404
    for document in (CONTRACT, CONTROL):
        for operation in compile_operations(document):
            assert all(400 <= one.status < 600 for one in operation.reasons.values())


def test_what_is_compiled_of_an_operation() -> None:
    """Path, method, permissions, idempotency, body and answers are those of the document."""
    start, cancel, projects = (OPERATIONS[one] for one in ("startRun", "cancelRun", "listProjects"))
    assert (start.method, start.path, start.permissions, start.idempotent) == ("POST", "/runs", ("runs:create",), True)
    assert (cancel.body, cancel.idempotent, cancel.permissions) == (None, True, ("runs:create",))
    assert (projects.permissions, projects.idempotent, projects.secured) == (("projects:read",), False, True)
    assert start.body is not None
    assert (start.body.most_bytes, start.body.required) == (1 << 20, True)
    assert set(start.answers) == {201, 400, 401, 403, 404, 409, 413, 415, 429, 500}
    assert {"x-request-id", "location"} <= start.answers[201].required
    assert not any(one.secured for one in compile_operations(CONTROL))


UNHONOURED: Final[Mapping[str, dict[str, Any]]] = {
    "a cookie": {"name": "session", "in": "cookie", "schema": {"type": "string"}},
    "a header that is required": {"name": "X-Team", "in": "header", "required": True, "schema": {"type": "string"}},
}


@pytest.mark.parametrize("parameter", UNHONOURED.values(), ids=UNHONOURED.keys())
def test_a_parameter_that_would_be_ignored_stops_the_boot(parameter: dict[str, Any]) -> None:
    """A constraint that would not be enforced stops the boot."""
    root = copy.deepcopy(CONTRACT.root)
    root["paths"]["/runs"]["get"]["parameters"].append(parameter)
    with pytest.raises(SpecError):
        compile_operations(check_document(root))


@pytest.mark.parametrize("lacking", ["operationId", "responses"])
def test_an_operation_that_lacks_something_is_named(lacking: str) -> None:
    """An incomplete operation raises a `SpecError` with its JSON pointer."""
    root = copy.deepcopy(CONTRACT.root)
    del root["paths"]["/runs/{id}"]["get"][lacking]
    with pytest.raises(SpecError, match=rf"^#/paths/~1runs~1\{{id\}}/get: lacks '{lacking}'$"):
        compile_operations(check_document(root))


@pytest.mark.parametrize(
    ("without", "more", "amiss"),
    [(["listRuns"], [], "listRuns"), ([], ["made up"], "made up"), (["getRun"], ["made up"], "getRun, made up")],
)
def test_a_table_that_differs_from_the_document_stops_the_boot(without: list[str], more: list[str], amiss: str) -> None:
    """Each operation has a handler and each handler an operation; the error names the missing one."""
    changed = {name: handler for name, handler in table.TABLE.items() if name not in without}
    changed |= dict.fromkeys(more, table.TABLE["listRuns"])
    deliveries = RecordedDeliveries(())
    assert OpenApiApp(CONTRACT, table.TABLE, views.PREFIX, policy=ApiPolicy(), deliveries=deliveries) is not None
    with pytest.raises(SpecError, match=f"^#/paths: operations and handlers differ in {amiss}$"):
        OpenApiApp(CONTRACT, changed, views.PREFIX, policy=ApiPolicy(), deliveries=deliveries)


def test_a_cursor_is_looked_at_each_time() -> None:
    """A query with a cursor is judged each time it comes, because a cursor is valid in its own world only."""
    seen: list[Mapping[str, Any]] = []
    for _ in range(3):
        RUNS.decode(b"limit=3&starting_after=cur_1", seen.append)
    assert len(seen) == 3


def test_a_query_is_decoded_to_equal_values_whenever_it_comes() -> None:
    """Kept values cannot be changed, and 1,000 other queries in between change nothing."""
    first = RUNS.decode(b"limit=7&status=queued")
    assert not hasattr(first, "pop")
    for limit in range(1_000):
        RUNS.decode(f"limit=7&project_id=proj_{limit}".encode())
    assert RUNS.decode(b"limit=7&status=queued") == first == {"limit": 7, "status": "queued"}


def test_a_schema_of_many_answers_is_compiled_once() -> None:
    """Answers that refer to the same schema share one validator, because each takes time when the emulator starts."""
    validators = {one.answers[status].holds["application/json"] for one in OPERATIONS.values() for status in (401, 500)}
    assert len(validators) == 1
