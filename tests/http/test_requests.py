"""Validation of requests (contract, section 1): query, body and IDs."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.http.exchanges import JSON, MIB, START, prepare_emulator, start
from tests.zof import STAGING

if TYPE_CHECKING:
    from tests.zof import Answer, Zof

READS: Final = {
    "/v1/runs": ["project_id", "status", "created_after", "created_before", "limit", "starting_after"],
    "/v1/runs/run_sample_failed": [],
    "/v1/runs/run_sample_failed/logs": ["limit", "starting_after"],
    "/v1/runs/run_sample_failed/artifacts": ["limit", "starting_after"],
    "/v1/results": ["run_id", "status", "created_after", "created_before", "limit", "starting_after"],
    "/v1/results/res_sample_failed_002": [],
    "/v1/results/res_sample_failed_002/artifacts": ["limit", "starting_after"],
    "/v1/artifacts/art_sample_failed_0006/content": [],
    "/v1/projects": ["limit", "starting_after"],
}
"""Every operation that reads, and its query parameters."""
WRITES: Final[dict[str, dict[str, Any]]] = {
    "/v1/runs": START,
    "/v1/runs/run_sample_failed/cancel": {},
    "/v1/results/export": {"format": "json"},
}
GOOD: Final = {
    "project_id": "proj_abc",
    "run_id": "run_sample_failed",
    "status": "failed",
    "created_after": "2025-01-01T00:00:00Z",
    "created_before": "2027-01-01T00:00:00Z",
    "limit": "5",
    "starting_after": "cur_anything",
}
IDS_IN_BODIES: Final[list[tuple[str, str, str, dict[str, Any]]]] = [
    ("/runs", "project_id", "proj_", START),
    ("/runs", "test_suite_id", "suite_", {**STAGING}),
    ("/results/export", "run_id", "run_", {"format": "json"}),
]
WITH_BODY: Final[dict[str, dict[str, Any]]] = {"/v1/runs": START, "/v1/results/export": {"format": "json"}}
names: Final = st.text(string.ascii_letters + string.digits + "_-.[]é", min_size=1, max_size=20)
prefixes: Final = st.sampled_from(["", "run_", "res_", "art_", "proj_", "tc_", "suite_"])
words: Final = st.builds("{}{}".format, prefixes, st.text(max_size=70))


def post(zof: Zof, path: str, content: bytes, *headers: tuple[str, str], query: str = "") -> Answer:
    """POST bytes that are declared to be JSON, unless headers say otherwise."""
    return zof.send("POST", path + query, headers=headers or JSON, body=content)


def draw_malformed(prefix: str) -> st.SearchStrategy[str]:
    """Text that is no ID with this prefix."""
    right = re.compile(prefix + r"[A-Za-z0-9_-]{1,64}")
    near = st.sampled_from([prefix, prefix.upper() + "a", f" {prefix}a", f"{prefix}a\n", prefix + "a" * 65, "é"])
    return st.one_of(near, words).filter(lambda text: not right.fullmatch(text))


@given(st.sampled_from(sorted(READS)), names)
def test_an_unknown_query_parameter(path: str, name: str) -> None:
    """A query parameter that an operation does not know is 400, and `param` names it."""
    assume(name not in READS[path])
    answer = prepare_emulator().send("GET", f"{path}?{urlencode({name: 'x'})}")
    assert answer.error == (400, "invalid_request", name)


@given(st.sampled_from(sorted(WRITES)), names)
def test_an_unknown_query_parameter_of_a_write(path: str, name: str) -> None:
    """A write has no query parameters, so each is 400 and named, and the write is not performed."""
    zof = prepare_emulator()
    answer = post(zof, path, json.dumps(WRITES[path]).encode(), query=f"?{urlencode({name: 'x'})}")
    assert answer.error == (400, "invalid_request", name)
    assert len(zof.walk("/runs")) == 2


@given(st.integers(0, 300))
def test_an_unknown_parameter_after_separators(many: int) -> None:
    """An unknown query parameter is refused also after any number of `&` with nothing between them."""
    assert prepare_emulator().send("GET", f"/v1/runs?{'&' * many}verbose=1").error == (
        400,
        "invalid_request",
        "verbose",
    )


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, known in READS.items() for name in known])
def test_a_repeated_query_parameter(path: str, name: str) -> None:
    """A repeated query parameter is 400, even with equal values, and `param` names it."""
    value = urlencode({name: GOOD[name]})
    assert prepare_emulator().send("GET", f"{path}?{value}&{value}").error == (400, "invalid_request", name)


@given(st.sampled_from(sorted(WITH_BODY)), names, st.sampled_from([None, 1, "x", [], {}]))
def test_an_unknown_body_field(path: str, name: str, value: Any) -> None:  # noqa: ANN401  a JSON value
    """A body field that an operation does not know is 400, and `param` names it."""
    answer = post(prepare_emulator(), path, json.dumps({**WITH_BODY[path], name: value}).encode())
    assert answer.error == (400, "invalid_request", name)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/runs", START, "test_suite_id"),
        ("/v1/runs", {**STAGING, "test_suite_id": "suite_pr_smoke"}, "test_case_ids"),
        *(("/v1/results/export", {"format": "csv"}, one) for one in ("run_id", "status", *list(GOOD)[3:5])),
    ],
)
def test_null_is_no_value(path: str, body: dict[str, Any], name: str) -> None:
    """An optional field that is null in a body is 400, and `param` names it."""
    assert post(prepare_emulator(), path, json.dumps({**body, name: None}).encode()).error == (
        400,
        "invalid_request",
        name,
    )


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, body in WITH_BODY.items() for name in body])
def test_a_missing_field(path: str, name: str) -> None:
    """A required field that is missing is 400, and `param` names it."""
    body = {key: value for key, value in WITH_BODY[path].items() if key != name}
    assert post(prepare_emulator(), path, json.dumps(body).encode()).error == (400, "invalid_request", name)


@given(words, st.sampled_from(["/v1/runs/{}", "/v1/runs/{}/logs", "/v1/runs/{}/artifacts"]))
def test_a_path_id_of_no_run(word: str, path: str) -> None:
    """A path ID that names nothing, whatever its form, is 404."""
    assume(word)
    zof = prepare_emulator()
    assert zof.send("GET", path.format(quote(word, safe=""))).error == (404, "not_found", None)
    assert zof.send("POST", f"/v1/runs/{quote(word, safe='')}/cancel").error == (404, "not_found", None)


@given(words, st.sampled_from(["/v1/results/{}", "/v1/results/{}/artifacts", "/v1/artifacts/{}/content"]))
def test_a_path_id_of_nothing(word: str, path: str) -> None:
    """A path ID that names no result and no artifact, whatever its form, is 404."""
    assume(word)
    assert prepare_emulator().send("GET", path.format(quote(word, safe=""))).error == (404, "not_found", None)


@given(st.data())
def test_a_malformed_id_in_a_query(data: st.DataObject) -> None:
    """A malformed ID in a query is 400, and `param` names the parameter."""
    path, name, prefix = data.draw(st.sampled_from([("/runs", "project_id", "proj_"), ("/results", "run_id", "run_")]))
    answer = prepare_emulator().get(path, **{name: data.draw(draw_malformed(prefix))})
    assert answer.error == (400, "invalid_request", name)


@given(st.data())
def test_a_malformed_id_in_a_body(data: st.DataObject) -> None:
    """A malformed ID in a body is 400, and `param` names the field."""
    path, name, prefix, body = data.draw(st.sampled_from(IDS_IN_BODIES))
    answer = prepare_emulator().post(path, {**body, name: data.draw(draw_malformed(prefix))})
    assert answer.error == (400, "invalid_request", name)


@given(draw_malformed("tc_"), st.integers(0, 499), st.integers(0, 499))
def test_a_malformed_id_in_a_list(word: str, place: int, more: int) -> None:
    """A malformed ID in a list of a body is 400, and `param` is the path to it."""
    cases = [f"tc_{number}" for number in range(max(place, more) + 1)]
    cases[place] = word
    assert prepare_emulator().post("/runs", {**STAGING, "test_case_ids": cases}).error == (
        400,
        "invalid_request",
        f"test_case_ids[{place}]",
    )


def pad_start(size: int) -> bytes:
    """A valid start of this many bytes, padded with JSON white space."""
    return json.dumps(START).encode().ljust(size)


def test_a_body_of_1_mib() -> None:
    """A body of 1 MiB is accepted."""
    assert start(prepare_emulator(), body=pad_start(MIB)).status == 201


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_body_of_more_than_1_mib(path: str) -> None:
    """A body of one byte more than 1 MiB is 413."""
    assert post(prepare_emulator(), path, pad_start(MIB + 1)).error == (413, "payload_too_large", None)


@pytest.mark.parametrize(("size", "status"), [(MIB, 201), (MIB + 1, 413)])
def test_a_body_in_pieces(size: int, status: int) -> None:
    """The limit of 1 MiB also holds for a chunked body."""
    body = pad_start(size)
    pieces = [body[at : at + 65_536] for at in range(0, size, 65_536)]
    assert prepare_emulator().send("POST", "/v1/runs", headers=JSON, pieces=pieces).status == status


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize(
    "declared", ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "multipart/json", "json"]
)
def test_a_body_that_is_not_declared_json(path: str, declared: str) -> None:
    """A body without a JSON content type is 415, even if it is JSON."""
    answer = post(prepare_emulator(), path, json.dumps(WITH_BODY[path]).encode(), ("content-type", declared))
    assert answer.error == (415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity", "x" * 5_000, "\xff"])
def test_a_body_in_a_content_coding(path: str, coding: str) -> None:
    """A body in a content coding is 415, which names the coding where it is one."""
    body = json.dumps(WITH_BODY[path]).encode()
    answer = prepare_emulator().send("POST", path, headers=[*JSON, ("content-encoding", coding)], body=body)
    assert answer.error == (415, "unsupported_media_type", "Content-Encoding")
    assert (coding in answer.json["error"]["message"]) == (coding[0] in "gb")


@pytest.mark.parametrize("coding", ["identity", "IDENTITY"])
def test_a_body_in_no_content_coding(coding: str) -> None:
    """A body in the coding `identity` is in none."""
    answer = prepare_emulator().send(
        "POST", "/v1/runs", headers=[*JSON, ("content-encoding", coding)], body=json.dumps(START).encode()
    )
    assert answer.status == 201


def test_a_body_without_a_declaration() -> None:
    """A body without a `Content-Type` is 415."""
    assert start(prepare_emulator(), content_type="").error == (415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"])
def test_a_body_that_is_declared_json_with_more(declared: str) -> None:
    """A media type is JSON in any case, and with any parameters."""
    assert start(prepare_emulator(), content_type=declared).status == 201


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("declared", ["", "application/json", "text/plain"])
def test_a_missing_body(path: str, declared: str) -> None:
    """A missing body is 400, whatever its content type."""
    assert post(prepare_emulator(), path, b"", ("content-type", declared)).error == (400, "invalid_request", None)


@given(st.sampled_from(sorted(WITH_BODY)), st.binary(min_size=1) | st.text('[]{}:,"0123 \n\\tn', min_size=1))
def test_a_body_that_is_not_json(path: str, content: bytes | str) -> None:
    """Malformed JSON is 400, without `param`."""
    raw = content.encode() if isinstance(content, str) else content
    try:
        json.loads(raw)
    except ValueError:
        assert post(prepare_emulator(), path, raw).error == (400, "invalid_request", None)


@given(st.sampled_from(sorted(WITH_BODY)), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none()))
def test_a_body_that_is_no_object(path: str, value: object) -> None:
    """JSON that is no object is 400, without `param`."""
    assert post(prepare_emulator(), path, json.dumps(value).encode()).error == (400, "invalid_request", None)


@given(st.sampled_from(sorted(READS)), st.binary(max_size=200), st.sampled_from(["application/json", "text/plain"]))
def test_a_body_of_a_read_is_ignored(path: str, content: bytes, declared: str) -> None:
    """A read ignores a body."""
    bare = prepare_emulator().send("GET", path)
    assert prepare_emulator().send("GET", path, body=content, headers=[("content-type", declared)]) == bare


@pytest.mark.parametrize("content", [b"{", b'{"reason": null}', b"\xff", b" " * (MIB + 1)])
def test_a_body_of_a_cancel_is_ignored(content: bytes) -> None:
    """A cancel ignores a body, whatever its content and length."""
    zof = prepare_emulator()
    run = zof.start()
    answer = zof.send("POST", f"/v1/runs/{run['id']}/cancel", headers=[("content-type", "text/plain")], body=content)
    assert (answer.status, answer.json["status"]) == (200, "canceled")
