"""Requests that stories about runs do not have: other lists, unknown names and invalid requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_contracts.contract.document import PREFIX
from zof_contracts.evidence.exchange import Request
from zof_contracts.target.requests import build_post, build_request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from zof_contracts.target.target import Target


def list_requests(target: Target, keys: Collection[str]) -> Iterator[Request]:
    """Yield the requests of a tour; none of them starts a run.

    Args:
        target: the deployment, whose references the requests use.
        keys: the names of the keys of the other deployment; only keys that both have are used.
    """
    run: dict[str, object] = {
        "project_id": target.project,
        "environment": target.environment,
        "test_case_ids": list(target.cases),
    }
    yield build_request("GET", "/projects", limit=1)
    yield build_request("GET", "/webhooks", limit=1)
    for path in ("/runs/run_missing", "/runs/run_missing/logs", "/runs/run_missing/artifacts"):
        yield build_request("GET", path)
    for path in ("/results/res_missing", "/results/res_missing/artifacts", "/artifacts/art_missing/content"):
        yield build_request("GET", path)
    yield build_post("/runs/run_missing/cancel")
    yield build_post("/webhooks/wh_missing/test")
    for path in ("/runs", "/results", "/projects", "/webhooks"):
        yield build_request("GET", path, limit=0)
        yield build_request("GET", path, starting_after="nothing")
        yield build_request("GET", path, unknown="1")
        yield build_request("GET", path, key="")
    for name in run:
        yield build_post("/runs", {key: value for key, value in run.items() if key != name})
    yield build_post("/runs", {**run, "test_suite_id": target.suite})
    yield build_post("/runs", {**run, "environment": "nowhere"})
    yield build_post("/runs", {**run, "test_case_ids": []})
    yield build_post("/runs", {**run, "unknown": 1})
    yield build_post("/runs", b"{")
    yield build_post("/runs")
    yield build_post("/results/export", {"format": "xml"})
    yield build_post("/webhooks", {"url": "https://receiver.example/hook", "events": []})
    yield build_request("GET", "/nothing")
    yield Request("DELETE", f"{PREFIX}/runs")
    yield from _list_forbidden(target, keys, run)


def _list_forbidden(target: Target, keys: Collection[str], run: dict[str, object]) -> Iterator[Request]:
    """Yield the requests that keys without a permission may not send."""
    both = target.keys.keys() & set(keys)
    if "readonly" in both:
        yield build_post("/runs", run, key="readonly")
    if "no-webhooks" in both:
        yield build_request("GET", "/webhooks", key="no-webhooks")
    if "expired" in both:
        yield build_request("GET", "/runs", key="expired")
