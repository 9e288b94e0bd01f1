"""Errors (contract, section 2): one shape, a status and a code for each kind, and `param`."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.exchanges import ALL, FILES, JUDGED, START, STRANGERS, SUCCESSES, prepare_emulator, start
from tests.zof import STAGING, Zof

ERRORS: Final = JUDGED | STRANGERS
CODES: Final = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "rate_limit_exceeded",
    500: "internal_server_error",
}
STANDARD: Final = ["staging", "production"]
OWN_LABELS: Final = Zof(environments=("qa", "eu-1"))
CONTROL_ERRORS: Final = ["clock wrong", "no run advanced", "run advanced", "no control", "no such method", "not HTTP"]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_has_its_status_its_code_and_whom_it_blames(kind: str) -> None:
    """Each kind of error has its status and code, and `param` only if one input caused it."""
    status, code, param, exchange = ERRORS[kind]
    assert exchange(prepare_emulator()).error == (status, code, param)


def test_every_status_is_met() -> None:
    """The statuses above are all statuses of the contract, each with one code."""
    assert {(status, code) for status, code, _, _ in ERRORS.values()} == set(CODES.items())


@pytest.mark.parametrize("kind", [*ERRORS, *CONTROL_ERRORS, "control from afar"])
def test_an_error_has_one_shape(kind: str) -> None:
    """An error is exactly `{"error": {code, message, param?}}` with non-empty strings."""
    body = ALL[kind](prepare_emulator()).json
    assert body.keys() == {"error"}
    error = body["error"]
    assert error.keys() in ({"code", "message"}, {"code", "message", "param"})
    assert all(isinstance(word, str) and word for word in error.values())
    assert "{" not in error["message"]


@pytest.mark.parametrize("kind", [*SUCCESSES, *FILES])
def test_a_success_is_no_error(kind: str) -> None:
    """A success is 200, or 201 for a created object, and has no `error`."""
    answer = ALL[kind](prepare_emulator())
    assert answer.status == (201 if kind in {"start", "replay"} else 200)
    assert not answer.content.startswith(b'{"error"')


@pytest.mark.parametrize("kind", ALL)
def test_headers_of_errors_are_theirs_alone(kind: str) -> None:
    """Every 401 has `WWW-Authenticate: Bearer`, every 429 `Retry-After`, every 405 `Allow`, and nothing else does."""
    answer = ALL[kind](prepare_emulator())
    assert answer.headers.get("www-authenticate") == ("Bearer" if answer.status == 401 else None)
    assert ("retry-after" in answer.headers) == (answer.status == 429)
    assert ("allow" in answer.headers) == (answer.status == 405)


@given(
    st.text().filter(lambda label: label not in STANDARD)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.lists(st.text())
    | st.just({})
)
def test_the_message_for_an_environment(label: Any) -> None:  # noqa: ANN401  a JSON value
    """A wrong environment is refused with the documented message, whatever its type."""
    answer = prepare_emulator().post("/runs", {**START, "environment": label})
    assert answer.status == 400
    assert answer.json == {
        "error": {
            "code": "invalid_request",
            "message": "environment must be one of: staging, production",
            "param": "environment",
        }
    }


def test_the_message_for_an_environment_among_own_labels() -> None:
    """The message lists an organization's own labels after the two default ones."""
    answer = OWN_LABELS.post("/runs", {**START, "environment": "moon"})
    assert answer.json["error"]["message"] == "environment must be one of: staging, production, qa, eu-1"
    assert OWN_LABELS.post("/runs", {**START, "environment": "eu-1"}).status == 201


@given(st.integers(0, 49))
def test_a_nested_item_is_blamed_by_its_path(place: int) -> None:
    """`param` of a nested item is a path to it, whether its form is wrong or it does not exist."""
    zof = prepare_emulator()
    for word, status, code in (("Tc_a", 400, "invalid_request"), ("tc_missing", 404, "not_found")):
        cases = [f"tc_{number}" for number in range(50)]
        cases[place] = word
        answer = zof.post("/runs", {**STAGING, "test_case_ids": cases})
        assert answer.error == (status, code, f"test_case_ids[{place}]")


def test_of_several_nested_items_the_first_is_blamed() -> None:
    """Of several wrong items, `param` names the first."""
    zof = prepare_emulator()
    cases = ["tc_a", "x", "tc_b", "y"]
    assert zof.post("/runs", {**STAGING, "test_case_ids": cases}).error[2] == "test_case_ids[1]"
    missing = ["tc_a", "tc_b", "tc_missing_2", "tc_missing_1"]
    assert zof.post("/runs", {**STAGING, "test_case_ids": missing}).error[2] == "test_case_ids[2]"


@given(st.text(st.characters(min_codepoint=128, max_codepoint=255)).filter(bool) | st.just("x" * 256) | st.just("\t"))
def test_a_header_is_blamed_by_its_name(value: str) -> None:
    """`param` of a header is its name, as the contract writes it."""
    assert start(prepare_emulator(), idempotency_key=value).error == (400, "invalid_request", "Idempotency-Key")


@given(st.text("{}!:[]0123abc%", min_size=1))
def test_words_of_a_client_are_repeated_as_they_are(word: str) -> None:
    """A name that looks like a placeholder is repeated unchanged."""
    answer = prepare_emulator().post("/runs", {**START, word: 1})
    assert answer.json["error"]["param"] == word
    assert answer.json["error"]["message"] == f"{word} is not a field of this request"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": ' + b"9" * 5_001 + b"}", "The body holds a number that is too large"),
        (b'{"a": 1e999}', "The body holds a number that is too large"),
        (b'{"a": "\\ud800"}', "The body holds a number that is too large, half of a surrogate pair"),
        (b'{"a": ' + b"[" * 1_100 + b"]" * 1_100 + b"}", "more than 1024 nested levels"),
        (b"[" * 100_000, "more than 1024 nested levels"),
        (b'{"a": NaN}', "The body is not valid JSON"),
        (b'{"a": 1e999', "The body is not valid JSON"),
        (b'{"a": 01}', "The body is not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "The body is not valid JSON"),
        (b'{"a": "\xff"}', "The body is not valid JSON"),
    ],
    ids=range(10),
)
def test_json_that_is_not_read(body: bytes, expected: str) -> None:
    """A body that is JSON beyond a limit is not called malformed; the error names the limits."""
    answer = Zof().send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=body)
    assert answer.error == (400, "invalid_request", None)
    assert expected in answer.json["error"]["message"]


def test_a_fault_of_ours_tells_nothing_of_it() -> None:
    """An internal error has a general message; its cause is only in the log."""
    answer = ALL["our fault"](prepare_emulator())
    assert b"org_nowhere" not in answer.content
    assert b"Error" not in answer.content


@pytest.mark.parametrize("kind", [one for one in ERRORS if one not in {"too often", "our fault", "key reused"}])
def test_an_error_changes_nothing(kind: str) -> None:
    """A refused request creates and changes nothing: no run, no project, no cancel."""
    zof = prepare_emulator()
    before = [zof.walk(path) for path in ("/runs", "/projects", "/results")]
    ERRORS[kind][-1](zof)
    zof.advance(60_000)
    assert [zof.walk(path) for path in ("/runs", "/projects", "/results")] == before
