"""The client: what it sends, what it refuses to send, and what it remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.evidence.exchange import NO_STATUS, Response
from zof_contracts.evidence.strict_json import BOM
from zof_contracts.target.budget import Budget, BudgetExceeded, ReadOnly, Stopped, Throttled
from zof_contracts.target.client import Client, Unanswered
from zof_contracts.target.requests import build_post
from zof_contracts.target.target import Target
from zof_contracts.target.transport import NoAnswer, Unreachable
from zof_contracts.verification.cleanup import UNKNOWN, clean_up

from tests.contracts.timers import FakeTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Headers

JSON = (("content-type", "application/json"),)
_NO_LIMIT = Budget()
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def reply(status: int, body: object = None, *headers: tuple[str, str]) -> Response:
    """An answer with a JSON body."""
    return Response(status, (*JSON, *headers), json.dumps(body).encode())


@dataclass
class FakeTransport:
    """Answers by a function, which may raise; remembers what it was given."""

    answer: Callable[[str, str, bytes], Response]
    is_parallel: bool = True
    sent: list[str] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = 30.0, fresh: bool = False
    ) -> Response:
        """Answer."""
        del headers
        self.sent.append(f"{method} {target}")
        self.fresh.append(fresh)
        self.seconds.append(seconds)
        return self.answer(method, target, body)

    def close(self) -> None:
        """Do nothing."""


def connect(
    answer: Callable[[str, str, bytes], Response],
    budget: Budget = _NO_LIMIT,
    **values: Any,  # noqa: ANN401
) -> tuple[Client, FakeTransport]:
    """A client of a fake deployment, which no socket and no clock slows down."""
    client = Client(
        Target(url="http://zof.test", keys={"main": "zof_test_key"}, **values), budget=budget, timer=FakeTimer()
    )
    transport = client.transport = FakeTransport(answer)
    return client, transport


def answer_start(index: int, status: str = "queued") -> dict[str, Any]:
    """A run as a start answers it."""
    return {"id": f"run_{index}", "status": status}


# --- lost answers


def test_a_get_whose_answer_is_lost_is_sent_once_more() -> None:
    """A lost answer of a safe request is asked for again, over a new connection, and counted."""
    lost = iter([True, False])

    def answer(*_: object) -> Response:
        if next(lost):
            raise NoAnswer("it closed the connection without an answer")
        return reply(200, {})

    client, transport = connect(answer)
    assert client.get("/runs").response.status == 200
    assert (transport.fresh, client.account.used) == ([False, True], 2)


def test_a_post_without_idempotency_key_is_never_sent_twice() -> None:
    """A start whose answer is lost is not repeated; it goes over a new connection from the beginning."""

    def answer(method: str, *_: object) -> Response:
        if method == "POST":
            raise NoAnswer("it reset the connection before its answer was complete")
        return reply(200, {"data": []})

    client, transport = connect(answer)
    with pytest.raises(Unanswered, match="POST /v1/runs was not answered: it reset the connection") as raised:
        client.start()
    assert transport.sent == ["POST /v1/runs", "GET /v1/runs?limit=1"]
    assert transport.fresh[0]
    assert raised.value.exchange.response.status == NO_STATUS
    assert [lost.why for lost in client.lost] == ["it reset the connection before its answer was complete"]


def test_a_post_with_idempotency_key_is_sent_again() -> None:
    """The key makes it safe."""
    lost = iter([True, False])

    def answer(*_: object) -> Response:
        if next(lost):
            raise NoAnswer("it closed the connection without an answer")
        return reply(201, answer_start(1))

    client, transport = connect(answer)
    assert client.start(idempotency_key="once").response.status == 201
    assert transport.sent == ["POST /v1/runs"] * 2
    assert (client.lost, list(client.started)) == ([], ["run_1"])


def test_observers_see_a_request_that_is_not_answered() -> None:
    """It is recorded, judged, and named by the exception."""

    def answer(_: str, target: str, *__: object) -> Response:
        if target == "/v1/results":
            raise NoAnswer("it closed the connection without an answer")
        return reply(200, {"data": []})

    client, _ = connect(answer)
    seen: list[int] = []
    client.observers.append(lambda exchange: seen.append(exchange.response.status))
    with pytest.raises(Unanswered, match="GET /v1/results was not answered"):
        client.get("/results")
    assert seen == [NO_STATUS]
    assert client.get("/runs").response.status == 200


def test_a_target_that_is_gone_is_unreachable() -> None:
    """When nothing else is answered either, the last request is named."""
    alive = iter([True])

    def answer(*_: object) -> Response:
        if next(alive, False):
            return reply(200, {"data": []})
        raise Unreachable("zof.test cannot be reached: Connection refused")

    client, _ = connect(answer)
    client.get("/runs")
    with pytest.raises(Unreachable, match=r"no longer answers; the last request was GET /v1/results: .* refused"):
        client.get("/results")


def test_a_target_that_never_answered_says_why() -> None:
    """The first request tells that there is no connection, without another try."""

    def answer(*_: object) -> Response:
        raise Unreachable("zof.test cannot be reached: Connection refused")

    client, transport = connect(answer)
    with pytest.raises(Unreachable, match=r"^zof\.test cannot be reached"):
        client.get("/runs")
    assert len(transport.sent) == 1


# --- the budget


def test_the_budget_of_requests_holds_and_leaves_the_clean_up() -> None:
    """Runs that were started can be canceled within the budget, to the request."""
    runs = iter(range(100))

    def answer(method: str, target: str, _: bytes) -> Response:
        if method == "POST" and target == "/v1/runs":
            return reply(201, answer_start(next(runs)))
        return reply(200, {"data": []} if target.startswith("/v1/runs?") else {"status": "canceled"})

    client, transport = connect(answer, Budget(requests=12))
    for _ in range(3):
        client.start()
    with pytest.raises(BudgetExceeded, match="the budget of 12 requests is used up"):
        client.start()
    assert len(client.started) == 3
    assert [receipt.state for receipt in clean_up(client)] == ["canceled"] * 3
    assert len(transport.sent) == client.account.used <= 12


def test_back_off_keeps_to_the_budget_of_time() -> None:
    """A wait that is longer than the time that is left is not begun, and the message says what the wait is for."""
    client, _ = connect(lambda *_: reply(429, {}, ("retry-after", "60")), Budget(seconds=5))
    message = "a wait of 60 s for Retry-After does not fit in the rest of the 5 seconds"
    with pytest.raises(BudgetExceeded, match=message):
        client.get("/runs")
    assert client.timer.now() == 0


def test_an_answer_that_outlasts_the_budget_blames_nobody() -> None:
    """A request for which the time did not suffice is no finding; a start may have made a run."""

    def answer(*_: object) -> Response:
        raise NoAnswer("it gave no whole answer within 5 s", timed_out=True)

    client, transport = connect(answer, Budget(seconds=5))
    with pytest.raises(BudgetExceeded, match="the 5 seconds are used up"):
        client.start()
    assert transport.seconds == [5]
    assert len(client.lost) == 1


@pytest.mark.parametrize("name", ["clean-up", "verification"])
def test_the_clean_up_is_bounded_in_time(name: str) -> None:
    """A target that only says 429 holds up neither the verification nor its clean-up."""
    client, _ = connect(lambda *_: reply(429, {}, ("retry-after", "500")))
    client.started["run_1"] = "main"
    if name == "clean-up":
        assert [receipt.state for receipt in clean_up(client)] == ["left running: the time for the clean-up is used up"]
        assert client.timer.now() <= 30
    else:
        with pytest.raises(Throttled, match="429 3 times"):
            client.get("/runs")


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("3", 6),
        ("Thu, 01 Jan 2026 00:00:03 GMT", 6),
        ("1000000000", None),
        ("9" * 25, None),
        ("9" * 5000, None),
        ("soon", None),
    ],
)
def test_retry_after(header: str, waited: float | None) -> None:
    """Seconds and dates are waited out; what is absurd or nonsense stops at once."""
    client, _ = connect(lambda *_: reply(429, {}, ("retry-after", header), ("date", DATE)))
    with pytest.raises(Throttled) as raised:
        client.get("/runs")
    assert client.timer.now() == (waited or 0)
    assert len(str(raised.value)) < 120


def test_the_time_that_reset_names_is_bounded() -> None:
    """A Reset in the far future is not waited for."""
    quota = (("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999"), ("date", DATE))
    client, _ = connect(lambda *_: reply(200, {}, *quota))
    client.get("/runs")
    client.get("/runs")
    assert client.timer.now() <= 601


def test_read_only_sends_nothing_that_writes() -> None:
    """The profile is kept by the client, whoever asks."""
    client, transport = connect(lambda *_: reply(200, {}), profile="read-only")
    with pytest.raises(ReadOnly):
        client.start()
    assert transport.sent == []
    assert client.post("/results/export", {"format": "json"}).response.status == 200


def test_requests_at_the_same_time_are_all_recorded() -> None:
    """An answer that is lost among several does not lose the others."""
    runs = iter(range(10))

    def answer(method: str, *_: object) -> Response:
        if method == "POST" and (index := next(runs)) == 1:
            raise NoAnswer("it closed the connection without an answer")
        return reply(201, answer_start(index)) if method == "POST" else reply(200, {"data": []})

    client, _ = connect(answer)
    with pytest.raises(Unanswered):
        client.send_together([build_post("/runs", {"project_id": "proj_abc123"})] * 3)
    assert len(client.started) == 2
    assert len(client.lost) == 1


# --- what is remembered


@pytest.mark.parametrize("value", [[], {}, 7, None, True, ""])
def test_an_odd_id_is_no_run(value: object) -> None:
    """A run is a string; whatever else stands there ends nothing, and is told in the receipt."""
    client, _ = connect(lambda *_: reply(201, {"id": value, "status": [], "data": [{"id": value}]}))
    client.start()
    assert client.started == {}
    (receipt,) = clean_up(client)
    assert receipt.run == UNKNOWN
    assert "without the ID of a run" in receipt.state


@pytest.mark.parametrize("name", ["run a", "run\r\nX: y", "run_\xfc", "run_\ud800", "run_\U0001f600", "../x?y#z"])
def test_an_odd_run_is_cleaned_up(name: str) -> None:
    """A run with an odd ID is canceled like any other, and the others with it."""
    names = iter([name, "run_2"])

    def answer(method: str, target: str, _: bytes) -> Response:
        target.encode("ascii")
        assert all("!" <= each <= "~" for each in target)
        if (method, target) == ("POST", "/v1/runs"):
            return reply(201, {"id": next(names), "status": "queued"})
        return reply(200, {"data": []} if method == "GET" else {})

    client, transport = connect(answer)
    client.start()
    client.start()
    assert [receipt.state for receipt in clean_up(client)] == ["canceled", "canceled"]
    assert all(target.count("/") == 4 for target in transport.sent if target.endswith("/cancel"))


def test_what_goes_wrong_with_one_run_does_not_touch_the_others() -> None:
    """Each run is canceled on its own."""
    client, _ = connect(lambda *_: reply(200, {"data": []}))
    client.started.update({"run_1": "main", "run_2": "main", "run_3": "main"})

    def answer(_: str, target: str, __: bytes) -> Response:
        if "run_1" in target:
            raise NoAnswer("it closed the connection without an answer")
        if "run_2" in target:
            return reply(500, {})
        return reply(200, {"data": []})

    client.transport = FakeTransport(answer)
    assert [receipt.state for receipt in clean_up(client)] == [
        "left running: POST /v1/runs/run_1/cancel was not answered: it closed the connection without an answer",
        "left running: its cancel was answered 500",
        "canceled",
    ]


@pytest.mark.parametrize(
    ("listed", "run", "state"),
    [
        ([], UNKNOWN, "the target lists no such run"),
        ([{}], "run_0", "canceled; the answer to its start was lost"),
        ([{"status": "passed"}], UNKNOWN, "the target lists no such run"),
        ([{"project_id": "proj_other"}], UNKNOWN, "the target lists no such run"),
        ([{"created_at": "2026-01-01T01:00:00Z"}], UNKNOWN, "the target lists no such run"),
        ([{"id": [], "created_at": 7}, {}], "run_1", "canceled; the answer to its start was lost"),
        ([{"cases": ["tc_other"]}], UNKNOWN, "the target lists no such run"),
        ([{}, {}], UNKNOWN, "left running: 2 runs may be it (run_0, run_1)"),
    ],
)
def test_the_run_of_a_lost_start_is_looked_for_and_canceled(
    listed: list[dict[str, Any]], run: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt says that the answer was lost; a run that can only be that one is canceled, no other is."""
    now = 1_767_225_600.0
    monkeypatch.setattr("zof_contracts.target.client.time.time", lambda: now)
    runs = {
        f"run_{index}": {
            "id": f"run_{index}",
            "project_id": "proj_abc123",
            "environment": "staging",
            "test_suite_id": None,
            "status": "running",
            "created_at": "2026-01-01T00:00:02Z",
            "case_outcomes": [
                {"test_case_id": case} for case in changes.pop("cases", ["tc_login_001", "tc_checkout_014"])
            ],
            **changes,
        }
        for index, changes in enumerate([dict(each) for each in listed])
    }

    def answer(method: str, target: str, _: bytes) -> Response:
        if (method, target) == ("POST", "/v1/runs"):
            raise NoAnswer("it closed the connection without an answer")
        if target.startswith("/v1/runs?"):
            return reply(200, {"data": list(runs.values())})
        return reply(200, runs[target.split("/")[3]])

    client, transport = connect(answer)
    with pytest.raises(Unanswered):
        client.start()
    (receipt,) = clean_up(client)
    assert receipt.run == run
    assert state in receipt.state
    assert "the answer to its start was lost (it closed the connection without an answer)" in receipt.state
    canceled = [f"POST /v1/runs/{run}/cancel"] if run != UNKNOWN else []
    assert [each for each in transport.sent if each.endswith("/cancel")] == canceled


