"""Sequences of requests of every kind, and the answers of an emulator to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from tests.http.exchanges import START, start
from tests.zof import CI, OTHER, STAGING, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FLAKY: Final = {**STAGING, "test_case_ids": ["tc_cart_flaky_004"]}
LONG: Final = {**STAGING, "test_case_ids": [f"tc_{number}_slow" for number in range(9)]}


def find_newest(zof: Zof) -> str:
    """The ID of the newest run, or of a sample run if the rate limit refuses the list."""
    found = zof.get("/runs", limit=1).json.get("data")
    return str(found[0]["id"]) if found else "run_sample_failed"


def second_page(zof: Zof, path: str) -> Answer:
    """The page after the first one."""
    cursor = zof.get(path, limit=1).json.get("next_cursor")
    return zof.get(path, limit=1, starting_after=cursor)


def file(zof: Zof) -> Answer:
    """The newest artifact of a run that has artifacts."""
    found = zof.get("/runs/run_sample_failed/artifacts").json.get("data")
    return zof.get(f"/artifacts/{found[0]['id'] if found else 'art_none'}/content")


REQUESTS: Final[dict[str, Callable[[Zof], Answer]]] = {
    "start": start,
    "start a suite": lambda zof: zof.post("/runs", {**STAGING, "test_suite_id": "suite_flaky"}),
    "start a flaky case": lambda zof: zof.post("/runs", FLAKY),
    "start long": lambda zof: zof.post("/runs", LONG),
    "start once": lambda zof: zof.post("/runs", START, idempotency_key="once"),
    "start elsewhere": lambda zof: zof.post("/runs", {**START, "test_case_ids": ["tc_o"]}, key=OTHER),
    "cancel the newest": lambda zof: zof.post(f"/runs/{find_newest(zof)}/cancel"),
    "runs": lambda zof: zof.get("/runs", limit=2),
    "runs, page 2": lambda zof: second_page(zof, "/runs"),
    "newest": lambda zof: zof.get(f"/runs/{find_newest(zof)}"),
    "logs": lambda zof: zof.get(f"/runs/{find_newest(zof)}/logs"),
    "artifacts": lambda zof: zof.get(f"/runs/{find_newest(zof)}/artifacts"),
    "a file": file,
    "results": lambda zof: zof.get("/results", key=CI),
    "results, page 2": lambda zof: second_page(zof, "/results"),
    "export": lambda zof: zof.post("/results/export", {"format": "csv"}),
    "export once": lambda zof: zof.post("/results/export", {"format": "json"}, idempotency_key="once"),
    "projects": lambda zof: zof.get("/projects"),
    "a moment": lambda zof: zof.control("/clock/advance", {"by_ms": 700}),
    "a while": lambda zof: zof.control("/clock/advance", {"by_ms": 61_000}),
    "to the next end": lambda zof: zof.control("/clock/advance", {"until": "run_ended"}),
    "a case on": lambda zof: zof.control(f"/runs/{find_newest(zof)}/advance", {}),
    "health": lambda zof: zof.control("/health"),
    "nothing": lambda zof: zof.get("/nothing"),
    "no method": lambda zof: zof.send("DELETE", "/v1/runs"),
    "a stranger": lambda zof: zof.get("/runs", key=None),
    "another scheme": lambda zof: zof.send("GET", "/v1/runs", key=None, headers=[("authorization", "bearer  " + CI)]),
    "nonsense": lambda zof: zof.send("POST", "/v1/runs", body=b"{"),
    "too much": lambda zof: start(zof, body=b" " * ((1 << 20) + 1)),
    "too much, unsaid": lambda zof: zof.send("POST", "/v1/runs", pieces=[b" " * (1 << 20), b" "]),
    "another environment": lambda zof: zof.post("/runs", {**START, "environment": "moon"}),
}
stories: Final = st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=15)
"""The requests of a sequence."""


def answer_story(zof: Zof, story: Iterable[str]) -> list[Answer]:
    """The answers of an emulator to these requests."""
    return [REQUESTS[name](zof) for name in story]


def list_api_answers(zof: Zof, story: Iterable[str]) -> list[Answer]:
    """The answers with request IDs of the world: those of the API, not of the control operations."""
    own = {"a moment", "a while", "to the next end", "a case on", "health"}
    return [answer for name, answer in ((name, REQUESTS[name](zof)) for name in story) if name not in own]
