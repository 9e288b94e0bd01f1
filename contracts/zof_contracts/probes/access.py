"""Who may do what: keys, permissions and tenants (section 3), and when they are judged (section 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zof_contracts.checks.objects import alike
from zof_contracts.probes.context import FORBIDDEN, NOT_FOUND, UNKNOWN_RESULT, UNKNOWN_RUN, ProbeContext, told
from zof_contracts.target.client import asked, posted

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Request

_EXPORT = {"format": "json", "run_id": UNKNOWN_RUN}


def _every_operation(bench: ProbeContext) -> list[Request]:
    reading = [
        asked("GET", path)
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
    changing = [posted("/runs", {}), posted(f"/runs/{UNKNOWN_RUN}/cancel")] if bench.full else []
    return [*reading, posted("/results/export", _EXPORT), *changing]


def keys(bench: ProbeContext) -> None:
    """No key, made-up keys and an expired one open nothing; the valid one opens the lists."""
    for path in ("/runs", "/results", "/projects"):
        answer = bench.client.get(path)
        said = answer.response.status
        rule = "auth.projects-reader" if path == "/projects" else "auth.key-accepted"
        if answer.response.ok and answer.response.json is not None:
            bench.session.kept("auth.key-accepted", answer)
        if said in {401, FORBIDDEN} and bench.answers():
            bench.session.broken(rule, expected="2xx for a valid key", got=told(answer), trace=answer)
        elif answer.response.items and path == "/projects":
            bench.session.kept(rule, answer)
    for request in _every_operation(bench):
        answer = bench.client.send(replace(request, key=""))
        bench.unauthorized("auth.key-required", answer, "no key")
    made_up = replace(asked("GET", "/runs"), key="zof_no_such_key_at_all")
    basic = replace(asked("GET", "/runs"), key="main", authorization="Basic {key}")
    empty = replace(asked("GET", "/runs"), key="main", authorization="Bearer")
    for request, what in ((made_up, "a made-up key"), (basic, "Basic"), (empty, "Bearer without a key")):
        bench.unauthorized("auth.key-invalid", bench.client.send(request), what)
    if bench.has("expired"):
        bench.unauthorized("auth.key-expired", bench.client.get("/runs", key="expired"), "an expired key")
    wrong = [replace(asked("GET", "/runs", limit=0), key=""), replace(posted("/results/export", b"{"), key="")]
    for request in wrong:
        rule = "conventions.order.key-before-query"
        bench.unauthorized(rule, bench.client.send(request), "a wrong query or body without a key")


def _forbidden(bench: ProbeContext, rule: str, exchange: Exchange, what: str) -> None:
    if bench.judged(rule, exchange, FORBIDDEN) or exchange.response.status == NOT_FOUND:
        right = exchange.response.status == FORBIDDEN
        bench.check(rule, right, expected=f"403 for {what}", got=told(exchange), trace=exchange)


def permissions(bench: ProbeContext) -> None:
    """A key without runs:create reads everything, and starts and cancels nothing."""
    run = bench.ended()
    run_id = run.response.fields["id"]
    result = next(iter(bench.results(run_id)), {}).get("id", UNKNOWN_RESULT)
    for key in ("readonly", "no-webhooks"):
        if bench.has(key):
            other = bench.client.get(f"/runs/{run_id}", key=key)
            same = other.response.ok and alike(run.response.json, other.response.json)
            rule = "auth.several-keys"
            bench.check(rule, same, expected="the same run for another key", got=told(other), trace=[run, other])
            break
    if bench.has("no-projects"):
        answer = bench.client.get("/projects", key="no-projects")
        _forbidden(bench, "auth.projects-permission", answer, "a key without projects:read")
    if not bench.has("readonly"):
        return
    for path in ("/results", f"/runs/{run_id}/logs", f"/runs/{run_id}/artifacts", f"/results/{result}"):
        _reader(bench, bench.client.get(path, key="readonly"))
    _reader(bench, bench.client.post("/results/export", _EXPORT, key="readonly"))
    before = bench.client.get("/runs", key="readonly", limit=1)
    _reader(bench, before)
    if not bench.full:
        return
    _starts_nothing(bench, bench.must(before))
    canceled = bench.client.post(f"/runs/{run_id}/cancel", key="readonly")
    _forbidden(bench, "auth.cancel-permission", canceled, "a cancel with a key without runs:create")
    empty = bench.client.post("/runs", {}, key="readonly")
    _forbidden(bench, "conventions.order.permission-before-body", empty, "an empty start without runs:create")


def _starts_nothing(bench: ProbeContext, before: Exchange) -> None:
    rule = "auth.start-permission"
    started = bench.client.start(key="readonly")
    after = bench.must(bench.client.get("/runs", key="readonly", limit=1))
    if started.response.status == FORBIDDEN and _first(after) != _first(before):
        trace = [before, started, after]
        bench.session.broken(rule, expected="no run after a 403", got="another newest run", trace=trace)
    else:
        _forbidden(bench, rule, started, "a start with a key without runs:create")


def _first(page: Exchange) -> object:
    return next((item.get("id") for item in page.response.items), None)


def _reader(bench: ProbeContext, exchange: Exchange) -> None:
    if exchange.response.ok or exchange.response.status in {401, FORBIDDEN, NOT_FOUND}:
        rule = "auth.readers"
        bench.check(rule, exchange.response.ok, expected="2xx for any key", got=told(exchange), trace=exchange)


def tenants(bench: ProbeContext) -> None:
    """Another organization sees nothing of ours."""
    if not bench.has("other-org"):
        return
    run = bench.ended()
    run_id = run.response.fields["id"]
    results, artifacts = bench.results(run_id), bench.artifacts(run_id)
    get = bench.client.get
    for path in ("", "/logs", "/artifacts"):
        bench.missing("tenants.run", get(f"/runs/{run_id}{path}", key="other-org"), [run])
    if bench.full:
        bench.missing("tenants.run", bench.client.post(f"/runs/{run_id}/cancel", key="other-org"), [run])
    for result in results[:1]:
        for path in ("", "/artifacts"):
            bench.missing("tenants.result", get(f"/results/{result.get('id')}{path}", key="other-org"), [run])
    for artifact in artifacts[:1]:
        path = f"/artifacts/{artifact.get('id')}/content"
        bench.missing("tenants.artifact", get(path, key="other-org"), [run])
    ours = {run_id, *(result.get("id") for result in results)}
    export = bench.client.post("/results/export", {"format": "json"}, key="other-org")
    for answer in (get("/runs", key="other-org", limit=100), get("/results", key="other-org", limit=100), export):
        if answer.response.ok:
            seen = [item for item in answer.response.items if item.get("id") in ours or item.get("run_id") in ours]
            got = "a resource of the first organization"
            bench.check("tenants.lists", not seen, expected="nothing of ours", got=got, trace=[run, answer])
