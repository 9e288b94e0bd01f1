"""Results and exports of a run that has ended (section 9)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import (
    check_export,
    check_results,
    check_retrieved_result,
    describe,
    has_ended,
    list_outcomes,
)
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import CONFLICT, OK, Probe, ProbeContext, Unsettled
from zof_contracts.probes.presence import judge_presence, skip_if_absent

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

COLUMNS: Final = (
    "id",
    "run_id",
    "project_id",
    "test_case_id",
    "environment",
    "status",
    "duration_ms",
    "created_at",
    "started_at",
    "completed_at",
    "failure_category",
    "failure_message",
)
"""The columns of a CSV export."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""The characters that begin a formula in a spreadsheet."""


def read_results(context: ProbeContext) -> None:
    """A run has one result for each case, which agrees with the run and can be retrieved."""
    run = context.find_ended_run()
    fields = run.response.fields
    try:
        listed = context.list_results(fields["id"])
    except Unsettled:
        judge_presence(context, "results.per-case", context.client.journal[-1])
        raise
    items = listed.response.items
    with context.isolate("results.per-case", "results.agree", "results.order"):
        _judge_outcomes(context, run, listed)
    if not items:
        raise Unsettled("the run has no results")
    if has_ended(fields):
        _judge_creation(context, run, listed)
    chosen = next((each for each in items if each.get("status") != "passed"), items[0])
    one = context.client.get(f"/results/{chosen.get('id')}")
    context.record(check_retrieved_result(chosen, one.response), [listed, one])
    _follow_logs_url(context, fields["id"], items[0].get("logs_url"), one)


