"""Who may do what: keys, permissions and tenants (section 3), and when they are judged (section 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zof_contracts.checks.objects import is_consistent
from zof_contracts.probes.context import FORBIDDEN, NOT_FOUND, UNKNOWN_RESULT, UNKNOWN_RUN, ProbeContext, describe
from zof_contracts.target.requests import build_post, build_request

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Request

_EXPORT = {"format": "json", "run_id": UNKNOWN_RUN}


def _every_operation(context: ProbeContext) -> list[Request]:
    reading = [
        build_request("GET", path)
        for path in (
            "/runs",
            f"/runs/{UNKNOWN_RUN}",
            f"/runs/{UNKNOWN_RUN}/logs",
            f"/runs/{UNKNOWN_RUN}/artifacts",
            "/results",
            f"/results/{UNKNOWN_RESULT}",
            f"/results/{UNKNOWN_RESULT}/artifacts",
            "/artifacts/art_that_is_missing/content",
            "/projects",
        )
    ]
    changing = [build_post("/runs", {}), build_post(f"/runs/{UNKNOWN_RUN}/cancel")] if context.can_start_runs else []
    return [*reading, build_post("/results/export", _EXPORT), *changing]


def keys(context: ProbeContext) -> None:
    """No key, made-up keys and an expired one open nothing; the valid one opens the lists."""
    for path in ("/runs", "/results", "/projects"):
        answer = context.client.get(path)
        said = answer.response.status
        rule = "auth.projects-reader" if path == "/projects" else "auth.key-accepted"
        if answer.response.ok and answer.response.json is not None:
            context.ledger.record_kept("auth.key-accepted", answer)
        if said in {401, FORBIDDEN} and context.has_answered():
            context.ledger.record_violation(rule, expected="2xx for a valid key", got=describe(answer), trace=answer)
        elif answer.response.items and path == "/projects":
            context.ledger.record_kept(rule, answer)
    for request in _every_operation(context):
        answer = context.client.send(replace(request, key=""))
        context.expect_unauthorized("auth.key-required", answer, "no key")
    made_up = replace(build_request("GET", "/runs"), key="zof_no_such_key_at_all")
    basic = replace(build_request("GET", "/runs"), key="main", authorization="Basic {key}")
    empty = replace(build_request("GET", "/runs"), key="main", authorization="Bearer")
    for request, what in ((made_up, "a made-up key"), (basic, "Basic"), (empty, "Bearer without a key")):
        context.expect_unauthorized("auth.key-invalid", context.client.send(request), what)
    if context.has("expired"):
        context.expect_unauthorized("auth.key-expired", context.client.get("/runs", key="expired"), "an expired key")
    wrong = [
        replace(build_request("GET", "/runs", limit=0), key=""),
        replace(build_post("/results/export", b"{"), key=""),
    ]
    for request in wrong:
        rule = "conventions.order.key-before-query"
        context.expect_unauthorized(rule, context.client.send(request), "a wrong query or body without a key")


def _forbidden(context: ProbeContext, rule: str, exchange: Exchange, what: str) -> None:
    if context.is_conclusive(rule, exchange, FORBIDDEN) or exchange.response.status == NOT_FOUND:
        right = exchange.response.status == FORBIDDEN
        context.check(rule, right, expected=f"403 for {what}", got=describe(exchange), trace=exchange)


def permissions(context: ProbeContext) -> None:
    """A key without runs:create reads everything, and starts and cancels nothing."""
    run = context.find_ended_run()
    run_id = run.response.fields["id"]
    result = next(iter(context.results(run_id)), {}).get("id", UNKNOWN_RESULT)
    for key in ("readonly", "no-webhooks"):
        if context.has(key):
            other = context.client.get(f"/runs/{run_id}", key=key)
            same = other.response.ok and is_consistent(run.response.json, other.response.json)
            rule = "auth.several-keys"
            context.check(rule, same, expected="the same run for another key", got=describe(other), trace=[run, other])
            break
    if context.has("no-projects"):
        answer = context.client.get("/projects", key="no-projects")
        _forbidden(context, "auth.projects-permission", answer, "a key without projects:read")
    if not context.has("readonly"):
        return
    for path in ("/results", f"/runs/{run_id}/logs", f"/runs/{run_id}/artifacts", f"/results/{result}"):
        _reader(context, context.client.get(path, key="readonly"))
    _reader(context, context.client.post("/results/export", _EXPORT, key="readonly"))
    before = context.client.get("/runs", key="readonly", limit=1)
    _reader(context, before)
    if not context.can_start_runs:
        return
    _starts_nothing(context, context.require_ok(before))
    canceled = context.client.post(f"/runs/{run_id}/cancel", key="readonly")
    _forbidden(context, "auth.cancel-permission", canceled, "a cancel with a key without runs:create")
    empty = context.client.post("/runs", {}, key="readonly")
    _forbidden(context, "conventions.order.permission-before-body", empty, "an empty start without runs:create")


def _starts_nothing(context: ProbeContext, before: Exchange) -> None:
    rule = "auth.start-permission"
    started = context.client.start(key="readonly")
    after = context.require_ok(context.client.get("/runs", key="readonly", limit=1))
    if started.response.status == FORBIDDEN and _first(after) != _first(before):
        trace = [before, started, after]
        context.ledger.record_violation(rule, expected="no run after a 403", got="another newest run", trace=trace)
    else:
        _forbidden(context, rule, started, "a start with a key without runs:create")


def _first(page: Exchange) -> object:
    return next((item.get("id") for item in page.response.items), None)


def _reader(context: ProbeContext, exchange: Exchange) -> None:
    if exchange.response.ok or exchange.response.status in {401, FORBIDDEN, NOT_FOUND}:
        rule = "auth.readers"
        context.check(rule, exchange.response.ok, expected="2xx for any key", got=describe(exchange), trace=exchange)


def tenants(context: ProbeContext) -> None:
    """Another organization sees nothing of ours."""
    if not context.has("other-org"):
        return
    run = context.find_ended_run()
    run_id = run.response.fields["id"]
    results, artifacts = context.results(run_id), context.artifacts(run_id)
    get = context.client.get
    for path in ("", "/logs", "/artifacts"):
        context.expect_not_found("tenants.run", get(f"/runs/{run_id}{path}", key="other-org"), [run])
    if context.can_start_runs:
        context.expect_not_found("tenants.run", context.client.post(f"/runs/{run_id}/cancel", key="other-org"), [run])
    for result in results[:1]:
        for path in ("", "/artifacts"):
            context.expect_not_found(
                "tenants.result", get(f"/results/{result.get('id')}{path}", key="other-org"), [run]
            )
    for artifact in artifacts[:1]:
        path = f"/artifacts/{artifact.get('id')}/content"
        context.expect_not_found("tenants.artifact", get(path, key="other-org"), [run])
    ours = {run_id, *(result.get("id") for result in results)}
    export = context.client.post("/results/export", {"format": "json"}, key="other-org")
    for answer in (get("/runs", key="other-org", limit=100), get("/results", key="other-org", limit=100), export):
        if answer.response.ok:
            seen = [item for item in answer.response.items if item.get("id") in ours or item.get("run_id") in ours]
            got = "a resource of the first organization"
            context.check("tenants.lists", not seen, expected="nothing of ours", got=got, trace=[run, answer])
