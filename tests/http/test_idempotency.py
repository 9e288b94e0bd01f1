"""Idempotency: one key has one effect, however often it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_emulator.core.limits import Rate

from tests.http.histories import format_instant, reset_emulator
from tests.http.replays import START, lasting, was_replayed
from tests.zof import ADMIN, CI, OTHER, VIEWER, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable

    Operation = Callable[[Zof], Callable[[], Answer]]

DAY = 24 * 3_600_000


def start(zof: Zof) -> Callable[[], Answer]:
    """A start, to be sent any number of times with one key."""
    return lambda: zof.post("/runs", START, idempotency_key="k")


def cancel(zof: Zof) -> Callable[[], Answer]:
    """A cancel of a run that is running."""
    run = zof.start()["id"]
    return lambda: zof.post(f"/runs/{run}/cancel", idempotency_key="k")


def export_csv(zof: Zof) -> Callable[[], Answer]:
    """An export of the results so far as CSV."""
    zof.complete_run("tc_login", "tc_pay_fail")
    return lambda: zof.post("/results/export", {"format": "csv"}, idempotency_key="k")


def export_json(zof: Zof) -> Callable[[], Answer]:
    """An export of the results so far as JSON."""
    zof.complete_run("tc_login", "tc_pay_fail")
    return lambda: zof.post("/results/export", {"format": "json"}, idempotency_key="k")


every = pytest.mark.parametrize("operation", [start, cancel, export_csv, export_json])


@every
def test_replay(operation: Operation) -> None:
    """A replay is the original answer byte for byte plus the replay header, whatever has happened since."""
    zof = reset_emulator()
    send = operation(zof)
    first = send()
    zof.advance(60_000)
    zof.complete_run("tc_later")
    again = send()
    assert (was_replayed(first), was_replayed(again)) == (False, True)
    assert lasting(again) == lasting(first)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


@every
def test_nothing_else(operation: Operation) -> None:
    """A replay changes no runs, projects and results."""
    zof = reset_emulator()
    send = operation(zof)
    send()
    zof.advance(0)
    before = [zof.walk(path) for path in ("/runs", "/results", "/projects")]
    assert all(was_replayed(send()) for _ in range(3))
    zof.advance(0)
    assert [zof.walk(path) for path in ("/runs", "/results", "/projects")] == before


@every
def test_limit(operation: Operation) -> None:
    """A replay counts against the rate limit, and is refused when the limit is used up."""
    zof = reset_emulator(rate=Rate(limit=4))
    send = operation(zof)
    used = 4 - int(zof.get("/runs").headers["x-ratelimit-remaining"])
    answers = [send() for _ in range(5 - used)]
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert left == [*range(left[0], -1, -1), 0]
    assert answers[-1].error == (429, "rate_limit_exceeded", None)
    assert [was_replayed(answer) for answer in answers] == [False] + [True] * (len(answers) - 2) + [False]


@every
def test_a_day(operation: Operation) -> None:
    """An answer is stored for 24 hours from the first request, however often it is replayed."""
    zof = reset_emulator()
    send = operation(zof)
    send()
    zof.advance(DAY // 2)
    assert was_replayed(send())
    zof.advance(DAY // 2 - 1)
    assert was_replayed(send())
    zof.advance(1)
    assert not was_replayed(send())


def test_start_anew_after_a_day() -> None:
    """An expired key starts another run, whose answer is again stored for 24 hours."""
    zof = reset_emulator()
    send = start(zof)
    first = send().json["id"]
    zof.advance(DAY)
    second = send().json["id"]
    assert first != second
    zof.advance(DAY - 1)
    assert send().json["id"] == second


def test_no_key() -> None:
    """Each start without a key, and each new key, starts a run."""
    zof = reset_emulator()
    keys = (None, None, "a", "b", "A", "aa")
    answers = [zof.post("/runs", START, idempotency_key=key) for key in keys]
    assert len({answer.json["id"] for answer in answers}) == len(keys)
    assert not any(map(was_replayed, answers))


def test_other_path() -> None:
    """The same key on another path, or for another run, is another key."""
    zof = reset_emulator()
    one, other = zof.start()["id"], zof.start()["id"]
    sent = [
        zof.post("/runs", START, idempotency_key="k"),
        zof.post("/results/export", {"format": "json"}, idempotency_key="k"),
        zof.post(f"/runs/{one}/cancel", idempotency_key="k"),
        zof.post(f"/runs/{other}/cancel", idempotency_key="k"),
    ]
    assert [answer.status for answer in sent] == [201, 200, 200, 200]
    assert not any(map(was_replayed, sent))


def test_other_method() -> None:
    """The same key with another method is another key: a list is never a replay."""
    zof = reset_emulator()
    start(zof)()
    for runs in (1, 2):
        answer = zof.send("GET", "/v1/runs", headers=[("idempotency-key", "k")])
        assert (answer.status, was_replayed(answer), len(answer.json["data"])) == (200, False, runs)
        zof.start()


def test_other_organization() -> None:
    """The same key of another organization is another key, even with another body."""
    zof = reset_emulator()
    mine = zof.post("/runs", START, idempotency_key="k")
    theirs = zof.post(
        "/runs", {**START, "test_case_ids": ["tc_x"], "project_id": "proj_x"}, key=OTHER, idempotency_key="k"
    )
    assert (theirs.status, was_replayed(theirs), theirs.json["organization_id"]) == (201, False, "org_other")
    assert mine.json["id"] != theirs.json["id"]


def test_same_organization() -> None:
    """An idempotency key is the organization's: another API key of it gets the replay."""
    zof = reset_emulator()
    first = zof.post("/runs", START, key=ADMIN, idempotency_key="k")
    assert lasting(zof.post("/runs", START, key=CI, idempotency_key="k")) == lasting(first)


def test_permission_comes_first() -> None:
    """A replay needs the permission of the original request."""
    zof = reset_emulator()
    send = start(zof)
    send()
    assert zof.post("/runs", START, key=VIEWER, idempotency_key="k").error == (403, "forbidden", None)
    assert zof.post("/runs", START, key=None, idempotency_key="k").status == 401


def test_replay_before_state() -> None:
    """A replay comes before the check of the state: a repeated cancel is no conflict."""
    zof = reset_emulator()
    path = f"/runs/{zof.start()['id']}/cancel"
    zof.post(path, idempotency_key="k")
    assert zof.post(path, idempotency_key="k").status == 200
    assert zof.post(path, idempotency_key="other").error == (409, "conflict", None)


def test_replay_after_reset() -> None:
    """A reset forgets what was answered."""
    zof = reset_emulator()
    start(zof)()
    zof.control("/reset")
    assert not was_replayed(start(zof)())


def test_times_follow_the_clock() -> None:
    """The `Date` of a replay is its own; the times in its body are those of the original."""
    zof = reset_emulator()
    first = start(zof)()
    zof.advance(90_000)
    again = start(zof)()
    assert first.headers["date"] != again.headers["date"]
    assert again.json["created_at"] == format_instant(0)