def _judge_outcomes(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    """Judge the results of a run by the outcomes of its cases."""
    outcomes = list_outcomes(run.response.fields)
    if not outcomes:
        raise Unsettled("the run shows no case outcomes")
    claims = list(check_results(run.response.fields, listed.response.items))
    context.record(claims, [run, listed])
    if claims[0].holds:
        _judge_order(context, [each.get("test_case_id") for each in outcomes], listed)


def _follow_logs_url(context: ProbeContext, run_id: str, url: object, one: Exchange) -> None:
    rule = "results.logs-url"
    if not isinstance(url, str) or not url.startswith(context.target.base + "/"):
        context.ledger.record_skip(rule, "the logs are on another host, which is not requested")
        return
    logs = context.client.follow(url)
    if skip_if_absent(context, rule, logs):
        return
    log_of_run = context.client.get(f"/runs/{run_id}/logs")
    is_same = logs.response.ok and logs.response.items == log_of_run.response.items
    expected = f"the {len(log_of_run.response.items)} lines of the log of {run_id}"
    got = f"{describe(logs.response)} with {len(logs.response.items)} lines"
    context.check(rule, is_same, expected=expected, got=got, trace=[one, logs, log_of_run])


def _judge_order(context: ProbeContext, cases: list[object], listed: Exchange) -> None:
    items = listed.response.items
    found = [each.get("test_case_id") for each in items]
    times = [str(each.get("created_at")) for each in items]
    holds = cases == found and times == sorted(times, reverse=True)
    expected, got = f"the cases {quote_value(cases)}", f"the cases {quote_value(found)}, created {quote_value(times)}"
    context.check("results.order", holds, expected=expected, got=got, trace=listed)


def _judge_creation(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    end = str(run.response.fields.get("completed_at"))
    early = [each for each in listed.response.items if str(each.get("created_at")) < end]
    expected = f"created_at not before {end}, the end of the run"
    got = ", ".join(f"{each.get('id')} created_at {quote_value(each.get('created_at'))}" for each in early[:1])
    context.check("results.times", not early, expected=expected, got=got, trace=[run, listed])


def export_results(context: ProbeContext) -> None:
    """An export is the list, as JSON and as CSV; repeated with its key it is the same."""
    run_id = context.find_ended_run().response.fields["id"]
    body = {"format": "json", "run_id": run_id}
    key = context.idempotency_key("export")
    as_json = _export(context, body, key)
    as_csv = _export(context, {**body, "format": "csv"}, None)
    replay = context.client.post("/results/export", body, idempotency_key=key)
    mark = replay.response.header("idempotency-replayed")
    is_same = replay.response.body == as_json.response.body and mark == "true"
    expected = f"{len(as_json.response.body)} bytes with Idempotency-Replayed: true"
    got = (
        f"{describe(replay.response)}, {len(replay.response.body)} bytes with Idempotency-Replayed {quote_value(mark)}"
    )
    context.check("idempotency.export", is_same, expected=expected, got=got, trace=[as_json, replay])
    if context.has("other-org"):
        theirs = context.client.post("/results/export", body, key="other-org", idempotency_key=key)
        _judge_other_organization(context, as_json, theirs)
    _judge_csv(context, as_json, as_csv)
    listed = context.list_results(run_id)
    context.record(check_export(listed.response.items, as_json.response.items), [listed, as_json])
    _judge_filter(context, body, listed)


def _judge_other_organization(context: ProbeContext, ours: Exchange, theirs: Exchange) -> None:
    rule = "idempotency.scope.organization"
    is_leaked = theirs.response.status == CONFLICT or theirs.response.body == ours.response.body
    if theirs.response.ok or is_leaked:
        expected = "an export of the other organization"
        got = f"{describe(theirs.response)}" + (", with our export" if theirs.response.ok else "")
        context.check(rule, not is_leaked, expected=expected, got=got, trace=[ours, theirs])
    else:
        got = describe(theirs.response)
        context.ledger.record_skip(rule, f"the export of the other organization was answered {got}")


def _export(context: ProbeContext, body: JsonObject, key: str | None) -> Exchange:
    answer = context.client.post("/results/export", body, idempotency_key=key)
    response, form = answer.response, str(body["format"])
    kind = (response.header("content-type") or "").partition(";")[0].strip()
    judge_presence(context, "exports.formats", answer)
    if not context.is_conclusive("exports.formats", answer, OK):
        raise Unsettled(f"the export was answered {describe(response)}")
    expected, got = f"2xx for {form}", describe(response)
    context.check("exports.formats", response.ok, expected=expected, got=got, trace=answer, place=form)
    media_type = "text/csv" if form == "csv" else "application/json"
    has_data = form == "csv" or isinstance(response.fields.get("data"), list)
    is_at_once = response.status == OK and kind == media_type and has_data
    expected = f"200 with {media_type}" + ("" if form == "csv" else " and the field data")
    got = f"{describe(response)} with Content-Type {quote_value(kind)}" + ("" if has_data else ", no field data")
    context.check("exports.at-once", is_at_once, expected=expected, got=got, trace=answer, place=form)
    if not is_at_once:
        raise Unsettled("the export was not answered at once")
    disposition = response.header("content-disposition")
    is_attached = (disposition or "").startswith("attachment") and "filename" in (disposition or "")
    got = f"Content-Disposition {quote_value(disposition)}"
    context.check("exports.attachment", is_attached, expected="an attachment with a filename", got=got, trace=answer)
    return answer


def _judge_csv(context: ProbeContext, as_json: Exchange, as_csv: Exchange) -> None:
    text, rows = _decode_csv(as_csv), read_csv(as_csv)
    widths = sorted({len(row) for row in rows})
    bare = text.count("\n") - text.count("\r\n")
    is_form = len(widths) == 1 and text.endswith("\r\n") and not bare
    expected = "rows of one width, each ended by CR LF"
    got = f"{len(rows)} rows of {quote_value(widths)} cells, {bare} line ends without CR, last {quote_value(text[-2:])}"
    context.check("exports.csv.form", is_form, expected=expected, got=got, trace=as_csv)
    header = tuple(rows[0]) if rows else ()
    expected, got = ", ".join(COLUMNS), ", ".join(header)[:200]
    has_columns = context.check("exports.csv.columns", header == COLUMNS, expected=expected, got=got, trace=as_csv)
    judge_formulas(context, rows, as_csv)
    if has_columns and is_form:
        read = [_strip_defusing(dict(zip(header, row, strict=True))) for row in rows[1:]]
        _compare(context, read, as_json, as_csv)


def _decode_csv(as_csv: Exchange) -> str:
    return as_csv.response.body.decode("utf-8-sig", errors="replace")


def read_csv(as_csv: Exchange) -> list[list[str]]:
    """The rows of an export, its header first; none if it is not CSV."""
    try:
        return list(csv.reader(io.StringIO(_decode_csv(as_csv), newline=""), strict=True))
    except csv.Error:
        return []


def judge_formulas(context: ProbeContext, rows: list[list[str]], as_csv: Exchange) -> None:
    """Judge that no cell of an export begins a formula."""
    formulas = [cell for row in rows[1:] for cell in row if cell.startswith(_FORMULA) and not _is_number(cell)]
    if rows[1:]:
        expected = "no cell that begins a formula"
        got = f"the cell {quote_value(formulas[0])}" if formulas else ""
        context.check("exports.csv.defused", not formulas, expected=expected, got=got, trace=as_csv)


def _compare(context: ProbeContext, read: list[dict[str, str]], as_json: Exchange, as_csv: Exchange) -> None:
    wanted = [_strip_defusing(_make_row(item)) for item in as_json.response.items]
    pairs = zip(wanted, read, strict=False)
    differ = [(name, one[name], two[name]) for one, two in pairs for name in one if one[name] != two[name]]
    name, one, two = differ[0] if differ else ("rows", str(len(wanted)), str(len(read)))
    expected, got, trace = f"{name} {quote_value(one)}", f"{name} {quote_value(two)}", [as_json, as_csv]
    context.check("exports.csv.equals-json", wanted == read, expected=expected, got=got, trace=trace)


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-").replace(".", "", 1).isdigit()


def _make_row(result: JsonObject) -> dict[str, str]:
    failure = result.get("failure_summary") or {}
    flat = {**result, "failure_category": failure.get("category"), "failure_message": failure.get("message")}
    return {name: "" if flat.get(name) is None else str(flat[name]) for name in COLUMNS}


def _strip_defusing(row: dict[str, str]) -> dict[str, str]:
    """A row without the apostrophes that defuse its cells."""
    return {name: cell.removeprefix("'") for name, cell in row.items()}


def _judge_filter(context: ProbeContext, body: JsonObject, listed: Exchange) -> None:
    items = listed.response.items
    status = next((str(each.get("status")) for each in items), "passed")
    answer = context.require_ok(context.client.post("/results/export", {**body, "status": status}))
    wanted = [each for each in items if each.get("status") == status]
    holds = answer.response.items == wanted
    statuses = sorted({str(each.get("status")) for each in answer.response.items})
    expected = f"{len(wanted)} results with status {status}"
    got = f"{len(answer.response.items)} results with status {', '.join(statuses) or 'none'}"
    context.check("exports.filter", holds, expected=expected, got=got, trace=[listed, answer])


PROBES: Final = (
    Probe(
        "results of a run",
        read_results,
        ("results.per-case", "results.order", "results.agree", "results.get", "results.logs-url"),
    ),
    Probe(
        "exports",
        export_results,
        (
            "exports.formats",
            "exports.at-once",
            "exports.attachment",
            "exports.equals-list",
            "exports.csv.columns",
            "exports.csv.form",
            "exports.csv.equals-json",
            "exports.csv.defused",
            "exports.filter",
            "idempotency.export",
            "idempotency.scope.organization",
        ),
    ),
)
"""Probes that read results."""
