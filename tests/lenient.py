"""A second deployment: as small as may be, with code of its own, and different wherever the contract leaves it free.

Other error codes, other orders, other tails of IDs, other windows, fields and values that no one knows, 200 on a start,
202 on a cancel, clamped limits, unmarked replays: each a difference, and none a violation, for what is documented and
what follows from it is kept. Plug in: `Lenient()` is an ASGI application, `advance` moves its clock.
"""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

KEYS: Final = {
    "lenient_main": ("org_one", frozenset({"runs:create", "projects:read"})),
    "lenient_reader": ("org_one", frozenset({"projects:read"})),
    "lenient_starter": ("org_one", frozenset({"runs:create"})),
    "lenient_other": ("org_two", frozenset({"runs:create", "projects:read"})),
}
_EPOCH: Final = 1_780_000_000_000
_CASE_MS: Final = 400
_LIMIT: Final = 500
_WINDOW: Final = 30
_TERMINAL: Final = ("passed", "failed", "error", "canceled")


class Refused(Exception):  # noqa: N818  an answer
    """An error: status, code, message and what is to blame."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param


@dataclass
class Run:
    """A run; how it stands is told by the time."""

    id: str
    organization: str
    project: str
    environment: str
    cases: list[str]
    at: int
    canceled_at: int | None = None

    def case(self, index: int, now: int) -> str:
        """How a case stands."""
        end = self.at + _CASE_MS * (index + 1)
        if self.canceled_at is not None and end > self.canceled_at:
            return "canceled"
        if end > now:
            return "running" if end - _CASE_MS <= now else "queued"
        return "failed" if "fail" in self.cases[index] else "passed"

    def status(self, now: int) -> str:
        """How it stands."""
        if self.canceled_at is not None:
            return "canceled"
        statuses = [self.case(index, now) for index in range(len(self.cases))]
        if "running" in statuses or "queued" in statuses:
            return "running"
        return "failed" if "failed" in statuses else "passed"

    def end(self) -> int:
        """When it ends."""
        return self.canceled_at or self.at + _CASE_MS * len(self.cases)

    def json(self, now: int) -> dict[str, Any]:
        """Its JSON form."""
        statuses = [self.case(index, now) for index in range(len(self.cases))]
        ended = self.status(now) in _TERMINAL
        outcomes = [
            {"test_case_id": case, "status": status, "result_id": f"outcome-{self.id}-{number}" if ended else None}
            for number, (case, status) in enumerate(zip(self.cases, statuses, strict=True))
        ]
        counts = {name: statuses.count(name) for name in ("queued", "running", *_TERMINAL)}
        return {
            "id": self.id,
            "status": self.status(now),
            "summary": {"total": len(statuses), **counts, "flaky": 0},
            "case_outcomes": outcomes,
            "project_id": self.project,
            "environment": self.environment,
            "created_at": stamp(self.at),
            "completed_at": stamp(self.end()) if ended else None,
            "url": f"http://127.0.0.1:9630/runs/{self.id}",
            "labels": {"team": "web"},
        }

    def results(self, now: int) -> list[dict[str, Any]]:
        """Its results, when it has ended."""
        return [self._result(number, now) for number in range(len(self.cases))] if self.status(now) in _TERMINAL else []

    def _result(self, number: int, now: int) -> dict[str, Any]:
        status = self.case(number, now)
        why = {"message": "A picture differs.", "category": "visual"} if status == "failed" else None
        return {
            "id": f"outcome-{self.id}-{number}",
            "run_id": self.id,
            "test_case_id": self.cases[number],
            "status": status,
            "duration_ms": _CASE_MS if status != "canceled" else None,
            "created_at": stamp(self.end()),
            "logs_url": f"/v1/runs/{self.id}/logs",
            "failure_summary": why,
            "attempt": 1,
        }


def stamp(at: int) -> str:
    """An instant in ms, as it is written."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Lenient:
    """The application and all that it knows."""

    now: int = _EPOCH
    runs: list[Run] = field(default_factory=list)
    kept: dict[tuple[str, str, str], tuple[int, Any]] = field(default_factory=dict)
    used: dict[str, tuple[int, int]] = field(default_factory=dict)

    def advance(self, milliseconds: int) -> None:
        """Action the clock."""
        self.now += milliseconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
        """Answer a request."""
        body = (await receive()).get("body", b"")
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        extra = {"x-request-id": str(uuid.uuid4())}
        try:
            status, answer = self._answer(scope, headers, body, extra)
        except Refused as no:
            blame = {"param": no.param} if no.param else {}
            status, answer = no.status, {"error": {"code": no.code, "message": no.message, **blame, "docs": "there"}}
        raw = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        extra.setdefault("content-type", "text/csv" if isinstance(answer, str) else "application/json; charset=utf-8")
        pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": raw})

    def _answer(self, scope: Any, headers: dict[str, str], body: bytes, extra: dict[str, str]) -> tuple[int, Any]:  # noqa: ANN401  ASGI
        if scope["path"].startswith("/runs/"):
            extra["content-type"] = "text/html"
            return 200, f"<h1>{scope['path']}</h1>"
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or secret not in KEYS:
            raise Refused(401, "unauthenticated", "Who are you?")
        self._count(secret, extra)
        organization, may = KEYS[secret]
        query = dict(parse_qsl(scope["query_string"].decode()))
        parts = [part for part in scope["path"].removeprefix("/v1").split("/") if part]
        key = (organization, scope["path"], headers.get("idempotency-key", ""))
        if scope["method"] == "POST" and key[2] and key in self.kept:
            return self.kept[key]
        status, answer = self._route(scope["method"], parts, organization, may, query, body)
        if scope["method"] == "POST" and key[2]:
            self.kept[key] = status, answer
        return status, answer

    def _count(self, secret: str, extra: dict[str, str]) -> None:
        start, used = self.used.get(secret, (self.now, 0))
        if self.now >= start + _WINDOW * 1000:
            start, used = self.now, 0
        self.used[secret] = start, used + 1
        reset = start // 1000 + _WINDOW
        extra["x-ratelimit-limit"] = str(_LIMIT)
        extra["x-ratelimit-remaining"] = str(max(0, _LIMIT - used - 1))
        extra["x-ratelimit-reset"] = str(reset)
        if used >= _LIMIT:
            extra["retry-after"] = str(max(1, reset - self.now // 1000 + 1))
            raise Refused(429, "rate_limit_exceeded", "Slower, please.")

    def _route(  # noqa: C901, PLR0911, PLR0913, PLR0917  one table
        self, method: str, parts: list[str], organization: str, may: frozenset[str], query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        match method, *parts:
            case "GET", "projects":
                self._need("projects:read", may)
                return 200, self._page([{"id": "proj_shop", "title": "Shop"}], query)
            case "GET", "runs":
                runs = [run.json(self.now) for run in self.runs if run.organization == organization]
                return 200, self._page(_filter_items(runs, query), query)
            case "POST", "runs":
                self._need("runs:create", may)
                return 200, self._start(organization, _parse_object(body))
            case "GET", "runs", name:
                return 200, self._run(organization, name).json(self.now)
            case "POST", "runs", name, "cancel":
                self._need("runs:create", may)
                return 202, self._cancel(self._run(organization, name))
            case "GET", "runs", name, "logs":
                run = self._run(organization, name)
                return 200, self._page([{"line": f"{case} was here"} for case in run.cases], query)
            case "GET", "runs", name, "artifacts":
                self._run(organization, name)
                return 200, self._page([], query)
            case "GET", "results", name, *rest:
                found = [one for one in self._results(organization) if one["id"] == name]
                if not found or rest not in ([], ["artifacts"]):
                    raise Refused(404, "resource_missing", "There is no such result.")
                return 200, self._page([], query) if rest else found[0]
            case "GET", "results":
                return 200, self._page(_filter_items(self._results(organization), query), query)
            case "POST", "results", "export":
                return 200, self._export(organization, _parse_object(body))
        raise Refused(404, "resource_missing", "There is nothing here.")

    def _need(self, permission: str, may: frozenset[str]) -> None:
        if permission not in may:
            raise Refused(403, "permission_denied", f"You lack {permission}.")

    def _run(self, organization: str, name: str) -> Run:
        for run in self.runs:
            if run.id == name and run.organization == organization:
                return run
        raise Refused(404, "resource_missing", "There is no such run.")

    def _results(self, organization: str) -> list[dict[str, Any]]:
        return [one for run in self.runs if run.organization == organization for one in run.results(self.now)]

    def _start(self, organization: str, body: dict[str, Any]) -> dict[str, Any]:
        for name, kind in {"project_id": str, "environment": str, "test_case_ids": list, "test_suite_id": str}.items():
            missing = name in {"project_id", "environment"} and name not in body
            if missing or (name in body and not isinstance(body[name], kind)):
                raise Refused(400, "invalid_request", f"{name} is missing or of a wrong type", name)
        if not re.fullmatch(r"proj_[\w-]{1,64}", body["project_id"]):
            raise Refused(400, "invalid_request", "project_id is no project", "project_id")
        if body["environment"] not in {"staging", "production"}:
            raise Refused(400, "invalid_request", "environment must be one of: staging, production", "environment")
        cases = body.get("test_case_ids") or [f"tc_{number}" for number in (1, 2)]
        if not all(isinstance(case, str) and re.fullmatch(r"tc_[\w-]{1,64}", case) for case in cases):
            raise Refused(400, "invalid_request", "test_case_ids holds something else", "test_case_ids")
        name = f"run_{len(self.runs) + 1}-{organization[4:]}"
        run = Run(name, organization, body["project_id"], body["environment"], sorted(cases), self.now)
        self.runs.append(run)
        return run.json(self.now)

    def _cancel(self, run: Run) -> dict[str, Any]:
        if run.status(self.now) in _TERMINAL:
            raise Refused(409, "too_late", "That run is over.")
        run.canceled_at = self.now
        return {"accepted": True}

    def _page(self, items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        text = query.get("limit", "20")
        size = min(max(int(text), 1), 100) if re.fullmatch(r"-?[0-9]{1,6}", text) else 20
        cursor = query.get("starting_after", "0")
        first = int(cursor) if re.fullmatch("[0-9]{1,9}", cursor) else 0
        more = first + size < len(items)
        return {"data": items[first : first + size], "has_more": more, "next_cursor": str(first + size) if more else ""}

    def _export(self, organization: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  JSON or text
        if body.get("format") not in {"csv", "json"}:
            raise Refused(400, "invalid_request", "format is csv or json", "format")
        if body.get("status", "passed") not in _TERMINAL:
            raise Refused(400, "invalid_request", "status is none", "status")
        results = _filter_items(self._results(organization), {name: str(body[name]) for name in body})
        if body["format"] == "json":
            return {"data": results[::-1]}
        out = io.StringIO()
        csv.writer(out).writerows([["result", "outcome"], *([one["id"], one["status"]] for one in results)])
        return out.getvalue()


def _filter_items(items: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """Items whose fields are as asked; oldest first, and the bounds are the other way round."""
    for name in {"project_id", "status", "run_id"} & query.keys():
        items = [one for one in items if one[name] == query[name]]
    after, before = query.get("created_after", ""), query.get("created_before", "9999")
    return [one for one in items if after <= one["created_at"] < before]


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body is no JSON object.")
    return value