def test_an_interrupted_start_is_remembered() -> None:
    """A start whose answer an interrupt cut off may have made a run."""

    def answer(*_: object) -> Response:
        raise KeyboardInterrupt

    client, _ = connect(answer)
    with pytest.raises(KeyboardInterrupt):
        client.start()
    assert len(client.lost) == 1


def test_an_interrupted_clean_up_returns_receipts() -> None:
    """A second Ctrl-C ends the clean-up; the receipts say what is left."""

    def answer(_: str, target: str, __: bytes) -> Response:
        if "run_2" in target:
            raise KeyboardInterrupt
        return reply(200, {"data": []})

    client, _ = connect(answer)
    client.started.update({"run_1": "main", "run_2": "main", "run_3": "main"})
    client.ended["run_3"] = "passed"
    states = [receipt.state for receipt in clean_up(client)]
    assert states == ["canceled", "left running: the clean-up was interrupted", "ended"]


def test_a_byte_order_mark_is_noted() -> None:
    """JSON after a UTF-8 byte order mark is read, and the report says so."""
    client, _ = connect(lambda *_: Response(200, JSON, BOM + b'{"data": []}'))
    assert client.get("/runs").response.json == {"data": []}
    assert list(client.notes) == ["answers begin with a UTF-8 byte order mark, which was ignored"]


def test_every_exception_that_stops_is_one_line() -> None:
    """The messages go to the report as they are."""
    client, _ = connect(lambda *_: reply(429, {}))
    with pytest.raises(Stopped) as raised:
        client.get("/runs")
    assert "\n" not in str(raised.value)


def test_a_clean_up_of_a_target_that_is_gone_ends_at_once() -> None:
    """The receipts name every run and every lost start, and no other request is sent than those that find out."""
    alive = True

    def answer(method: str, *_: object) -> Response:
        if not alive:
            raise Unreachable("zof.test cannot be reached: Connection refused")
        if method == "POST":
            raise NoAnswer("it closed the connection without an answer")
        return reply(200, {"data": []})

    client, transport = connect(answer)
    with pytest.raises(Unanswered):
        client.start()
    client.started.update({f"run_{index}": "main" for index in range(20)})
    alive, before = False, len(transport.sent)
    receipts = clean_up(client)
    assert [receipt.state for receipt in receipts[:-1]] == ["left running: the target no longer answers"] * 20
    assert receipts[-1].run == UNKNOWN
    assert receipts[-1].state.endswith("; the target no longer answers")
    assert len(transport.sent) - before < 10
