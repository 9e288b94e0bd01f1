"""Defects in conventions and errors: sections 1 and 2 of the contract."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from zof_contracts.contract.document import load_contract

from tests.mutants.layer import (
    ADMIN,
    RESULTS,
    RUNS,
    Ask,
    Defect,
    Inner,
    Mutant,
    always,
    answers,
    asks,
    bodies,
    changing,
    content,
    error,
    errors,
    header,
    objects,
    rename_field,
    setting,
    status,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response


def _is_known(ask: Ask) -> set[str]:
    found = load_contract().find_operation(ask.method, ask.path)
    if found is None:
        return set()
    given = (load_contract().resolve(each) for each in found.node.get("parameters", ()))
    return {each["name"] for each in given if each["in"] == "query"}


def _translate_ids(ours: str, theirs: str) -> Callable[[], Defect]:
    """IDs of a kind have another prefix, consistently in answers and requests."""

    def defect(ask: Ask, inner: Inner) -> Response:
        path, query = (text.replace(theirs, ours) for text in (ask.path, ask.query))
        answer = inner(replace(ask, path=path, query=query, body=ask.body.replace(theirs.encode(), ours.encode())))
        if answer.json is None:
            return answer
        return content(answer, answer.body.replace(b'"' + ours.encode(), b'"' + theirs.encode()))

    return always(defect)


def _number_requests(name: str, form: str) -> Callable[[], Defect]:
    def make() -> Defect:
        numbers = count(1)
        return lambda ask, inner: header(inner(ask), name, form.format(next(numbers)))

    return make


def _echo_id(ask: Ask, inner: Inner) -> Response:
    theirs = ask.header("x-request-id")
    return header(inner(ask), "x-request-id", theirs) if theirs else inner(ask)


def _odd_id(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    odd = ask.operation in {"getRun", "getResult"} and not ask.id.replace("_", "").replace("-", "").isalnum()
    return error(answer, 400, "invalid_request", "id") if odd and answer.status == 404 else answer


def _fails_on_length(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    return error(answer, 500, "internal_server_error") if ask.operation == "getRun" and len(ask.id) > 64 else answer


def _drops_exports(ask: Ask, inner: Inner) -> Response:
    if ask.fields.get("format") == "csv":
        raise ConnectionAbortedError
    return inner(ask)


def _dropping_nulls(ask: Ask) -> Ask:
    return ask.saying({name: value for name, value in ask.fields.items() if value is not None}) if ask.fields else ask


def _knowing_only(ask: Ask) -> Ask:
    pairs = parse_qsl(ask.query, keep_blank_values=True)
    return (
        replace(ask, query=urlencode([pair for pair in pairs if pair[0] in _is_known(ask)])) if ask.operation else ask
    )


def _fields_only(names: str) -> Callable[[Ask], Ask]:
    known = names.split()
    return lambda ask: ask.saying({name: ask.fields[name] for name in ask.fields if name in known}) if ask.json else ask


def _unknown_first(ask: Ask, inner: Inner) -> Response:
    unknown = {name: value for name, value in ask.params.items() if name not in _is_known(ask)}
    return inner(replace(ask, query=urlencode(unknown))) if ask.operation and unknown else inner(ask)


def _query_before_key(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if answer.status == 401 and ask.method == "GET":
        told = inner(ask.having("authorization", ADMIN))
        return told if told.status == 400 else answer
    return answer


def _body_before_permission(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation == "startRun" and answer.status == 403 and "project_id" not in ask.fields:
        return inner(ask.having("authorization", ADMIN))
    return answer


def _key_before_path(ask: Ask, inner: Inner) -> Response:
    return inner(ask) if ask.operation or ask.key else inner(ask.to("/v1/runs"))


def _existence_before_query(ask: Ask, inner: Inner) -> Response:
    bare = inner(replace(ask, query="")) if ask.operation == "getRun" else inner(ask)
    return bare if bare.status == 404 else inner(ask)


def _state_before_replay(ask: Ask, inner: Inner) -> Response:
    if ask.operation == "cancelRun" and inner(ask.to(f"/v1/runs/{ask.id}")).fields.get("status") == "canceled":
        return inner(ask.lacking("idempotency-key"))
    return inner(ask)


def _body_refused(ask: Ask, inner: Inner) -> Response:
    if ask.operation == "cancelRun" and ask.body:
        return error(inner(ask.to("/v1/projects")), 400, "invalid_request")
    return inner(ask)


def _on_export(when: Callable[[Ask], bool]) -> Callable[[], Defect]:
    """An export that must be refused is answered with all results."""
    everything = {"format": "json"}
    return asks(lambda ask: ask.saying(everything) if when(ask) else ask, "exportResults")


def _redirect(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.path.endswith("/") and answer.status == 404:
        return header(status(answer, 307), "location", ask.path.rstrip("/"))
    return answer


def _wrong_method_not_found(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    return header(error(answer, 404, "not_found"), "allow", None) if answer.status == 405 else answer


def _code(number: int, rule: str, code: str, to: str = "") -> Mutant:
    make = errors(number, setting(code=code), to)
    return Mutant(name=f"code-{number}-{code.replace('_', '-')}", rule=f"errors.{rule}.code", make=make)


_LOOSE_JSON: Final = asks(lambda ask: ask.having("content-type", "application/json") if ask.body else ask)


_UNZIPPED: Final = asks(
    lambda ask: (
        replace(ask.lacking("content-encoding"), body=gzip.decompress(ask.body))
        if ask.header("content-encoding") == "gzip"
        else ask
    )
)


def _mutant(name: str, rule: str, make: Callable[[], Defect]) -> Mutant:
    return Mutant(name=name, rule=rule, make=make)


CONVENTIONS: Final = tuple(
    _mutant(name, f"conventions.{rule}", make)
    for name, rule, make in (
        ("projects-as-html", "json", answers(lambda a: content(a, b"<p>projects", "text/html"), "listProjects", 200)),
        ("errors-as-text", "json", answers(lambda a: content(a, b"no such run", "text/plain"), "getRun", 404)),
        ("csv-as-octets", "content-type", answers(lambda a: header(a, "content-type", "application/octet-stream"), "exportResults", 200)),
        ("list-206", "status", answers(lambda a: status(a, 206), "listResults", 200)),
        ("missing-run-410", "status", answers(lambda a: status(a, 410), "getRunLogs", 404)),
        ("csv-dropped", "answered", always(_drops_exports)),
        ("crash-on-long-id", "no-server-error", always(_fails_on_length)),
        ("job-ids", "ids.prefix", _translate_ids("run_", "job_")),
        ("result-ids", "ids.pattern", _translate_ids("res_", "result-")),
        ("offset-times", "timestamps", objects(changing("created_at", lambda t: t.replace("Z", "+00:00")), RUNS)),
        ("fraction-times", "timestamps", objects(changing("completed_at", lambda t: t.replace("Z", ".000Z")), RESULTS)),
        ("float-durations", "durations", objects(changing("duration_ms", lambda ms: ms + 0.5), RUNS)),
        ("camel-case", "snake-case", objects(rename_field("failure_summary", "failureSummary"), RESULTS)),
        ("request-id-not-on-pages", "request-id.present", answers(lambda a: header(a, "x-request-id", None), "listRuns", 200)),
        ("request-id-not-on-401", "request-id.everywhere", answers(lambda a: header(a, "x-request-id", None), "", 401)),
        ("request-id-not-on-405", "request-id.everywhere", answers(lambda a: header(a, "x-request-id", None), "", 405)),
        ("request-id-constant", "request-id.unique", answers(lambda a: header(a, "x-request-id", "req_" + "0" * 20))),
        ("request-id-numbers", "request-id.form", _number_requests("x-request-id", "{}")),
        ("request-id-echoed", "request-id.server-made", always(_echo_id)),
        ("download-inline", "headers.required", answers(lambda a: header(a, "content-disposition", "inline"), "downloadArtifact", 200)),
        ("relative-logs-url", "links.absolute", objects(changing("logs_url", lambda url: url[url.index("/v1") :]), RESULTS)),
        ("internal-host", "links.absolute", objects(changing("url", lambda url: url.replace("127.0.0.1", "10.0.0.7")), RUNS)),
        ("head-405", "head", always(lambda ask, inner: error(inner(ask), 405, "method_not_allowed") if ask.method == "HEAD" else inner(ask))),
        ("options-401", "options", always(lambda ask, inner: error(inner(ask), 401, "unauthorized") if ask.method == "OPTIONS" and not ask.key else inner(ask))),
        ("null-is-absent", "null-field", asks(_dropping_nulls, "exportResults startRun")),
        ("last-parameter-wins", "repeated-parameter", asks(lambda ask: ask.querying())),
        ("unknown-parameters-pass", "unknown-parameter", asks(_knowing_only)),
        ("unknown-fields-pass-start", "unknown-field", asks(_fields_only("project_id environment test_case_ids test_suite_id"), "startRun")),
        ("unknown-fields-pass-export", "unknown-field", asks(_fields_only("format run_id status created_after created_before"), "exportResults")),
        ("unknown-fault-first", "one-fault", always(_unknown_first)),
        ("path-id-validated", "path-id", always(_odd_id)),
        ("any-size", "too-large", _on_export(lambda ask: len(ask.body) > 1 << 20)),
        ("any-content-type", "not-json", _LOOSE_JSON),
        ("coded-body-read", "coded-body", _UNZIPPED),
        ("no-body-no-matter", "missing-body", _on_export(lambda ask: not ask.body)),
        ("loose-parser", "malformed-body", _on_export(lambda ask: bool(ask.body) and ask.json is None)),
        ("body-on-cancel-refused", "body-ignored", always(_body_refused)),
        ("query-before-key", "order.key-before-query", always(_query_before_key)),
        ("key-before-path", "order.path-before-key", always(_key_before_path)),
        ("body-before-permission", "order.permission-before-body", always(_body_before_permission)),
        ("existence-before-query", "order.query-before-existence", always(_existence_before_query)),
        ("state-before-replay", "order.replay-before-state", always(_state_before_replay)),
    )
)  # fmt: skip

ERRORS: Final = (
    *(
        _mutant(name, f"errors.{rule}", make)
        for name, rule, make in (
            ("detail-envelope", "envelope", bodies(lambda v: {"detail": v["error"]["message"]}, "getRun getResult", 404)),
            ("errors-without-message", "envelope", errors(400, without("message"))),
            ("unprocessable", "invalid-request.status", answers(lambda a: status(a, 422), "startRun exportResults", 400)),
            ("validation-error", "invalid-request.code", errors(400, setting(code="validation_error"))),
            ("no-challenge", "unauthorized.challenge", answers(lambda a: header(a, "www-authenticate", None), "", 401)),
            ("no-allow", "method-not-allowed", answers(lambda a: header(a, "allow", None), "", 405)),
            ("allow-lies", "method-not-allowed", answers(lambda a: header(a, "allow", "DELETE"), "", 405)),
            ("wrong-method-404", "method-not-allowed", always(_wrong_method_not_found)),
            ("slash-redirect", "unknown-path", always(_redirect)),
            ("environment-message", "environment.message", errors(400, changing("message", lambda m: m.replace("environment must be", "Environment has to be")))),
            ("environment-no-param", "environment.param", errors(400, lambda e: e.pop("param", None) if e.get("param") == "environment" else None)),
            ("param-dropped", "param.field", errors(400, without("param"), "listRuns listResults")),
            ("param-wrong", "param.field", errors(400, changing("param", lambda p: "page_size" if p == "limit" else p))),
            ("param-not-nested", "param.nested", errors(400, changing("param", lambda p: p.partition("[")[0]))),
            ("param-header-snake", "param.header", errors(400, changing("param", lambda p: p.replace("Idempotency-Key", "idempotency_key")))),
        )
    ),
    _code(401, "unauthorized", "unauthenticated"),
    _code(403, "forbidden", "permission_denied"),
    _code(404, "not-found", "resource_missing", "getRun getResult"),
    _code(409, "conflict", "already_finished", "cancelRun"),
    _code(405, "method-not-allowed", "bad_method"),
    _code(413, "too-large", "request_too_large"),
    _code(415, "not-json", "bad_content_type"),
    _code(429, "rate-limited", "too_many_requests"),
)  # fmt: skip

ALL: Final = (*CONVENTIONS, *ERRORS)
