"""Work: the cost of a request, counted in steps, is at most proportional to its length."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.http.decode import find_repeated

from tests.http.exchanges import JSON, START
from tests.http.histories import reset_emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.zof import Answer, Zof

    Send = Callable[[Zof, int], Answer]

GROWTH: Final = 2.5
"""How much more work twice the input may take; a quadratic search takes four times as much."""
STEPS: Final = 8
"""How often one name may be compared or hashed in a search."""
HEADER: Final = [("content-type", "application/json")]


class Name(str):
    """A name that counts how often it is compared or hashed."""

    __slots__ = ()
    steps = 0

    def __eq__(self, other: object) -> bool:
        Name.steps += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Name.steps += 1
        return str.__hash__(self)


def search_steps(names: list[str]) -> int:
    """The number of steps of the search for repeated names."""
    given_names = [Name(name) for name in names]
    Name.steps = 0
    find_repeated(given_names)
    return Name.steps


@settings(deadline=None)
@given(st.integers(1, 800), st.integers(1, 800))
def test_the_search_for_repeated_names_is_linear(count: int, distinct: int) -> None:
    """The search compares or hashes each name a few times, however many there are and however many repeat."""
    assert search_steps([f"name_{place % distinct}" for place in range(count)]) <= STEPS * count


@given(st.lists(st.sampled_from("abcdef")))
def test_repeated_names_are_found_once(names: list[str]) -> None:
    """Every repeated name is found exactly once."""
    found = find_repeated(names)
    assert set(found) == {name for name in names if names.count(name) > 1}
    assert len(found) == len(set(found))


def call_steps(act: Callable[[], object]) -> int:
    """The number of calls and returns during an action, built-in functions included."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(before)
    return steps


def _body(zof: Zof, content: str, path: str = "/v1/runs") -> Answer:
    return zof.send("POST", path, headers=JSON, body=content.encode())


def _fields(count: int, *, distinct: int) -> str:
    return "{" + ",".join(f'"name_{place % distinct}":1' for place in range(count)) + "}"


def _verify(zof: Zof, count: int) -> Answer:
    return zof.tell("POST", "/journal/verify", {"body": {f"name_{place}": 1 for place in range(count)}})


REQUESTS: Final[dict[str, Send]] = {
    "repeated fields": lambda zof, count: _body(zof, _fields(count, distinct=10)),
    "unknown fields": lambda zof, count: _body(zof, _fields(count, distinct=count)),
    "test cases": lambda zof, count: _body(zof, json.dumps(START | {"test_case_ids": ["tc_a"] * count})),
    "nested objects": lambda zof, count: _body(zof, json.dumps(START | {"project_id": [{"a": 1}] * count})),
    "parameters": lambda zof, count: zof.send("GET", "/v1/runs?" + "&".join(f"a{n}=1" for n in range(count))),
    "one parameter": lambda zof, count: zof.send("GET", "/v1/runs?" + "status=1&" * count),
    "a long cursor": lambda zof, count: zof.send("GET", "/v1/runs?starting_after=cur_" + "0" * count),
    "headers": lambda zof, count: zof.send("GET", "/v1/runs", headers=[(f"a{n}", "1") for n in range(count)]),
    "one header": lambda zof, count: zof.send("GET", "/v1/runs", headers=[("a", "1")] * count),
    "path segments": lambda zof, count: zof.send("GET", "/v1" + "/runs" * count),
    "fields of a control operation": lambda zof, count: zof.send(
        "POST", "/_emulator/clock/advance", key=None, headers=HEADER, body=_fields(count, distinct=10).encode()
    ),
    "a snapshot": lambda zof, count: zof.tell(
        "PUT", "/snapshot", {"format": "zof-emulator-world", "version": 4, "world": {str(n): n for n in range(count)}}
    ),
    "a filter of the journal": _verify,
}


@pytest.mark.parametrize("send", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("count", [500, 2_000])
def test_work_grows_with_the_input(send: Send, count: int) -> None:
    """A request with twice as many parts takes at most about twice as many steps."""
    zof = reset_emulator()
    work = []
    for parts in (count, 2 * count):
        send(zof, parts)  # what is made once is made
        zof.control("/reset")
        work.append(call_steps(lambda parts=parts: send(zof, parts)))  # type: ignore[misc]
    assert work[1] <= GROWTH * work[0]


def test_a_filter_of_the_journal_has_at_most_100_fields() -> None:
    """The work of verifying is bounded by the journal: a filter names at most 100 fields of a body."""
    zof = reset_emulator()
    assert _verify(zof, 100).error == (400, "invalid_request", "body.name_0")
    assert _verify(zof, 101).error == (400, "invalid_request", "body")


def test_every_part_of_a_list_that_is_too_long_is_not_judged() -> None:
    """A list with too many items costs the same steps at twice the length, as only its length is checked."""
    zof = reset_emulator()

    def send(count: int) -> Any:  # noqa: ANN401  an answer
        return _body(zof, json.dumps(START | {"test_case_ids": [1] * count}))

    assert send(501).error == (400, "invalid_request", "test_case_ids")
    steps = [call_steps(lambda count=count: send(count)) for count in (1_000, 2_000)]  # type: ignore[misc]
    assert steps[1] <= steps[0] + 10
