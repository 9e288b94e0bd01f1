"""Keys, permissions and tenants (section 3), and when they are judged (section 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.claims import check_same_run, check_status, describe
from zof_contracts.checks.objects import is_consistent
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import (
    FORBIDDEN,
    NOT_FOUND,
    UNKNOWN_ARTIFACT,
    UNKNOWN_RESULT,
    UNKNOWN_RUN,
    UNKNOWN_WEBHOOK,
    Probe,
    ProbeContext,
)
from zof_contracts.probes.presence import skip_if_absent
from zof_contracts.target.requests import build_post, build_request

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Request

_EXPORT = {"format": "json", "run_id": UNKNOWN_RUN}
_READING: Final = "exportResults"
"""The operation that reads by POST."""
_UNKNOWN: Final = {
    "runs": UNKNOWN_RUN,
    "results": UNKNOWN_RESULT,
    "artifacts": UNKNOWN_ARTIFACT,
    "webhooks": UNKNOWN_WEBHOOK,
}
"""An ID that names nothing, by the first part of the path of an operation."""


def list_requests(context: ProbeContext) -> list[Request]:
    """A request for every operation of the document that the profile allows; the IDs in it name nothing."""
    requests = []
    for operation in load_contract().operations.values():
        kind = operation.path.split("/")[1]
        path = operation.path.replace("{id}", _UNKNOWN.get(kind, ""))
        if operation.method == "GET":
            requests.append(build_request("GET", path))
        elif operation.id == _READING:
            requests.append(build_post(path, _EXPORT))
        elif context.can_start_runs:
            requests.append(build_post(path, {} if operation.id in load_resources().inputs else None))
    return requests


def try_keys(context: ProbeContext) -> None:
    """Requests without a key, with made-up keys and with an expired one are 401; the valid key reads the lists."""
    readable = []
    for path in ("/runs", "/results", "/projects"):
        answer = context.client.get(path)
        rule = "auth.projects-reader" if path == "/projects" else "auth.key-accepted"
        if answer.response.ok and answer.response.json is not None:
            context.ledger.record_kept("auth.key-accepted")
            readable.append(path)
        if answer.response.status in {401, FORBIDDEN} and context.has_answered():
            context.ledger.record_violation(
                rule, expected="2xx for a valid key", got=describe(answer.response), trace=answer
            )
        elif answer.response.items and path == "/projects":
            context.ledger.record_kept(rule)
    for request in list_requests(context):
        answer = context.client.send(replace(request, key=""))
        _expect_unauthorized(context, "auth.key-required", answer, "no key")
    path = readable[0] if readable else "/runs"
    made_up = replace(build_request("GET", path), key="zof_no_such_key_at_all")
    basic = replace(build_request("GET", path), key="main", authorization="Basic {key}")
    empty = replace(build_request("GET", path), key="main", authorization="Bearer")
    for request, what in ((made_up, "a made-up key"), (basic, "Basic"), (empty, "Bearer without a key")):
        _expect_unauthorized(context, "auth.key-invalid", context.client.send(request), what)
    if context.has("expired"):
        _expect_unauthorized(context, "auth.key-expired", context.client.get(path, key="expired"), "an expired key")
    wrong = [
        replace(build_request("GET", path, limit=0), key=""),
        replace(build_post("/results/export", b"{"), key=""),
    ]
    for request in wrong:
        rule = "conventions.order.key-before-query"
        _expect_unauthorized(context, rule, context.client.send(request), "a wrong query or body without a key")


def read_with_ci_key(context: ProbeContext) -> None:
    """A key with runs:create and projects:read only reads its run, and the results, logs and artifacts of runs."""
    if not context.has("ci"):
        return
    ended = str(context.find_ended_run().response.fields["id"])
    own, trace = ended, []
    if context.can_start_runs:
        began = context.start(key="ci")
        own, trace = str(began.response.fields["id"]), [began]
    result = next(iter(context.results(ended)), {}).get("id")
    paths = [f"/runs/{own}", "/runs", f"/runs/{own}/logs", f"/runs/{own}/artifacts", "/results"]
    paths += [f"/results/{result}"] if isinstance(result, str) else []
    get = context.client.get
    answers = [get(path, key="ci", run_id=own if path == "/results" else None) for path in paths]
    answers.append(context.client.post("/results/export", {"format": "json", "run_id": own}, key="ci"))
    for answer in answers:
        if answer.response.status == NOT_FOUND and not _is_found(context, answer):
            continue
        if answer.response.ok or answer.response.status in {401, FORBIDDEN, NOT_FOUND}:
            rule, got = "auth.ci-reader", describe(answer.response)
            place = answer.operation
            context.check(
                rule, answer.response.ok, expected="2xx for a CI key", got=got, trace=[*trace, answer], place=place
            )


def _is_found(context: ProbeContext, exchange: Exchange) -> bool:
    """Whether the main key gets the resource for which another key got a 404."""
    return context.client.send(replace(exchange.request, key="main")).response.ok


def _expect_unauthorized(context: ProbeContext, rule: str, exchange: Exchange, what: str) -> None:
    if not skip_if_absent(context, rule, exchange):
        context.expect_unauthorized(rule, exchange, what)


def _expect_forbidden(context: ProbeContext, rule: str, exchange: Exchange, what: str) -> None:
    if skip_if_absent(context, rule, exchange):
        return
    if context.is_conclusive(rule, exchange, FORBIDDEN) or exchange.response.status == NOT_FOUND:
        context.record(check_status(rule, exchange.response, FORBIDDEN, what), exchange)


def _compare_keys(context: ProbeContext, run: Exchange, key: str) -> None:
    """Judge that another key reads the same run, unless the run has changed for the first key too."""
    run_id = run.response.fields["id"]
    if context.is_retrieval_absent:
        other = context.get_run(run_id, key=key)
    else:
        other = context.client.get(f"/runs/{run_id}", key=key)
    claim = check_same_run(run.response.fields, other.response)
    trace = [run, other]
    if not claim.holds:
        again = context.get_run(run_id)
        if not is_consistent(run.response.fields, again.response.fields):
            context.ledger.record_skip(claim.rule, "the run changed between two requests with the first key")
            return
        trace = [run, again, other]
    context.record(claim, trace)


def try_permissions(context: ProbeContext) -> None:
    """A key without runs:create reads everything, and can neither start nor cancel runs."""
    run = context.find_ended_run()
    run_id = run.response.fields["id"]
    result = next(iter(context.results(run_id)), {}).get("id")
    for key in ("readonly", "no-webhooks"):
        if context.has(key):
            _compare_keys(context, run, key)
            break
    if context.has("no-projects"):
        answer = context.client.get("/projects", key="no-projects")
        _expect_forbidden(context, "auth.projects-permission", answer, "a key without projects:read")
    if not context.has("readonly"):
        return
    paths = ["/results", f"/runs/{run_id}/logs", f"/runs/{run_id}/artifacts"]
    for path in [*paths, f"/results/{result}"] if isinstance(result, str) else paths:
        _expect_readable(context, context.client.get(path, key="readonly"))
    _expect_readable(context, context.client.post("/results/export", _EXPORT, key="readonly"))
    before = context.client.get("/runs", key="readonly", limit=1)
    _expect_readable(context, before)
    if not context.can_start_runs:
        return
    _start_with_reader(context, before)
    canceled = context.client.post(f"/runs/{run_id}/cancel", key="readonly")
    _expect_forbidden(context, "auth.cancel-permission", canceled, "a cancel with a key without runs:create")
    empty = context.client.post("/runs", {}, key="readonly")
    _expect_forbidden(context, "conventions.order.permission-before-body", empty, "an empty start without runs:create")


def _start_with_reader(context: ProbeContext, before: Exchange) -> None:
    rule = "auth.start-permission"
    started = context.client.start(key="readonly")
    after = context.client.get("/runs", key="readonly", limit=1)
    are_listed = before.response.ok and after.response.ok
    if started.response.status == FORBIDDEN and are_listed and _find_first(after) != _find_first(before):
        trace = [before, started, after]
        context.ledger.record_violation(
            rule,
            expected=f"no run after a 403, {_find_first(before)} still the newest",
            got=f"{_find_first(after)} as the newest run",
            trace=trace,
        )
    else:
        _expect_forbidden(context, rule, started, "a start with a key without runs:create")


def _find_first(page: Exchange) -> object:
    return next((item.get("id") for item in page.response.items), None)


def _expect_readable(context: ProbeContext, exchange: Exchange) -> None:
    rule = "auth.readers"
    if skip_if_absent(context, rule, exchange):
        return
    if exchange.response.ok or exchange.response.status in {401, FORBIDDEN, NOT_FOUND}:
        context.check(
            rule, exchange.response.ok, expected="2xx for any key", got=describe(exchange.response), trace=exchange
        )


def visit_as_other_organization(context: ProbeContext) -> None:
    """The key of another organization sees none of our resources."""
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
            got = f"{describe(answer.response)} with {quote_value([item.get('id') for item in seen[:3]])}"
            context.check(
                "tenants.lists",
                not seen,
                expected="no resource of the first organization",
                got=got,
                trace=[run, answer],
            )


PROBES: Final = (
    Probe(
        "keys",
        try_keys,
        (
            "auth.key-required",
            "auth.key-invalid",
            "auth.key-expired",
            "auth.key-accepted",
            "auth.projects-reader",
            "conventions.order.key-before-query",
        ),
    ),
    Probe(
        "permissions",
        try_permissions,
        (
            "auth.several-keys",
            "auth.readers",
            "auth.start-permission",
            "auth.cancel-permission",
            "auth.projects-permission",
            "conventions.order.permission-before-body",
        ),
    ),
    Probe("a key for CI", read_with_ci_key, ("auth.ci-reader",)),
    Probe(
        "another organization",
        visit_as_other_organization,
        ("tenants.run", "tenants.result", "tenants.artifact", "tenants.lists"),
    ),
)
"""Probes of keys and permissions."""
