#!/usr/bin/env python3
"""Gate a pipeline on a test run: start it, wait for its end, and fail if it did not pass. Needs only Python; copy it.

    ZOF_API_KEY=… ZOF_BASE_URL=http://127.0.0.1:9630/v1 python ci_gate.py proj_abc staging --suite suite_pr_smoke

Exit status: 0 passed, 1 failed, in error or canceled, 2 the outcome could not be determined.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TERMINAL = {"passed", "failed", "error", "canceled"}
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
ATTEMPTS = 6


class UnansweredError(Exception):
    """The API gave no usable answer."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Reports a redirect as an error, because urllib would send the key to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


class Zof:
    """The three calls that a gate needs. Waits as `Retry-After` says, and otherwise backs off with jitter."""

    def __init__(self, base_url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.base_url = base_url.rstrip("/")
        self.key = key
        self.sleep = sleep
        self.opener = urllib.request.build_opener(NoRedirects)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a request until it is answered; a POST needs an Idempotency-Key, so that it can be repeated safely."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        last = "no answer"
        for attempt in range(ATTEMPTS):
            request = urllib.request.Request(self.base_url + path, content, headers, method=method)
            try:
                with self.opener.open(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                last = f"{error.code} {_message(error)} (request {error.headers.get('X-Request-Id', 'unknown')})"
                if error.code != 429 and error.code < 500:
                    break
                pause = delay(error.headers.get("Retry-After"), attempt, time.time())
            except (OSError, ValueError) as error:
                last, pause = str(error), back_off(attempt)
            if attempt + 1 < ATTEMPTS:
                print(show(f"ci_gate: {last}; next attempt in {pause:.0f} s", self.key), file=sys.stderr)
                self.sleep(pause)
        raise UnansweredError(f"{method} {self.base_url}{path}: {last}")

    def start(self, order: dict[str, Any]) -> Any:
        """Start one run, however often the request must be sent."""
        return self.call("POST", "/runs", order, **{"Idempotency-Key": str(uuid.uuid4())})

    def wait(self, run: Any, most_seconds: float) -> Any:
        """Poll until the run has ended; `UnansweredError` if that takes too long."""
        waited, attempt = 0.0, 0
        while run["status"] not in TERMINAL:
            if waited > most_seconds:
                raise UnansweredError(f"{run['id']} is still {run['status']} after {most_seconds:.0f} s: {run['url']}")
            pause = back_off(attempt)
            self.sleep(pause)
            waited, attempt = waited + pause, attempt + 1
            run = self.call("GET", f"/runs/{run['id']}")
        return run


def show(text: str, key: str) -> str:
    """Return a text that can be printed: without the key, and with control characters as `?`."""
    return "".join(each if each.isprintable() else "?" for each in text.replace(key, "[key]"))


def delay(retry_after: str | None, attempt: int, now: float) -> float:
    """Seconds to wait before the next attempt: what `Retry-After` says, in seconds or as a date, or a back-off."""
    try:
        if retry_after and not retry_after.isdigit():
            return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except ValueError:
        return back_off(attempt)
    return float(retry_after) if retry_after else back_off(attempt)


def back_off(attempt: int) -> float:
    """Seconds to wait before the next attempt: twice as long each time, up to a bound, with jitter."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt) * random.uniform(0.5, 1.0)


def _message(error: urllib.error.HTTPError) -> str:
    try:
        found = json.load(error)["error"]
        return f"{found['code']}: {found['message']}"
    except (ValueError, KeyError, TypeError):
        return error.reason


def gate(zof: Zof, order: dict[str, Any], most_seconds: float) -> int:
    """Start a run, wait for its end, print the outcome, and return the exit status."""
    run = zof.start(order)
    print(show(f"{run['id']} started: {run['url']}", zof.key))
    run = zof.wait(run, most_seconds)
    summary = ", ".join(f"{count} {status}" for status, count in run["summary"].items() if count and status != "total")
    print(show(f"{run['id']} {run['status']}: {summary}; {run['url']}", zof.key))
    for case in run["case_outcomes"]:
        if case["status"] != "passed":
            print(show(f"  {case['test_case_id']} {case['status']}", zof.key))
    return 0 if run["status"] == "passed" else 1


def main(arguments: Sequence[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Read the command line, run the gate, and return the exit status."""
    parser = argparse.ArgumentParser(description="Start a test run, wait for its end, and fail if it did not pass.")
    parser.add_argument("project")
    parser.add_argument("environment")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--suite")
    what.add_argument("--case", action="append")
    parser.add_argument(
        "--most-seconds", type=float, default=1800.0, help="seconds to wait for the end (default: 1800)"
    )
    given = parser.parse_args(arguments)
    order = {"project_id": given.project, "environment": given.environment}
    order |= {"test_suite_id": given.suite} if given.suite else {"test_case_ids": given.case}
    key = os.environ.get("ZOF_API_KEY", "").strip()  # a secret read from a file often ends with a line end
    if not key or not all("!" <= each <= "~" for each in key):
        print("ci_gate: set ZOF_API_KEY to a key, which is printable ASCII without spaces", file=sys.stderr)
        return 2
    zof = Zof(os.environ.get("ZOF_BASE_URL", "https://api.zof.ai/v1"), key, sleep)
    try:
        return gate(zof, order, given.most_seconds)
    except UnansweredError as error:
        print(show(f"ci_gate: {error}", key), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
