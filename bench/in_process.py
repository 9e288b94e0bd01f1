"""The emulator called in this process, without a socket: the memory of a run and the time of a page.

`python -m bench.in_process memory|pages` prints the figures as JSON on stdout, and its progress on stderr.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import orjson
from zof_emulator import ClockMode, Settings, create_app
from zof_emulator.settings import OFF

from bench.machine import CannotMeasure
from bench.wire import KEY, TWO_CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message

    Coroutine = Any

MANY: Final = 100_000
FEW: Final = 100
_HOUR: Final = 3_600_000
_SECOND: Final = 1_000
_TIMES: Final = 300
_PAGE: Final = 20
_REFUSED: Final = 400

_PASSING: Final = ["tc_login_001", "tc_checkout_014"]
_FAILING: Final = ["tc_login_001", "tc_refund_fail_002"]
_BREAKING: Final = ["tc_login_001", "tc_search_error_003"]


class Caller:
    """An emulator in this process with a manual clock, called with little work besides its own."""

    def __init__(self, capacity: int) -> None:
        self._app: ASGIApp = create_app(Settings(clock=ClockMode.MANUAL, rate=OFF, capacity=capacity))
        self._messages: list[Message] = []

    def prepare(self, method: str, target: str, body: bytes = b"", host: str = "127.0.0.1") -> Callable[[], None]:
        """Return a function that sends this request each time it is called."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (b"host", host.encode()),
                (b"authorization", f"Bearer {KEY}".encode()),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 9630),
        }
        messages = self._messages
        request = {"type": "http.request", "body": body, "more_body": False}

        async def receive() -> Message:
            return request

        async def send(message: Message) -> None:
            messages.append(message)

        def call() -> None:
            messages.clear()
            coroutine: Coroutine = self._app(scope, receive, send)
            try:
                while True:
                    coroutine.send(None)
            except StopIteration:
                pass

        return call

    def ask(self, method: str, target: str, body: bytes = b"") -> Any:  # noqa: ANN401  a JSON value
        """Send a request and return the JSON of its answer; `CannotMeasure` if it is refused."""
        self.prepare(method, target, body)()
        content = b"".join(one.get("body", b"") for one in self._messages[1:])
        if self._messages[0]["status"] >= _REFUSED:
            raise CannotMeasure(f"the emulator refused {method} {target}: {content.decode()}")
        return orjson.loads(content)

    def advance(self, by_ms: int) -> Any:  # noqa: ANN401  a JSON value
        """Move the clock by milliseconds and return the answer."""
        return self.ask("POST", "/_emulator/clock/advance", orjson.dumps({"by_ms": by_ms}))


# --- the memory of a run


def measure_memory() -> dict[str, Any]:
    """Bytes that Python allocates per run of two cases, at 100,000 runs: queued ones and ended ones."""
    emulator = Caller(capacity=10_000)
    start = emulator.prepare("POST", "/v1/runs", TWO_CASES)
    for _ in range(FEW):
        start()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(MANY):
        start()
    gc.collect()
    waiting = tracemalloc.get_traced_memory()[0] - before
    _log("ending 100,000 runs, in process")
    emulator.advance(_HOUR)
    gc.collect()
    ended = tracemalloc.get_traced_memory()[0] - before
    return {"waiting": waiting / MANY, "ended": ended / MANY}


# --- the time of a page


