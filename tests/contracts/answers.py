"""Made-up answers and targets with one answer, for the tests of checks, probes and runner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.exchange import Exchange, Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from zof_contracts.evidence.exchange import Headers
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.target.transport import App

NOW: Final = 1_767_225_600
QUOTA: Final = (
    ("x-ratelimit-limit", "100"),
    ("x-ratelimit-remaining", "99"),
    ("x-ratelimit-reset", str(NOW + 60)),
)
RUN: Final[dict[str, Any]] = {
    "id": "run_1",
    "organization_id": "org_abc",
    "project_id": "proj_abc123",
    "environment": "staging",
    "status": "passed",
    "test_suite_id": None,
    "summary": {"total": 1, "queued": 0, "running": 0, "passed": 1, "failed": 0, "error": 0, "canceled": 0},
    "created_at": "2026-01-01T00:00:00Z",
    "started_at": "2026-01-01T00:00:00Z",
    "completed_at": "2026-01-01T00:00:01Z",
    "duration_ms": 900,
    "url": "http://127.0.0.1:9630/runs/run_1",
    "case_outcomes": [{"test_case_id": "tc_a", "status": "passed", "result_id": "res_1", "duration_ms": 900}],
}
"""A run that has passed."""
RESULT: Final[dict[str, Any]] = {
    "id": "res_1",
    "run_id": "run_1",
    "project_id": "proj_abc123",
    "test_case_id": "tc_a",
    "environment": "staging",
    "status": "passed",
    "duration_ms": 900,
    "created_at": "2026-01-01T00:00:01Z",
    "started_at": "2026-01-01T00:00:00Z",
    "completed_at": "2026-01-01T00:00:01Z",
    "logs_url": "http://127.0.0.1:9630/v1/runs/run_1/logs",
    "failure_summary": None,
}
"""A result that has passed."""


class Teller:
    """Makes exchanges, each with a number and a request ID of its own."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(  # noqa: PLR0913  what an exchange has
        self,
        path: str,
        body: object = None,
        status: int = 200,
        *,
        method: str = "GET",
        headers: Headers = QUOTA,
        sent: Headers = (),
        query: str = "",
        without: str = "",
    ) -> Exchange:
        """An exchange with a JSON answer, or with bytes; `without` one header."""
        self.number += 1
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = (("content-type", "application/json"), ("x-request-id", f"req_{self.number:020}"), *headers)
        kept = tuple((name, value) for name, value in dict(given).items() if name != without)
        operation = load_contract().find_operation(method, path)
        name = operation.id if operation else ""
        request = Request(method, path, query, sent)
        return Exchange(self.number, request, Response(status, kept, content), name, NOW + self.number, 0.001)


def rules(ledger: Ledger) -> list[str]:
    """The rules that were seen broken, each once."""
    return sorted({finding.rule.name for finding in ledger.findings.values()})


def one(ledger: Ledger) -> Finding:
    """The only finding."""
    (finding,) = ledger.findings.values()
    return finding


def answer_with(status: int, body: bytes, *headers: tuple[str, str]) -> App:
    """An application that answers everything is_consistent."""

    async def app(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        del scope, receive
        given = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": body})

    return app
