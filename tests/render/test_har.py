"""The HTTP archive satisfies a schema written from the HAR 1.2 specification."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.results import Failure, Result
from zof_emulator.render.har import render_log

from tests.render.strategies import BEGAN, SAMPLE, from_statuses

TEXT = {"type": "string"}
SIZE = {"type": "integer", "minimum": -1}
SPAN = {"type": "number", "minimum": 0}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def close_object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:  # noqa: ANN401  schemas
    """An object that has the required members, may have the optional ones, and has no other."""
    members = required | {"comment": TEXT} | optional
    return {"type": "object", "required": list(required), "properties": members, "additionalProperties": False}


def make_array(item: dict[str, Any]) -> dict[str, Any]:
    """An array of such items."""
    return {"type": "array", "items": item}


PAIR = close_object({"name": TEXT, "value": TEXT})
MESSAGE = {
    "httpVersion": TEXT,
    "cookies": make_array(PAIR),
    "headers": make_array(PAIR),
    "headersSize": SIZE,
    "bodySize": SIZE,
}
POSTED = close_object({"mimeType": TEXT, "params": make_array(PAIR), "text": TEXT})
REQUEST = close_object(MESSAGE | {"method": TEXT, "url": TEXT, "queryString": make_array(PAIR)}, postData=POSTED)
CONTENT = close_object({"size": {"type": "integer", "minimum": 0}, "mimeType": TEXT}, text=TEXT)
RESPONSE = close_object(
    MESSAGE | {"status": {"type": "integer"}, "statusText": TEXT, "content": CONTENT, "redirectURL": TEXT}
)
ENTRY = close_object(
    {
        "startedDateTime": MOMENT,
        "time": SPAN,
        "request": REQUEST,
        "response": RESPONSE,
        "cache": close_object({}),
        "timings": close_object({"send": SPAN, "wait": SPAN, "receive": SPAN}),
    },
    pageref=TEXT,
    serverIPAddress=TEXT,
)
PAGE = close_object(
    {
        "startedDateTime": MOMENT,
        "id": TEXT,
        "title": TEXT,
        "pageTimings": close_object({}, onContentLoad=SIZE, onLoad=SIZE),
    }
)
LOG = close_object(
    {
        "version": {"const": "1.2"},
        "creator": close_object({"name": TEXT, "version": TEXT}),
        "entries": make_array(ENTRY),
    },
    pages=make_array(PAGE),
)
HAR = jsonschema_rs.Draft202012Validator(
    {"type": "object", "required": ["log"], "properties": {"log": LOG}, "additionalProperties": False}
)


def read(*results: Result) -> Any:  # noqa: ANN401  a JSON value
    """The log of a run of these results."""
    return json.loads(render_log("run_1", results, BEGAN + 5_000))["log"]


@given(st.lists(from_statuses(), max_size=4))
def test_is_har(results: list[Result]) -> None:
    """The document is HAR 1.2 with every required member, for any results."""
    HAR.validate(json.loads(render_log("run_1", results, BEGAN)))


@given(st.lists(from_statuses(), max_size=4))
def test_page_per_case(results: list[Result]) -> None:
    """Each case that started is one page, and each page has entries; a case that never started has neither."""
    document = read(*results)
    titles = [page["title"] for page in document["pages"]]
    assert sorted(titles) == sorted(result.test_case_id for result in results if result.started_at is not None)
    names = [page["id"] for page in document["pages"]]
    assert len(set(names)) == len(names)
    assert {entry["pageref"] for entry in document["entries"]} == set(names)


def test_nothing_started() -> None:
    """A run canceled in the queue has a valid archive without pages and entries."""
    document = read(replace(SAMPLE, status="canceled", started_at=None, failure=None))
    assert (document["pages"], document["entries"]) == ([], [])


@given(from_statuses("passed", "failed", "error"))
def test_entries_fill_the_case(result: Result) -> None:
    """A page begins with its case, its entries follow one another without a gap, and the last ends with the case."""
    document = read(result)
    clock = result.started_at or 0
    assert parse_rfc3339(document["pages"][0]["startedDateTime"]) == clock
    for entry in document["entries"]:
        assert parse_rfc3339(entry["startedDateTime"]) == clock
        clock += entry["time"]
    assert clock == result.completed_at


@given(from_statuses())
def test_timings_add_up(result: Result) -> None:
    """An entry's time is the sum of its timings."""
    for entry in read(result)["entries"]:
        assert entry["time"] == sum(entry["timings"].values())


def test_order() -> None:
    """Pages and entries are ordered by the time at which they began, in whatever order the results come."""
    later = replace(SAMPLE, test_case_id="tc_later", started_at=BEGAN + 900, completed_at=BEGAN + 2_000)
    document = read(later, SAMPLE)
    assert [page["title"] for page in document["pages"]] == ["tc_checkout_fail", "tc_later"]
    begun = [entry["startedDateTime"] for entry in document["entries"]]
    assert begun == sorted(begun)


@given(from_statuses())
def test_bodies_agree(result: Result) -> None:
    """The sizes are those of the bodies, and the query is that of the URL."""
    for entry in read(result)["entries"]:
        request, response = entry["request"], entry["response"]
        assert request["bodySize"] == len(request.get("postData", {"text": ""})["text"].encode())
        assert response["bodySize"] == response["content"]["size"] == len(response["content"]["text"].encode())
        query = [(pair["name"], pair["value"]) for pair in request["queryString"]]
        assert query == parse_qsl(urlsplit(request["url"]).query)


@given(from_statuses())
def test_host_is_fictional(result: Result) -> None:
    """No request names a host that can exist, whatever the environment's label."""
    for entry in read(result)["entries"]:
        parts = urlsplit(entry["request"]["url"])
        assert parts.scheme == "https"
        assert parts.netloc.endswith(".app.example")
        assert {"name": "Host", "value": parts.netloc} in entry["request"]["headers"]


@pytest.mark.parametrize(
    ("status", "failure", "answered"),
    [
        ("passed", None, 200),
        ("failed", Failure("no", "assertion"), 200),
        ("failed", Failure("no", "timeout"), 504),
        ("error", Failure("no", "platform"), 503),
        ("canceled", None, 0),
    ],
)
def test_last_answer(status: str, failure: Failure | None, answered: int) -> None:
    """The last request of a case has the case's outcome; all earlier ones succeeded."""
    entries = read(replace(SAMPLE, status=status, failure=failure))["entries"]
    assert [entry["response"]["status"] for entry in entries] == [200, 200, answered]


def test_names_the_run() -> None:
    """The archive names its run and the run's end."""
    assert read()["comment"] == "Run run_1, ended at 2026-01-01T00:00:05Z"
