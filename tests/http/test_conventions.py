"""Conventions of the wire (contract, section 1): the form of every answer."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH

from tests.http.exchanges import ALL, FILES, JUDGED, STRANGERS, SUCCESSES, prepare_emulator
from tests.zof import Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.zof import Answer

REQUEST_ID: Final = re.compile(r"req_[A-Za-z0-9_-]{20}")
TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PREFIXES: Final = {
    "organization_id": "org_",
    "project_id": "proj_",
    "test_case_id": "tc_",
    "test_suite_id": "suite_",
    "run_id": "run_",
    "result_id": "res_",
}
LISTS: Final = {
    "runs": "run_",
    "results": "res_",
    "logs": "log_",
    "run artifacts": "art_",
    "result artifacts": "art_",
    "projects": "proj_",
}
METHODS: Final = {
    "/v1/runs": "GET, HEAD, OPTIONS, POST",
    "/v1/runs/run_sample_failed": "GET, HEAD, OPTIONS",
    "/v1/runs/run_none": "GET, HEAD, OPTIONS",
    "/v1/runs/run_sample_failed/cancel": "OPTIONS, POST",
    "/v1/runs/run_sample_failed/logs": "GET, HEAD, OPTIONS",
    "/v1/runs/run_sample_failed/artifacts": "GET, HEAD, OPTIONS",
    "/v1/results": "GET, HEAD, OPTIONS",
    "/v1/results/res_sample_failed_001": "GET, HEAD, OPTIONS",
    "/v1/results/res_sample_failed_001/artifacts": "GET, HEAD, OPTIONS",
    "/v1/results/export": "OPTIONS, POST",
    "/v1/artifacts/art_sample_failed_0006/content": "GET, HEAD, OPTIONS",
    "/v1/projects": "GET, HEAD, OPTIONS",
}
labels: Final = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
hosts: Final = st.one_of(
    st.builds(".".join, st.lists(labels, min_size=1, max_size=3)),
    st.just("127.0.0.1"),
    st.just("[::1]"),
)
bases: Final = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["http", "https"]),
    hosts,
    st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format)),
)
"""The values of the `Host` header."""


def fields(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  a JSON value
    """Every field in a JSON value, with its value."""
    if isinstance(value, list):
        for one in value:
            yield from fields(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name, one
            yield from fields(one)


def list_values(answer: Answer, name: str) -> list[str]:
    """All values of a header."""
    return [value.decode() for key, value in answer.raw_headers if key.lower() == name.encode()]


JSON_ANSWERS: Final = [*SUCCESSES, *JUDGED, *STRANGERS]


@pytest.mark.parametrize("kind", JSON_ANSWERS)
def test_answers_are_json(kind: str) -> None:
    """Responses of the API, errors included, are JSON with that content type."""
    answer = ALL[kind](prepare_emulator())
    assert list_values(answer, "content-type") == ["application/json"]
    assert isinstance(answer.json, dict)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    list(zip(FILES, ["text/csv", "image/png", "application/zip", "application/xml", "application/json"], strict=True)),
)
def test_files_are_what_they_are(kind: str, media_type: str) -> None:
    """Downloads and the CSV export have their own content types."""
    assert ALL[kind](prepare_emulator()).headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("kind", SUCCESSES)
def test_fields_are_snake_case(kind: str) -> None:
    """Fields are written in snake_case."""
    for name, _ in fields(SUCCESSES[kind](prepare_emulator()).json):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)


@pytest.mark.parametrize("kind", SUCCESSES)
def test_references_carry_their_prefix(kind: str) -> None:
    """An ID is its prefix, then 1 to 64 letters, digits, `_` or `-`."""
    for name, value in fields(SUCCESSES[kind](prepare_emulator()).json):
        if name in PREFIXES and value is not None:
            assert re.fullmatch(PREFIXES[name] + "[A-Za-z0-9_-]{1,64}", value)


@pytest.mark.parametrize(("kind", "prefix"), [*LISTS.items()])
def test_what_is_listed_carries_its_prefix(kind: str, prefix: str) -> None:
    """Each item of a list has a unique ID with the prefix of its kind."""
    ids = [one["id"] for one in SUCCESSES[kind](prepare_emulator()).json["data"]]
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(prefix + "[A-Za-z0-9_-]{1,64}", one) for one in ids)


@pytest.mark.parametrize("kind", SUCCESSES)
def test_timestamps_are_whole_seconds(kind: str) -> None:
    """A timestamp is RFC 3339 UTC in whole seconds with `Z`, or null if the event has not happened."""
    zof = prepare_emulator()
    zof.advance(1_234)  # so that a fraction would show
    for name, value in fields(SUCCESSES[kind](zof).json):
        if name.endswith("_at") and value is not None:
            assert TIMESTAMP.fullmatch(value)


@pytest.mark.parametrize("kind", SUCCESSES)
def test_durations_are_integers(kind: str) -> None:
    """A duration is an integer of milliseconds, or null, in a field that ends in `_ms`."""
    for name, value in fields(SUCCESSES[kind](prepare_emulator()).json):
        if "duration" in name:
            assert name.endswith("_ms")
            assert value is None or (type(value) is int and value >= 0)


@pytest.mark.parametrize("kind", ALL)
def test_every_response_has_a_request_id(kind: str) -> None:
    """`X-Request-Id` is on every response without exception, once: `req_` and 20 characters."""
    found = list_values(ALL[kind](prepare_emulator()), "x-request-id")
    assert len(found) == 1
    assert REQUEST_ID.fullmatch(found[0])


def test_request_ids_are_unique() -> None:
    """No two responses have the same `X-Request-Id`, not even a request and its replay."""
    zof = prepare_emulator()
    found = [one for _ in range(2) for exchange in ALL.values() for one in list_values(exchange(zof), "x-request-id")]
    assert len(set(found)) == len(found) > len(ALL)


@given(st.from_regex(REQUEST_ID, fullmatch=True) | st.text(string.ascii_letters, min_size=24))
def test_a_request_id_is_never_echoed(own: str) -> None:
    """A client's own `X-Request-Id` is never echoed."""
    answer = prepare_emulator().send("GET", "/v1/runs", headers=[("x-request-id", own)])
    assert answer.status == 200
    assert own not in list_values(answer, "x-request-id")
    assert own.encode() not in answer.content


