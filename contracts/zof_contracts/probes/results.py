"""Results and exports of a run that has ended (section 9)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.objects import is_consistent
from zof_contracts.probes.context import CONFLICT, ProbeContext, Unsettled, describe, has_ended

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
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def results(context: ProbeContext) -> None:
    """One result for each case, that agrees with the run and can be retrieved."""
    run = context.find_ended_run()
    fields = run.response.fields
    listed = context.list_results(fields["id"])
    _per_case(context, run, listed)
    if not listed.response.items:
        raise Unsettled("the run has no results")
    _agree(context, run, listed)
    first = listed.response.items[0]
    wrong = next((each for each in listed.response.items if each.get("status") != "passed"), first)
    one = context.client.get(f"/results/{wrong.get('id')}")
    same = one.response.fields.get("id") == wrong.get("id") and is_consistent(one.response.json, wrong)
    context.check("results.get", same, expected="as it is listed", got=describe(one), trace=[listed, one])
    url = first.get("logs_url")
    if isinstance(url, str) and url.startswith(context.target.base + "/"):
        logs = context.client.follow(url)
        theirs = context.client.get(f"/runs/{fields['id']}/logs")
        same = logs.response.ok and logs.response.items == theirs.response.items
        context.check(
            "results.logs-url", same, expected="the run's logs", got=describe(logs), trace=[one, logs, theirs]
        )
    else:
        context.ledger.record_skip("results.logs-url", "the logs are on another host, which is not asked")


def _outcomes(run: Exchange) -> list[JsonObject]:
    outcomes = run.response.fields.get("case_outcomes")
    if not isinstance(outcomes, list) or not outcomes:
        raise Unsettled("the run shows no case outcomes")
    return [each for each in outcomes if isinstance(each, dict)]


def _per_case(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    cases = [each.get("test_case_id") for each in _outcomes(run)]
    found = [each.get("test_case_id") for each in listed.response.items]
    trace = [run, listed]
    same = sorted(map(str, cases)) == sorted(map(str, found))
    got = "fewer" if len(found) < len(cases) else "others"
    context.check("results.per-case", same, expected="one result for each case", got=got, trace=trace)
    if same:
        times = [str(each.get("created_at")) for each in listed.response.items]
        right = cases == found and times == sorted(times, reverse=True)
        context.check("results.order", right, expected="the run's order", got="another", trace=trace)


def _agree(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    fields = run.response.fields
    by_case = {each.get("test_case_id"): each for each in _outcomes(run)}
    differ: set[str] = set()
    for result in listed.response.items:
        outcome = by_case.get(result.get("test_case_id"), {})
        wanted = {name: fields.get(name) for name in ("project_id", "environment")} | {"run_id": fields["id"]}
        wanted |= {"id": outcome.get("result_id")}
        wanted |= {name: outcome.get(name) for name in ("status", "duration_ms")}
        differ |= {name for name, value in wanted.items() if result.get(name) != value}
    got = f"another {', '.join(sorted(differ))}"
    context.check("results.agree", not differ, expected="as the run says", got=got, trace=[run, listed])
    if has_ended(fields):
        early = [
            each for each in listed.response.items if str(each.get("created_at")) < str(fields.get("completed_at"))
        ]
        expected = "created_at not before the run's end"
        context.check("results.times", not early, expected=expected, got="an earlier one", trace=[run, listed])


def exports(context: ProbeContext) -> None:
    """An export is the list, as JSON and as CSV; repeated under its key it is the same."""
    run_id = context.find_ended_run().response.fields["id"]
    body = {"format": "json", "run_id": run_id}
    word = context.idempotency_key("export")
    as_json = _exported(context, body, word)
    as_csv = _exported(context, {**body, "format": "csv"}, None)
    again = context.client.post("/results/export", body, idempotency_key=word)
    same = again.response.body == as_json.response.body and again.response.header("idempotency-replayed") == "true"
    trace = [as_json, again]
    context.check("idempotency.export", same, expected="the same bytes", got=describe(again), trace=trace)
    if context.has("other-org"):
        _theirs(context, as_json, context.client.post("/results/export", body, key="other-org", idempotency_key=word))
    listed = context.list_results(run_id)
    wanted = listed.response.items
    equal = as_json.response.items == wanted
    context.check("exports.equals-list", equal, expected="the list", got="otherwise", trace=[listed, as_json])
    _csv(context, as_json, as_csv)
    _filtered(context, body, wanted, listed)


def _theirs(context: ProbeContext, ours: Exchange, theirs: Exchange) -> None:
    rule = "idempotency.scope.organization"
    leaked = theirs.response.status == CONFLICT or theirs.response.body == ours.response.body
    if theirs.response.ok or leaked:
        expected = "an answer of its own"
        context.check(rule, not leaked, expected=expected, got="ours, or a conflict", trace=[ours, theirs])
    else:
        context.ledger.record_skip(rule, f"the other organization's export was answered {describe(theirs)}")


def _exported(context: ProbeContext, body: JsonObject, word: str | None) -> Exchange:
    answer = context.client.post("/results/export", body, idempotency_key=word)
    kind = (answer.response.header("content-type") or "").partition(";")[0].strip()
    if not context.is_conclusive("exports.formats", answer, 200):
        raise Unsettled(f"the export was answered {describe(answer)}")
    form = str(body["format"])
    said = f"2xx for {form}"
    context.check("exports.formats", answer.response.ok, expected=said, got=describe(answer), trace=answer, place=form)
    as_asked = kind == ("text/csv" if form == "csv" else "application/json")
    there = as_asked and (form == "csv" or isinstance(answer.response.fields.get("data"), list))
    at_once = answer.response.status == 200 and there  # noqa: PLR2004  the documented status
    context.check("exports.at-once", at_once, expected=f"200 and {form}", got=kind, trace=answer, place=form)
    if not at_once:
        raise Unsettled("the export was not answered at once")
    disposition = answer.response.header("content-disposition") or ""
    attached = disposition.startswith("attachment") and "filename" in disposition
    got = disposition or "no such header"
    context.check("exports.attachment", attached, expected="an attachment with a name", got=got, trace=answer)
    return answer


def _csv(context: ProbeContext, as_json: Exchange, as_csv: Exchange) -> None:
    check = context.check
    text = as_csv.response.body.decode("utf-8-sig", errors="replace")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        rows = []
    form = bool(rows) and len({len(row) for row in rows}) == 1 and text.endswith("\r\n")
    form = form and text.count("\n") == text.count("\r\n")
    check("exports.csv.form", form, expected="rows of one width, ended by CR LF", got="otherwise", trace=as_csv)
    header = tuple(rows[0]) if rows else ()
    columns = header == COLUMNS
    check("exports.csv.columns", columns, expected=", ".join(COLUMNS), got=", ".join(header)[:200], trace=as_csv)
    live = [cell for row in rows[1:] for cell in row if cell.startswith(_FORMULA) and not _number(cell)]
    if rows[1:]:
        check("exports.csv.defused", not live, expected="no formula", got="one", trace=as_csv)
    if columns and form:
        told_by_csv = [dict(zip(header, row, strict=True)) for row in rows[1:]]
        same = [_plain(row) for row in told_by_csv] == [_plain(_row(item)) for item in as_json.response.items]
        trace = [as_json, as_csv]
        check("exports.csv.equals-json", same, expected="what the JSON says", got="otherwise", trace=trace)


def _number(cell: str) -> bool:
    return cell.lstrip("+-").replace(".", "", 1).isdigit()


def _row(result: JsonObject) -> dict[str, str]:
    failure = result.get("failure_summary") or {}
    said = {**result, "failure_category": failure.get("category"), "failure_message": failure.get("message")}
    return {name: "" if said.get(name) is None else str(said[name]) for name in COLUMNS}


def _plain(row: dict[str, str]) -> dict[str, str]:
    """A row without what defuses its cells."""
    return {name: cell.removeprefix("'") for name, cell in row.items()}


def _filtered(context: ProbeContext, body: JsonObject, wanted: list[JsonObject], listed: Exchange) -> None:
    status = next((str(each.get("status")) for each in wanted), "passed")
    answer = context.require_ok(context.client.post("/results/export", {**body, "status": status}))
    there = [each for each in wanted if each.get("status") == status]
    same = answer.response.items == there
    context.check(
        "exports.filter", same, expected="the list under that filter", got="otherwise", trace=[listed, answer]
    )
