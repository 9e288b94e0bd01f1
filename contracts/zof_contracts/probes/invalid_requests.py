"""Wrong requests: starts, exports and lists that must be refused, and the errors they get (sections 1 and 2)."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import check_status, describe
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import (
    INVALID,
    NOT_FOUND,
    OK,
    UNKNOWN_ARTIFACT,
    UNKNOWN_RESULT,
    UNKNOWN_RUN,
    Probe,
    ProbeContext,
)
from zof_contracts.probes.presence import is_absent
from zof_contracts.target.requests import add_header, build_post, build_request

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Request

_TOO_MANY_CASES: Final = 501
_MIB: Final = 1 << 20
_UNSUPPORTED: Final = 415
_TOO_LARGE: Final = 413
_NO_CONTENT: Final = 204
_NOT_ALLOWED: Final = 405
_LONGEST_KEY: Final = 255
_ENVIRONMENT: Final = "environment must be one of: staging, production"


def _make_start(context: ProbeContext, **changes: object) -> dict[str, Any]:
    """The body of a start, changed; a field that is `...` is left out."""
    target = context.target
    body: dict[str, Any] = {
        "project_id": target.project,
        "environment": target.environment,
        "test_case_ids": list(target.cases),
        **changes,
    }
    return {name: value for name, value in body.items() if value is not ...}


def _find_newest(context: ProbeContext) -> object:
    """The ID of the newest run; None where there is none or runs cannot be listed."""
    runs = context.client.get("/runs", limit=1).response.items
    return runs[0].get("id") if runs else None


def send_wrong_starts(context: ProbeContext) -> None:
    """Starts that must be refused make no run."""
    before = _find_newest(context)
    cases = list(context.target.cases)
    table: tuple[tuple[str, dict[str, Any], str, str], ...] = (
        ("runs.start.required", {"project_id": ...}, "project_id", "a start without project_id"),
        ("runs.start.required", {"environment": ...}, "environment", "a start without environment"),
        ("runs.start.case-count", {"test_case_ids": []}, "test_case_ids", "a start without cases"),
        (
            "runs.start.case-count",
            {"test_case_ids": [f"tc_many_{index}" for index in range(_TOO_MANY_CASES)]},
            "test_case_ids",
            "a start with 501 cases",
        ),
        ("runs.start.case-count", {"test_case_ids": [*cases, cases[0]]}, "", "a start that names a case twice"),
        ("runs.start.types", {"environment": 5}, "environment", "a number as environment"),
        ("runs.start.types", {"test_case_ids": cases[0]}, "test_case_ids", "a string as test_case_ids"),
        ("runs.start.id-form", {"project_id": "no project!"}, "project_id", "a malformed project_id"),
        ("conventions.null-field", {"test_suite_id": None}, "", "a start with test_suite_id: null"),
    )
    for rule, changes, param, what in table:
        context.expect_refusal(
            rule, context.client.post("/runs", _make_start(context, **changes)), what, param=param or None
        )
    own = (
        ("runs.start.either", {"test_suite_id": context.target.suite}, "test_suite_id", "cases and suite together"),
        ("runs.start.either", {"test_case_ids": ...}, "test_case_ids", "neither cases nor suite"),
        ("conventions.unknown-field", {"colour": "blue"}, "colour", "a start with an unknown field"),
    )
    for rule, more, param, what in own:
        context.expect_refusal(
            rule, context.client.post("/runs", _make_start(context, **more)), what, param=param, own=True
        )
    _name_missing_references(context)
    _name_malformed_case(context, cases)
    _name_unknown_environment(context)
    _send_wrong_bodies(context)
    if before is not None:
        after = _find_newest(context)
        trace = context.client.journal[-1]
        rule = "runs.start.refused-makes-nothing"
        refused = all(not each.response.ok for each in context.client.journal[-24:] if each.operation == "startRun")
        if refused:
            context.check(
                rule,
                after == before,
                expected=f"{before} as the newest run",
                got=f"{after} as the newest run",
                trace=trace,
            )
        else:
            context.ledger.record_skip(rule, "a wrong start was accepted")


def _name_malformed_case(context: ProbeContext, cases: list[str]) -> None:
    answer = context.client.post("/runs", _make_start(context, test_case_ids=[cases[0], "no case!"]))
    context.expect_refusal("runs.start.id-form", answer, "a malformed case ID")
    rule = "errors.param.nested"
    if answer.response.status in {400, NOT_FOUND} and context.is_error_readable(rule, answer):
        is_named = answer.response.error.get("param") == "test_case_ids[1]"
        got = describe(answer.response)
        context.check(rule, is_named, expected="param test_case_ids[1]", got=got, trace=answer)


def _name_unknown_environment(context: ProbeContext) -> None:
    answer = context.client.post("/runs", _make_start(context, environment="nowhere-at-all"))
    if not context.is_conclusive("errors.environment.param", answer, INVALID):
        return
    answered, error = answer.response.status, answer.response.error
    if answered == INVALID and not context.is_error_readable("errors.environment.param", answer):
        return
    is_named = answered == INVALID and error.get("param") == "environment"
    expected, got = "400 with param environment", describe(answer.response)
    context.check("errors.environment.param", is_named, expected=expected, got=got, trace=answer)
    if context.is_error_readable("errors.environment.message", answer):
        message = error.get("message")
        fits = str(message).startswith(_ENVIRONMENT)
        got = f"message {quote_value(message)}"
        context.check("errors.environment.message", fits, expected=_ENVIRONMENT, got=got, trace=answer)


def _send_wrong_bodies(context: ProbeContext) -> None:
    client = context.client
    context.expect_refusal(
        "conventions.malformed-body", client.post("/runs", b'{"project_id": '), "a body that breaks off"
    )
    context.expect_refusal("conventions.missing-body", client.send(build_post("/runs")), "no body")
    plain = replace(build_post("/runs", _make_start(context)), headers=(("Content-Type", "text/plain"),))
    context.expect_refusal("conventions.not-json", client.send(plain), "a start as text/plain", status=_UNSUPPORTED)
    whole = build_post("/runs", _make_start(context))
    coded = add_header(replace(whole, body=gzip.compress(whole.body or b"", mtime=0)), "Content-Encoding", "gzip")
    context.expect_refusal("conventions.coded-body", client.send(coded), "a start as gzip", status=_UNSUPPORTED)
    many = build_post("/runs", _make_start(context, project_id=..., colour="blue"))
    context.expect_refusal(
        "conventions.one-fault", client.send(many), "a missing and an unknown field", param="project_id", own=True
    )


def _name_missing_references(context: ProbeContext) -> None:
    """Starts that name what does not exist."""
    rule = "runs.start.unknown-reference"
    table: tuple[tuple[dict[str, Any], str], ...] = (
        ({"project_id": "proj_missing"}, "project_id"),
        ({"test_case_ids": [context.target.cases[0], "tc_missing_001"]}, "test_case_ids[1]"),
        ({"test_case_ids": ..., "test_suite_id": "suite_missing"}, "test_suite_id"),
    )
    for changes, param in table:
        answer = context.client.post("/runs", _make_start(context, **changes))
        context.expect_refusal(rule, answer, f"an unknown {param}", status=NOT_FOUND, param=param, own=True)


def send_wrong_exports(context: ProbeContext) -> None:
    """Exports that must be refused."""
    client = context.client
    context.ensure_reachable()
    table: tuple[tuple[str, object, str, str], ...] = (
        ("exports.refused", {"format": "xml"}, "format", "an unknown format"),
        ("exports.refused", {}, "format", "no format"),
        ("exports.refused", {"format": "json", "status": "gone"}, "status", "an unknown status"),
        ("conventions.malformed-body", b'{"format": json}', "", "a body that is no JSON"),
        ("conventions.null-field", {"format": "json", "run_id": None}, "run_id", "an export with run_id: null"),
    )
    for rule, body, param, what in table:
        context.expect_refusal(rule, client.post("/results/export", body), what, param=param or None)
    unknown = client.post("/results/export", {"format": "json", "colour": "blue"})
    context.expect_refusal(
        "conventions.unknown-field", unknown, "an export with an unknown field", param="colour", own=True
    )
    bare = replace(build_post("/results/export", {"format": "json"}), headers=())
    context.expect_refusal("conventions.not-json", client.send(bare), "a body without a type", status=_UNSUPPORTED)
    context.expect_refusal("conventions.missing-body", client.post("/results/export"), "an export without a body")
    large = client.post("/results/export", b'{"format": "json"}'.ljust(_MIB + 1))
    context.expect_refusal("conventions.too-large", large, "a body of 1 MiB and a byte", status=_TOO_LARGE)
    if not context.can_start_runs:
        _send_second_wrong_exports(context)


def _send_second_wrong_exports(context: ProbeContext) -> None:
    """The mistakes that a start would make for the second time, where no run may be started."""
    client, path = context.client, "/results/export"
    broken = client.post(path, b'{"format": ')
    context.expect_refusal("conventions.malformed-body", broken, "a body that breaks off")
    null = client.post(path, {"format": "json", "status": None})
    context.expect_refusal("conventions.null-field", null, "an export with status: null", param="status")
    unknown = client.post(path, {"format": "csv", "limit": 5})
    rule = "conventions.unknown-field"
    context.expect_refusal(rule, unknown, "an export with an unknown field", param="limit", own=True)
    plain = replace(build_post(path, {"format": "json"}), headers=(("Content-Type", "text/plain"),))
    what = "an export as text/plain"
    context.expect_refusal("conventions.not-json", client.send(plain), what, status=_UNSUPPORTED)


def _make_export(idempotency_key: str) -> Request:
    return build_post("/results/export", {"format": "json", "run_id": UNKNOWN_RUN}, idempotency_key=idempotency_key)


def send_idempotency_keys(context: ProbeContext) -> None:
    """Idempotency keys of all lengths and with characters of all kinds."""
    context.ensure_reachable()
    longest = context.client.send(_make_export(context.idempotency_key("long").ljust(_LONGEST_KEY, "x")))
    if context.is_conclusive("idempotency.key-form.accepted", longest, OK):
        context.check(
            "idempotency.key-form.accepted",
            longest.response.ok,
            expected="2xx",
            got=describe(longest.response),
            trace=longest,
        )
    for key, what in (
        ("x" * (_LONGEST_KEY + 1), "256 characters"),
        ("clé", "a letter that is not ASCII"),
        ("", "no characters"),
    ):
        answer = context.client.send(_make_export(key))
        context.expect_refusal("idempotency.key-form", answer, f"a key of {what}", param="Idempotency-Key", own=True)
        rule = "errors.param.header"
        if answer.response.status == INVALID and len(key) > _LONGEST_KEY and context.is_error_readable(rule, answer):
            is_named = answer.response.error.get("param") == "Idempotency-Key"
            got = describe(answer.response)
            context.check(rule, is_named, expected="param Idempotency-Key", got=got, trace=answer)
    faults = add_header(build_request("POST", "/results/export", colour="blue"), "Idempotency-Key", "x" * 256)
    faults = replace(add_header(faults, "Content-Type", "application/json"), body=b'{"format": 1}')
    answer = context.client.send(faults)
    context.expect_refusal(
        "conventions.one-fault", answer, "a wrong header, query and body", param="Idempotency-Key", own=True
    )


def send_wrong_queries(context: ProbeContext) -> None:
    """Lists are requested with parameters that must be refused."""
    get = context.client.get
    context.ensure_reachable()
    for limit in (0, 101, "many", ""):
        said = f"limit={limit}" if limit != "" else "an empty limit"
        context.expect_refusal("pages.limit.refused", get("/runs", limit=limit), said, param="limit", own=True)
    both = get("/runs", limit=0, colour="blue")
    context.expect_refusal("conventions.one-fault", both, "a wrong and an unknown parameter", param="limit", own=True)
    twice = replace(build_request("GET", "/runs"), query="limit=1&limit=2")
    context.expect_refusal(
        "conventions.repeated-parameter", context.client.send(twice), "limit twice", param="limit", own=True
    )
    for path in ("/runs", "/results", "/projects"):
        answer = get(path, colour="blue")
        context.expect_refusal(
            "conventions.unknown-parameter", answer, "an unknown parameter", param="colour", own=True
        )
    hidden = _request_unknown_wrongly(context)
    if hidden.response.status in {OK, 400, NOT_FOUND} and context.has_answered():
        first = hidden.response.status != NOT_FOUND
        rule = "conventions.order.query-before-existence"
        context.check(rule, first, expected="400, as the query is wrong", got=describe(hidden.response), trace=hidden)
    for path, rule in (("/runs", "runs.filter.refused"), ("/results", "results.filter.refused")):
        context.expect_refusal(rule, get(path, status="gone"), "an unknown status", param="status")
        context.expect_refusal(
            rule, get(path, created_after="yesterday"), "a value that is no date", param="created_after"
        )
    context.expect_refusal(
        "results.filter.refused", get("/results", run_id="no run!"), "a malformed run_id", param="run_id"
    )


def _request_unknown_wrongly(context: ProbeContext) -> Exchange:
    """The answer to a wrong query about something unknown, of the first operation that is not absent."""
    paths = (f"/runs/{UNKNOWN_RUN}", f"/results/{UNKNOWN_RESULT}", f"/runs/{UNKNOWN_RUN}/logs")
    answer = context.client.get(paths[0], colour="blue")
    for path in paths[1:]:
        if not is_absent(context, answer):
            break
        answer = context.client.get(path, colour="blue")
    return answer


def request_unknown_paths(context: ProbeContext) -> None:
    """Unknown paths and wrong methods are requested, with and without a key."""
    context.ensure_reachable()
    client, newcomer = context.client, replace(build_request("GET", "/no-such-thing"), key="")
    lost = client.send(newcomer)
    found = lost if lost.response.status == NOT_FOUND else client.send(build_request("GET", "/no-such-thing"))
    for answer in (found, client.send(build_request("GET", "/runs/"))):
        if context.is_conclusive("errors.unknown-path", answer, NOT_FOUND) or answer.response.header("location"):
            context.record(check_status("errors.unknown-path", answer.response, NOT_FOUND), answer)
    rule = "conventions.order.path-before-key"
    context.record(check_status(rule, lost.response, NOT_FOUND, "an unknown path without a key"), lost)
    for method, path in (("DELETE", "/runs"), ("PUT", f"/runs/{UNKNOWN_RUN}"), ("PATCH", "/results")):
        if not context.can_start_runs:
            break
        answer = client.send(build_request(method, path))
        allow = {each.strip() for each in (answer.response.header("allow") or "").split(",")}
        right = answer.response.status == _NOT_ALLOWED and "GET" in allow and method not in allow
        expected = "405 with Allow, which lists GET"
        context.check(
            "errors.method-not-allowed", right, expected=expected, got=describe(answer.response), trace=answer
        )
    if context.can_start_runs:
        answer = client.send(replace(build_request("DELETE", "/runs"), key=""))
        right = answer.response.status == _NOT_ALLOWED
        context.check(rule, right, expected="405 without a key", got=describe(answer.response), trace=answer)
    else:
        _skip_methods(context)


def _skip_methods(context: ProbeContext) -> None:
    reason = "a wrong method on a known path is not sent in a profile that changes nothing"
    for rule in ("errors.method-not-allowed", "errors.method-not-allowed.code", "conventions.order.path-before-key"):
        context.ledger.record_skip(rule, reason)


def send_other_safe_methods(context: ProbeContext) -> None:
    """HEAD is sent where GET succeeds, and OPTIONS without a key."""
    for path in ("/runs", "/results", "/projects"):
        usual = context.client.get(path, limit=1)
        if usual.response.ok and usual.response.json is not None:
            head = context.client.send(build_request("HEAD", path, limit=1))
            shown, wanted = (_show_head(each) for each in (head, usual))
            trace = [usual, head]
            context.check("conventions.head", shown == wanted, expected=wanted, got=shown, trace=trace, place=path)
    context.ensure_reachable()
    options = context.client.send(replace(build_request("OPTIONS", "/runs"), key=""))
    allow = options.response.header("allow")
    is_listed = options.response.status == _NO_CONTENT and "GET" in (allow or "")
    got = f"{describe(options.response)} with Allow {quote_value(allow)}"
    context.check("conventions.options", is_listed, expected="204 with Allow, which lists GET", got=got, trace=options)


def _show_head(exchange: Exchange) -> str:
    return f"{exchange.response.status} with Content-Type {exchange.response.header('content-type')}"


def request_unknown_ids(context: ProbeContext) -> None:
    """Runs, results and artifacts that do not exist."""
    context.ensure_reachable()
    for path in ("", "/logs", "/artifacts"):
        context.expect_not_found("runs.get.unknown", context.client.get(f"/runs/{UNKNOWN_RUN}{path}"))
    if context.can_start_runs:
        context.expect_not_found("runs.get.unknown", context.client.post(f"/runs/{UNKNOWN_RUN}/cancel"))
    for path in ("", "/artifacts"):
        context.expect_not_found("results.get.unknown", context.client.get(f"/results/{UNKNOWN_RESULT}{path}"))
    context.expect_not_found("artifacts.unknown", context.client.get(f"/artifacts/{UNKNOWN_ARTIFACT}/content"))
    for odd in ("x", "run_" + "y" * 80, "%20%F0%9F%98%80"):
        context.expect_not_found("conventions.path-id", context.client.get(f"/runs/{odd}"))


PROBES: Final = (
    Probe(
        "unknown IDs",
        request_unknown_ids,
        ("runs.get.unknown", "results.get.unknown", "artifacts.unknown", "conventions.path-id"),
    ),
    Probe(
        "unknown paths and wrong methods",
        request_unknown_paths,
        (
            "errors.unknown-path",
            "errors.method-not-allowed",
            "conventions.order.path-before-key",
        ),
    ),
    Probe("HEAD and OPTIONS", send_other_safe_methods, ("conventions.head", "conventions.options")),
    Probe(
        "wrong queries",
        send_wrong_queries,
        (
            "pages.limit.refused",
            "conventions.repeated-parameter",
            "conventions.unknown-parameter",
            "conventions.order.query-before-existence",
            "runs.filter.refused",
            "results.filter.refused",
            "errors.param.field",
        ),
    ),
    Probe(
        "wrong exports",
        send_wrong_exports,
        (
            "exports.refused",
            "conventions.malformed-body",
            "conventions.null-field",
            "conventions.unknown-field",
            "conventions.not-json",
            "conventions.too-large",
            "errors.invalid-request.status",
        ),
    ),
    Probe(
        "idempotency keys of all forms",
        send_idempotency_keys,
        (
            "idempotency.key-form",
            "idempotency.key-form.accepted",
            "errors.param.header",
            "conventions.one-fault",
        ),
    ),
    Probe(
        "wrong starts",
        send_wrong_starts,
        (
            "runs.start.required",
            "runs.start.either",
            "runs.start.case-count",
            "runs.start.id-form",
            "runs.start.types",
            "runs.start.unknown-reference",
            "runs.start.refused-makes-nothing",
            "errors.environment.message",
            "errors.environment.param",
            "errors.param.nested",
            "conventions.missing-body",
        ),
    ),
)
"""Probes that are refused; the last one would start runs if it were not."""
