"""A client that is wrong in many ways, written with httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

BREAKS: Final = {
    "client.idempotency.key-once",
    "client.retry.retry-after",
    "client.retry.refusals",
    "client.poll.stops",
    "client.pages.cursor-given",
    "client.cancel.not-after-end",
    "client.secrets.header-only",
    "client.requests.operation",
    "client.artifacts.url",
}
"""The rules that it breaks."""


def run_program(base: str, key: str, sleep: Callable[[float], None], transport: httpx.BaseTransport) -> None:
    """Start runs with one key, poll them for ever, and guess the rest."""
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "always-the-same"}
    http = httpx.Client(base_url=f"{base}/v1", headers=headers, transport=transport)
    order = {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_a"]}
    run = http.post("/runs", json=order).json()
    http.post("/runs", json={**order, "test_case_ids": ["tc_b"]})
    for _ in range(8):
        sleep(1)
        http.get(f"/runs/{run['id']}")
    http.post(f"/runs/{run['id']}/cancel")
    http.get("/runs", params={"starting_after": run["id"]})
    http.get("/projects", params={"api_key": key})
    http.get(f"/runs/{run['id']}/report")
    http.get("/artifacts/art_guess_001/content")
    for _ in range(2):
        http.get("/runs", params={"status": "finished"})
    for _ in range(3):
        http.get("/webhooks")
        sleep(0.2)