def _make_ended_runs(runs: int) -> tuple[Caller, str, str]:
    """An emulator with ended runs, started over some minutes, and two instants between their starts."""
    emulator = Caller(capacity=runs)
    instants = []
    for nth in range(runs):
        cases = (_PASSING, _FAILING, _PASSING, _BREAKING)[nth % 4]
        project = "proj_abc" if nth % 5 == 0 else "proj_abc123"
        order = {"project_id": project, "environment": "staging", "test_case_ids": cases}
        emulator.ask("POST", "/v1/runs", orjson.dumps(order))
        if nth % (runs // FEW) == 0:
            instants.append(emulator.advance(_SECOND)["now"])
    emulator.advance(_HOUR)
    return emulator, instants[FEW // 4], instants[FEW * 3 // 4]


def _make_open_runs(runs: int) -> Caller:
    """An emulator whose runs are queued, running and canceled, a third each."""
    emulator = Caller(capacity=runs // 3)
    names = [emulator.ask("POST", "/v1/runs", TWO_CASES)["id"] for _ in range(runs)]
    emulator.advance(0)
    for name in names[2::3]:
        emulator.ask("POST", f"/v1/runs/{name}/cancel")
    return emulator


def _list_targets(emulator: Caller, early: str, late: str) -> dict[str, str]:
    found = {
        "runs": "/v1/runs",
        "runs, project_id": "/v1/runs?project_id=proj_abc123",
        **{f"runs, status={status}": f"/v1/runs?status={status}" for status in ("passed", "failed", "error")},
        "runs, created_after": f"/v1/runs?created_after={early}",
        "runs, created_before": f"/v1/runs?created_before={late}",
        "runs, all four": f"/v1/runs?project_id=proj_abc123&status=passed&created_after={early}&created_before={late}",
        "results": "/v1/results",
        **{f"results, status={status}": f"/v1/results?status={status}" for status in ("passed", "failed", "error")},
        "results, created_after": f"/v1/results?created_after={early}",
        "results, created_before": f"/v1/results?created_before={late}",
        "results, all three": f"/v1/results?status=passed&created_after={early}&created_before={late}",
    }
    run = emulator.ask("GET", "/v1/runs?limit=50")["data"][-1]["id"]
    found["results, run_id"] = f"/v1/results?run_id={run}"
    for kind in ("runs", "results"):
        cursor = emulator.ask("GET", f"/v1/{kind}?limit=50")["next_cursor"]
        found[f"{kind}, starting_after"] = f"/v1/{kind}?starting_after={cursor}"
    return found


def measure_pages() -> dict[str, Any]:
    """Microseconds for a page with each filter, of 100 and of 100,000 runs; from the cache, and newly encoded."""
    _log("filling worlds of 100 and 100,000 ended runs, in process")
    found: dict[str, Any] = {}
    few, many = _make_ended_runs(FEW), _make_ended_runs(MANY)
    theirs = _list_targets(*many)
    for name, target in _list_targets(*few).items():
        found[name] = _compare((few[0], target), (many[0], theirs[name]))
    del few, many
    gc.collect()
    _log("filling worlds of 100 and 100,000 open runs, in process")
    small, large = _make_open_runs(FEW), _make_open_runs(MANY)
    for status in ("queued", "running", "canceled"):
        target = f"/v1/runs?status={status}"
        found[f"runs, status={status}"] = _compare((small, target), (large, target))
    target = "/v1/runs?project_id=proj_abc123&status=queued"
    found["runs, project_id and status"] = _compare((small, target), (large, target))
    return found


def _compare(few: tuple[Caller, str], many: tuple[Caller, str]) -> dict[str, float]:
    counts = [len(caller.ask("GET", target)["data"]) for caller, target in (few, many)]
    cached = _measure_alternately([caller.prepare("GET", target) for caller, target in (few, many)], _TIMES)
    # Links in an answer begin with the host that the client named, so nothing encoded for one host serves another.
    fresh = [
        [caller.prepare("GET", target, host=f"host{nth}.test") for caller, target in (few, many)]
        for nth in range(_TIMES // 3)
    ]
    new = [median(times) for times in zip(*(_measure_alternately(pair, 1) for pair in fresh), strict=True)]
    return {
        "items": counts[1],
        "items_of_few": counts[0],
        "few_us": cached[0],
        "many_us": cached[1],
        "ratio": cached[1] / cached[0],
        "few_new_us": new[0],
        "many_new_us": new[1],
        "ratio_new": new[1] / new[0],
    }


def _measure_alternately(calls: list[Callable[[], None]], times: int) -> list[float]:
    """The median microseconds of each of several calls, which are made alternately."""
    taken: list[list[int]] = [[] for _ in calls]
    for _ in range(times):
        for call, times_of_call in zip(calls, taken, strict=True):
            began = time.perf_counter_ns()
            call()
            times_of_call.append(time.perf_counter_ns() - began)
    return [median(one) / 1_000 for one in taken]


def _log(message: str) -> None:
    sys.stderr.write(f"bench: {message}\n")


_KINDS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {"memory": measure_memory, "pages": measure_pages}

if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(_KINDS[sys.argv[1]]()))