@pytest.mark.parametrize("kind", ALL)
def test_every_response_is_dated(kind: str) -> None:
    """Every response has one `Date`, the instant of its world's clock."""
    zof = prepare_emulator()
    zof.advance(86_400_000)
    answer = ALL[kind](zof)
    now = datetime.fromtimestamp(zof.control("/clock").json["now_ms"] // 1000, UTC)
    assert [parsedate_to_datetime(date) for date in list_values(answer, "date")] == [now]


@given(st.lists(st.integers(0, 40 * 365 * 86_400_000), min_size=1, max_size=4))
def test_the_date_follows_a_manual_clock(moves: list[int]) -> None:
    """`Date` is the manual clock's instant, rounded down to a second, as RFC 9110 writes it."""
    zof = prepare_emulator()
    for by_ms in moves:
        zof.advance(by_ms)
    now = datetime.fromtimestamp(EPOCH // 1000, UTC) + timedelta(milliseconds=sum(moves))
    assert zof.get("/runs").headers["date"] == format_datetime(now.replace(microsecond=0), usegmt=True)


def test_the_date_follows_a_real_clock() -> None:
    """With a real clock `Date` is the system's time plus the moves of the clock."""
    system = [EPOCH]
    zof = Zof(clock="real", system=lambda: system[0])
    zof.advance(1_000)
    system[0] += 60_500
    assert zof.get("/runs").headers["date"] == "Thu, 01 Jan 2026 00:01:01 GMT"


@given(st.sampled_from(sorted(METHODS)), st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
def test_a_method_that_a_path_lacks(path: str, method: str) -> None:
    """An unsupported method of a known path is 405, and `Allow` lists the supported ones, whatever the ID."""
    answer = prepare_emulator().send(method, path)
    if method in METHODS[path].split(", "):
        assert answer.status not in {404, 405} or "run_none" in path
        assert ("allow" in answer.headers) == (method == "OPTIONS")
    else:
        assert answer.status == 405
        assert method == "HEAD" or answer.error == (405, "method_not_allowed", None)
        assert list_values(answer, "allow") == [METHODS[path]]


@given(st.text(string.ascii_letters + "/_.~-", max_size=20))
def test_a_path_that_is_none(tail: str) -> None:
    """An unknown path is 404 under any method, also with an extra slash."""
    zof = prepare_emulator()
    for path in (f"/v1/no{tail}", f"/v2{tail}", "/v1/runs/", "/v1/runs/run_none/cancel/", "/v1//runs"):
        assert zof.send("GET", path).error == (404, "not_found", None)
        assert zof.send("POST", path).error == (404, "not_found", None)


def links(zof: Zof, base: str) -> dict[str, str]:
    """Every link in the answers of a new emulator to a client that uses this address."""
    body = json.dumps({"project_id": "proj_abc", "environment": "staging", "test_case_ids": ["tc_a"]}).encode()
    started = zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=body, base=base)
    about = {
        name: zof.send("GET", f"/v1/{path}", base=base).json
        for name, path in {
            "run": "runs/run_sample_failed",
            "runs": "runs?limit=1&status=failed",
            "result": "results/res_sample_failed_002",
            "artifacts": "runs/run_sample_failed/artifacts?limit=1",
        }.items()
    }
    return {
        "location": started.headers["location"],
        "started": started.json["url"],
        "run": about["run"]["url"],
        "listed": about["runs"]["data"][0]["url"],
        "logs": about["result"]["logs_url"],
        "artifact": about["artifacts"]["data"][0]["url"],
    }


@given(bases)
def test_links_are_under_the_host_used(base: str) -> None:
    """Links are absolute, under the scheme and host that the request used."""
    for link in links(prepare_emulator(), base).values():
        assert link.startswith(f"{base}/")


@given(bases)
def test_links_are_under_the_public_url(base: str) -> None:
    """Links are absolute, under the public URL where one is set, whatever host the request used."""
    for link in links(PUBLIC, base).values():
        assert link.startswith("https://zof.test:8443/")


PUBLIC: Final = Zof(public_url="https://zof.test:8443")


@given(st.from_regex(r"([a-zA-Z0-9._~!$&'()*+,;=-]|%[0-9A-F]{2}){0,9}(:[0-9]{0,9})?", fullmatch=True))
def test_a_host_that_is_none_is_not_repeated(host: str) -> None:
    """A link is a valid URL, whatever `Host` header is accepted."""
    for link in links(prepare_emulator(), f"http://{host}").values():
        parts = urlsplit(link)
        assert re.fullmatch(r"[\w.~-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", parts.netloc, re.ASCII)
        assert parts.scheme == "http"


@pytest.mark.parametrize("place", ["location", "started", "run", "listed", "logs", "artifact"])
def test_links_lead_somewhere(place: str) -> None:
    """Each link can be followed: a run's `url` to a page without a key, every other one to the API."""
    zof = prepare_emulator()
    link = links(zof, "http://127.0.0.1:9630")[place]
    page = place in {"started", "run", "listed"}
    answer = zof.follow(link, key=None if page else zof.key)
    assert answer.status == 200
    assert (answer.headers["content-type"] == "text/html; charset=utf-8") == page
    if page:
        assert urlsplit(link).path.rpartition("/")[2].encode() in answer.content
