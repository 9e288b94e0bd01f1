"""HEAD is GET without a body, and OPTIONS lists the methods of a path."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate
from zof_emulator.spec.document import find_document, load_document

from tests.zof import ADMIN, EXPIRED, OTHER, Zof

PATHS: Final = [
    ("/v1" if name == "openapi.yaml" else "/_emulator") + path
    for name in ("openapi.yaml", "control.yaml")
    for path, item in load_document(find_document(name)).root["paths"].items()
    if "get" in item
]
IDS: Final = {"runs": "run_sample_failed", "results": "res_sample_failed_002", "artifacts": "art_sample_failed_0004"}


def fill(path: str, name: str) -> str:
    """The path with an ID in it."""
    return path.replace("{id}", name)


@given(
    st.sampled_from(PATHS),
    st.sampled_from([ADMIN, OTHER, EXPIRED, None]),
    st.sampled_from(["", "?limit=1", "?limit=0", "?verbose=1", "?starting_after=made-up"]),
    st.booleans(),
)
def test_head_is_get_without_a_body(path: str, key: str | None, query: str, is_known: bool) -> None:  # noqa: FBT001
    """HEAD has the status and the headers that GET has of an emulator in the same state, and no body."""
    kind = path.split("/")[2]
    target = fill(path, IDS.get(kind, "default") if is_known else "none") + query
    head = Zof(seed=1).send("HEAD", target, key=key)
    get = Zof(seed=1).send("GET", target, key=key)
    assert head.content == b""
    assert head.status == get.status
    assert {**head.headers, "x-request-id": ""} == {**get.headers, "x-request-id": ""}


@pytest.mark.parametrize("path", PATHS)
def test_options_says_what_a_path_takes(path: str) -> None:
    """OPTIONS is 204 with the methods of the path, needs no key, whatever the ID is, and has no body."""
    answer = Zof().send("OPTIONS", fill(path, "none"), key=None)
    assert (answer.status, answer.content) == (204, b"")
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["allow"].split(", "))
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    assert answer.headers["x-request-id"].startswith("req_")


def test_head_counts_and_options_does_not() -> None:
    """HEAD counts against the rate limit like GET; OPTIONS neither counts nor has rate-limit headers."""
    zof = Zof(rate=Rate(2))
    assert [zof.send("OPTIONS", "/v1/runs").status for _ in range(3)] == [204, 204, 204]
    assert "x-ratelimit-limit" not in zof.send("OPTIONS", "/v1/runs").headers
    assert [zof.send("HEAD", "/v1/runs").status for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/v1/none", "/v1/runs/", "/none", "/_emulator/none"])
def test_a_path_that_there_is_not_has_neither(path: str) -> None:
    """HEAD and OPTIONS on an unknown path are 404."""
    assert [Zof().send(method, path).status for method in ("HEAD", "OPTIONS")] == [404, 404]


def test_the_journal_shows_a_head_without_a_body() -> None:
    """The journal shows the empty body of the answer to a HEAD."""
    zof = Zof(journal=10)
    zof.send("HEAD", "/v1/runs")
    (exchange,) = zof.control("/journal").json["data"]
    assert (exchange["request"]["method"], exchange["operation"]) == ("HEAD", "listRuns")
    assert (exchange["response"]["size"], exchange["response"]["body"]) == (0, "")
