"""Clients with one planted defect each: a few requests to a rig, and the rule that they break."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.client_programs.rig import LOST, Answer, LostAnswerError, Rig
from tests.zof import ADMIN, EXPIRED

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER: Final = {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_a"]}
SLOW: Final = {**ORDER, "test_case_ids": ["tc_slow_a", "tc_slow_b", "tc_slow_c"]}
_EVENTS: Final = {"url": "https://example.com/hook", "events": ["run.completed"], "secret": "0123456789abcdef"}


@dataclass
class Caller:
    """Sends requests to a rig."""

    rig: Rig
    key: str = ADMIN
    prefix: str = "/v1"

    def __call__(  # noqa: PLR0913  the parts of a request
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        idem: str = "",
        scheme: str = "Bearer",
        content_type: str = "application/json",
        **headers: str,
    ) -> Answer:
        """Send one request; the answer has status 0 if it was lost."""
        given = [("Authorization", f"{scheme} {self.key}"), *headers.items()]
        given += [("Idempotency-Key", idem)] if idem else []
        given += [] if body is None else [("Content-Type", content_type)]
        content = b"" if body is None else json.dumps(body).encode()
        try:
            return self.rig.call(method, self.prefix + path, given, content)
        except LostAnswerError:
            return Answer(0, [], b"")

    def start(self, order: dict[str, Any] = ORDER, idem: str = "k1") -> str:
        """Start a run; its ID."""
        identifier: str = self("POST", "/runs", order, idem=idem).json["id"]
        return identifier

    def repeat(self, waits: list[float], method: str, path: str, body: object = None, **options: str) -> None:
        """Send a request once, and again after each wait, as long as it fails."""
        answer = self(method, path, body, **options)
        for wait in waits:
            if 0 < answer.status < 429:
                return
            self.rig.sleep(wait)
            answer = self(method, path, body, **options)


def _start_without_key(call: Caller) -> None:
    call("POST", "/runs", ORDER)


def _new_key_for_each_attempt(call: Caller) -> None:
    call.rig.fail("POST /v1/runs", [503])
    call("POST", "/runs", ORDER, idem="k1")
    call.rig.sleep(1)
    call("POST", "/runs", ORDER, idem="k2")


def _other_body_in_the_retry(call: Caller) -> None:
    call.rig.fail("POST /v1/runs", [503])
    call("POST", "/runs", ORDER, idem="k1")
    call.rig.sleep(1)
    call("POST", "/runs", SLOW, idem="k1")


def _one_key_for_two_runs(call: Caller) -> None:
    call.start()
    call("POST", "/runs", SLOW, idem="k1")


def _export_repeated_without_key(call: Caller) -> None:
    call.rig.fail("POST /v1/results/export", [LOST])
    call("POST", "/results/export", {"format": "csv"})
    call.rig.sleep(1)
    call("POST", "/results/export", {"format": "csv"})


def _retry_after_ignored(call: Caller) -> None:
    call.rig = call.rig.restart(rate=2)
    call("GET", "/projects")
    call("GET", "/webhooks")
    call.repeat([1, 70], "GET", "/projects")


def _no_retry_after_500(call: Caller) -> None:
    call.rig.fail("GET /v1/projects", [500])
    call("GET", "/projects")


def _no_retry_after_429(call: Caller) -> None:
    call.rig = call.rig.restart(rate=1)
    call("GET", "/projects")
    call("GET", "/webhooks")


def _constant_waits(call: Caller) -> None:
    call.rig.fail("GET /v1/projects", [500, 500, 500])
    call.repeat([1, 0.99, 1.01], "GET", "/projects")


def _no_jitter(call: Caller) -> None:
    for path in ("projects", "webhooks"):
        call.rig.fail(f"GET /v1/{path}", [500, 500])
        call.repeat([0.5, 1], "GET", f"/{path}")


def _endless_retries(call: Caller) -> None:
    call.rig.fail("GET /v1/projects", [500] * 12)
    call.repeat([0.1 * 1.3**index for index in range(12)], "GET", "/projects")


def _refused_request_repeated(call: Caller) -> None:
    for _ in range(2):
        call("GET", "/runs?limit=0")
        call.rig.sleep(1)


def _polling_after_the_end(call: Caller) -> None:
    run = call.start()
    for _ in range(6):
        call.rig.sleep(1)
        call("GET", f"/runs/{run}")


def _polling_without_pause(call: Caller) -> None:
    run = call.start(SLOW)
    for _ in range(3):
        call.rig.sleep(0.1)
        call("GET", f"/runs/{run}")


def _polling_beside_a_webhook(call: Caller) -> None:
    call("POST", "/webhooks", _EVENTS, idem="w1")
    run = call.start(SLOW)
    for _ in range(3):
        call.rig.sleep(1)
        call("GET", f"/runs/{run}")


def _built_cursor(call: Caller) -> None:
    run = call.start()
    call("GET", f"/runs?starting_after={run}")


def _cursor_with_other_filters(call: Caller) -> None:
    for number in range(3):
        call.start(idem=f"k{number}")
    cursor = call("GET", "/runs?limit=1").json["next_cursor"]
    call("GET", f"/runs?limit=1&status=queued&starting_after={cursor}")


def _first_page_only(call: Caller) -> None:
    run = call.start({**ORDER, "test_case_ids": [f"tc_{number}" for number in range(25)]})
    call.rig.sleep(60)
    call("GET", f"/results?run_id={run}")


def _canceled_twice(call: Caller) -> None:
    run = call.start(SLOW)
    call("POST", f"/runs/{run}/cancel", idem="c1")
    call("GET", f"/runs/{run}")
    call("POST", f"/runs/{run}/cancel", idem="c2")


def _canceled_after_the_end(call: Caller) -> None:
    run = call.start()
    call.rig.sleep(10)
    call("GET", f"/runs/{run}")
    call("POST", f"/runs/{run}/cancel", idem="c1")


def _key_in_the_query(call: Caller) -> None:
    call("GET", f"/projects?api_key={ADMIN}")


def _key_in_the_body(call: Caller) -> None:
    call("POST", "/runs", {**ORDER, "token": ADMIN}, idem="k1")


def _key_in_another_header(call: Caller) -> None:
    call("GET", "/projects", **{"X-Api-Key": ADMIN})


def _scheme_token(call: Caller) -> None:
    call("GET", "/projects", scheme="Token")


def _drop_tls(call: Caller) -> None:
    call.rig.base = "http://api.zof.ai"
    call("GET", "/projects")


def _on_with_a_refused_key(call: Caller) -> None:
    call.key = EXPIRED
    call("GET", "/projects")
    call("GET", "/webhooks")


def _on_with_an_unknown_run(call: Caller) -> None:
    call("GET", "/runs/run_missing")
    call("GET", "/runs/run_missing/logs")


def _unknown_operation(call: Caller) -> None:
    call("GET", "/runs/run_1/report")


def _unknown_parameter(call: Caller) -> None:
    call("GET", "/runs?page=2")


def _unknown_field(call: Caller) -> None:
    call("POST", "/runs", {**ORDER, "priority": "high"}, idem="k1")


def _wrong_content_type(call: Caller) -> None:
    call("POST", "/runs", ORDER, idem="k1", content_type="text/plain")


def _undocumented_field_used(call: Caller) -> None:
    call.rig.extra = {"shortcut": "proj_from_nowhere"}
    call("GET", "/projects")
    call.rig.extra = {}
    call("GET", "/runs?project_id=proj_from_nowhere")


def _artifact_address_built(call: Caller) -> None:
    run = call.start()
    call.rig.sleep(10)
    artifact = call("GET", f"/runs/{run}/artifacts").json["data"][0]
    call("GET", f"/runs/{run}/artifacts/{artifact['id']}/content")


DEFECTS: Final[dict[Callable[[Caller], None], str]] = {
    _start_without_key: "client.idempotency.start-has-key",
    _new_key_for_each_attempt: "client.idempotency.retry-same",
    _other_body_in_the_retry: "client.idempotency.retry-same",
    _one_key_for_two_runs: "client.idempotency.key-once",
    _export_repeated_without_key: "client.idempotency.unkeyed-once",
    _retry_after_ignored: "client.retry.retry-after",
    _no_retry_after_500: "client.retry.transient",
    _no_retry_after_429: "client.retry.transient",
    _constant_waits: "client.retry.growing",
    _no_jitter: "client.retry.jitter",
    _endless_retries: "client.retry.bounded",
    _refused_request_repeated: "client.retry.refusals",
    _polling_after_the_end: "client.poll.stops",
    _polling_without_pause: "client.poll.interval",
    _polling_beside_a_webhook: "client.poll.webhook",
    _built_cursor: "client.pages.cursor-given",
    _cursor_with_other_filters: "client.pages.same-list",
    _first_page_only: "client.pages.to-end",
    _canceled_twice: "client.cancel.once",
    _canceled_after_the_end: "client.cancel.not-after-end",
    _key_in_the_query: "client.secrets.header-only",
    _key_in_the_body: "client.secrets.header-only",
    _key_in_another_header: "client.secrets.header-only",
    _scheme_token: "client.secrets.scheme",
    _drop_tls: "client.secrets.tls",
    _on_with_a_refused_key: "client.errors.unauthorized",
    _on_with_an_unknown_run: "client.errors.not-found",
    _unknown_operation: "client.requests.operation",
    _unknown_parameter: "client.requests.known",
    _unknown_field: "client.requests.known",
    _wrong_content_type: "client.requests.json",
    _undocumented_field_used: "client.responses.documented",
    _artifact_address_built: "client.artifacts.url",
}
"""Each defect, and the rule that it breaks."""
