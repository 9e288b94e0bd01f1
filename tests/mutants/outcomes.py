"""Defects in logs, artifacts, results, exports and projects: sections 8, 9 and 11 of the contract."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.instants import DAY

from tests.mutants.layer import (
    ARTIFACTS,
    ENDED,
    RESULTS,
    Ask,
    Defect,
    Edit,
    Inner,
    Mutant,
    always,
    answers,
    asks,
    bodies,
    changing,
    content,
    error,
    header,
    objects,
    rename_field,
    says,
    setting,
    status,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response
    from zof_emulator.core.world import World

_FAILURE: Final = re.compile(rb"<failure.*?(?:/>|</failure>)", re.DOTALL)
_NOT_PNG: Final = b"GIF89a, more or less"


def _edit_items(edit: Edit, to: str) -> Callable[[], Defect]:
    """The items of lists are edited as a whole."""

    def change(value: Any) -> None:  # noqa: ANN401  a JSON value
        changed = edit(value["data"])
        value["data"] = value["data"] if changed is None else changed

    return bodies(change, to)


def _if(name: str, *values: object) -> Callable[[Any], bool]:
    return lambda one: one.get(name) in values


def _only(test: Callable[[Any], bool], edit: Edit) -> Edit:
    return lambda one: edit(one) if test(one) else None


def _dropping(test: Callable[[Any], bool]) -> Edit:
    return lambda items: [one for one in items if not test(one)]


# --- logs


def _rewritten() -> Defect:
    """The first log line counts how often the log was read."""
    reads = 0

    def defect(ask: Ask, inner: Inner) -> Response:
        nonlocal reads
        answer = inner(ask)
        if ask.operation != "getRunLogs" or not answer.items or "starting_after" in ask.params:
            return answer
        reads += 1
        value = json.loads(answer.body)
        value["data"][0]["message"] += f" Read {reads} times."
        return says(answer, value)

    return defect


def _unfollowable(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation == "getRunLogs" and answer.ok and not answer.fields["has_more"]:
        return says(answer, {**answer.fields, "next_cursor": None})
    return answer


def _endless() -> Defect:
    """The cursor of a log's last page leads to the same page."""
    last: dict[str, str] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation != "getRunLogs" or not answer.ok:
            return answer
        if answer.fields["next_cursor"]:
            last[ask.path] = answer.fields["next_cursor"]
        return says(answer, {**answer.fields, "next_cursor": last.get(ask.path)})

    return defect


def _skipping(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation == "getRunLogs" and "starting_after" in ask.params and answer.items:
        return says(answer, {**answer.fields, "data": answer.items[1:]})
    return answer


# --- artifacts


def _keep_for(days: int) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.retention = replace(world.retention, artifacts_ms=days * DAY)

    return plant


def _promise_short_expiry() -> Defect:
    """`expires_at` of an artifact lies two years too early from the year 2027 on."""

    def edit(one: Any) -> None:  # noqa: ANN401  a JSON value
        year, rest = one["expires_at"][:4], one["expires_at"][4:]
        one["expires_at"] = f"{int(year) - 2}{rest}" if int(year) > 2026 else one["expires_at"]

    return objects(edit, ARTIFACTS)()


def _no_screenshots(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    gone = ask.operation == "downloadArtifact" and answer.header("content-type") == "image/png"
    return header(error(answer, 404, "not_found"), "content-disposition", None) if gone else answer


def _gif(one: Any) -> None:  # noqa: ANN401  a JSON value
    if one["type"] == "screenshot":
        one.update(size_bytes=len(_NOT_PNG), sha256=sha256(_NOT_PNG).hexdigest())


def _gif_for_png(ask: Ask, inner: Inner) -> Response:
    answer = objects(_gif, ARTIFACTS)()(ask, inner)
    if ask.operation == "downloadArtifact" and answer.header("content-type") == "image/png":
        return content(answer, _NOT_PNG)
    return answer


def _no_failures_in_junit(answer: Response) -> Response:
    """A JUnit file in which every case that failed has passed, of the same size."""
    body = answer.body
    return content(answer, _FAILURE.sub(lambda found: b" " * len(found[0]), body)) if b"<testsuites" in body else answer


def _pad(answer: Response) -> Response:
    return content(answer, answer.body + b"\n")


def _flip(answer: Response) -> Response:
    return content(answer, answer.body[:-1] + bytes([answer.body[-1] ^ 1]))


def _shift(answer: Response) -> Response:
    return content(answer, answer.body[1:] + b"\0")


def _whole_as_part(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation != "downloadArtifact" or answer.status != 206:
        return answer
    return content(answer, inner(ask.lacking("range")).body)


def _whole_beyond_the_end(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    is_beyond = ask.operation == "downloadArtifact" and answer.status == 416
    return inner(ask.lacking("range")) if is_beyond else answer


def _traced_cancel(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation != "listRunArtifacts" or not answer.items:
        return answer
    run = inner(ask.to(f"/v1/runs/{ask.id}")).fields
    cut = [one["result_id"] for one in run["case_outcomes"] if one["status"] == "canceled"]
    trace = {**answer.items[-1], "id": "art_of_a_canceled_case", "type": "trace", "name": "canceled.trace.zip"}
    more = [{**trace, "result_id": one} for one in cut[:1]]
    return says(answer, {**answer.fields, "data": [*answer.items, *more]})


LEFT_BEHIND: Final = (
    *(
        Mutant(name=name, rule=rule, make=make)
        for name, rule, make in (
            ("lines-without-level", "logs.shape", objects(without("level"), "getRunLogs")),
            ("lines-in-seconds", "logs.shape", objects(changing("timestamp", lambda at: at[:19] + "Z"), "getRunLogs")),
            ("logs-unreadable", "logs.readable", answers(lambda a: error(a, 404, "not_found"), "getRunLogs", 200)),
            ("newest-line-first", "logs.oldest-first", _edit_items(lambda lines: lines.reverse(), "getRunLogs")),
            ("lines-rewritten", "logs.append-only", _rewritten),
            ("log-not-followable", "logs.follow", always(_unfollowable)),
            ("log-without-end", "logs.follow", _endless),
            ("log-skips", "logs.follow.complete", always(_skipping)),
            ("log-has-no-more", "logs.has-more", bodies(setting(has_more=False), "getRunLogs")),
            ("result-artifacts-404", "artifacts.listed", answers(lambda a: error(a, 404, "not_found"), "listResultArtifacts", 200)),
            ("artifacts-of-no-kind", "artifacts.kinds", objects(rename_field("type", "kind"), ARTIFACTS)),
            ("artifacts-without-hash", "artifacts.fields", objects(without("sha256"), ARTIFACTS)),
            ("sizes-as-text", "artifacts.fields", objects(changing("size_bytes", str), ARTIFACTS)),
            ("no-screenshots", "artifacts.download", always(_no_screenshots)),
            ("size-off-by-one", "artifacts.size", objects(changing("size_bytes", lambda size: size + 1), ARTIFACTS)),
            ("downloads-padded", "artifacts.size", answers(_pad, "downloadArtifact", 200)),
            ("downloads-flipped", "artifacts.hash", answers(_flip, "downloadArtifact", 200)),
            ("png-as-jpeg", "artifacts.type", objects(changing("content_type", lambda media: media.replace("png", "jpeg")), ARTIFACTS)),
            ("download-unnamed", "artifacts.attachment", answers(lambda a: header(a, "content-disposition", None), "downloadArtifact", 200)),
            ("parts-shifted", "artifacts.range", answers(_shift, "downloadArtifact", 206)),
            ("whole-as-part", "artifacts.range", always(_whole_as_part)),
            ("range-beyond-the-end-whole", "artifacts.range", always(_whole_beyond_the_end)),
            ("range-ignored", "artifacts.range", asks(lambda ask: ask.lacking("range"), "downloadArtifact")),
            ("junit-without-failures", "artifacts.junit", answers(_no_failures_in_junit, "downloadArtifact", 200)),
            ("gif-for-png", "artifacts.content", always(_gif_for_png)),
            ("run-holds-its-own", "artifacts.run-holds-all", _edit_items(_dropping(lambda one: one["result_id"] is not None), "listRunArtifacts")),
            ("no-traces", "artifacts.when", _edit_items(_dropping(_if("type", "trace")), ARTIFACTS)),
            ("no-har", "artifacts.when", _edit_items(_dropping(lambda one: one["name"].endswith(".har")), "listRunArtifacts")),
            ("unknown-artifact-empty", "artifacts.unknown", answers(lambda a: content(status(a, 200), b"", "application/zip"), "downloadArtifact", 404)),
            ("canceled-leaves-trace", "results.canceled-traceless", always(_traced_cancel)),
        )
    ),
    Mutant(name="kept-for-30-days", rule="artifacts.retention", world=_keep_for(30)),
    Mutant(name="kept-for-years", rule="artifacts.expiry", make=_promise_short_expiry, world=_keep_for(90 + 731)),
)  # fmt: skip


# --- results


def _early(ask: Ask, inner: Inner) -> Response:
    """Results of ended cases are listed while the run is still running."""
    answer = inner(ask)
    run = inner(ask.to(f"/v1/runs/{ask.params['run_id']}")).fields if "run_id" in ask.params else {}
    if ask.operation != "listResults" or not run or run.get("status") in {None, *ENDED} or not answer.ok:
        return answer
    shared = {name: run[name] for name in ("project_id", "environment", "created_at", "started_at")}
    data = [
        {
            **shared,
            "id": f"res_{run['id'][4:]}_{number:03}",
            "run_id": run["id"],
            "test_case_id": one["test_case_id"],
            "status": "canceled",
            "duration_ms": 1,
            "completed_at": run["created_at"],
            "logs_url": f"http://127.0.0.1:9630/v1/runs/{run['id']}/logs",
            "failure_summary": None,
        }
        for number, one in enumerate(run["case_outcomes"])
    ]
    return says(answer, {**answer.fields, "data": data})


def _unstable() -> Defect:
    """The duration of a result grows each time it is read."""
    reads = 0

    def edit(one: Any) -> None:  # noqa: ANN401  a JSON value
        nonlocal reads
        reads += 1
        one["duration_ms"] = (one["duration_ms"] or 0) + reads

    return objects(edit, "getResult")()


def _hide(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    gone = ask.operation == "getResult" and answer.fields.get("status") == "failed"
    return error(answer, 404, "not_found") if gone else answer


def _lax(ask: Ask) -> Ask:
    ask = ask if ask.params.get("status", "passed") in ENDED else ask.querying(status=None)
    return ask if ask.params.get("created_after", "2").startswith("2") else ask.querying(created_after=None)


def _ignore_filter(*names: str) -> Callable[[], Defect]:
    return asks(lambda ask: ask.querying(**dict.fromkeys(names)), "listResults")


_NEVER_STARTED: Final = _only(
    lambda one: one["started_at"] is None, lambda one: one.update(started_at=one["completed_at"])
)

FOUND: Final = tuple(
    Mutant(name=name, rule=f"results.{rule}", make=make)
    for name, rule, make in (
        ("result-without-reason", "shape", objects(without("failure_summary"), "getResult")),
        ("reasons-as-text", "shape", objects(changing("failure_summary", str), RESULTS)),
        ("result-without-case", "fields", objects(without("test_case_id"), "listResults getResult")),
        ("first-case-lost", "per-case", _edit_items(_dropping(lambda one: one["id"].endswith("_001")), "listResults exportResults")),
        ("results-early", "not-before", always(_early)),
        ("wrong-environment", "agree", objects(changing("environment", lambda name: "production" if name == "staging" else "staging"), RESULTS)),
        ("wrong-duration", "agree", objects(changing("duration_ms", lambda ms: ms + 1), RESULTS)),
        ("result-unstable", "stable", _unstable),
        ("failed-not-found", "get", always(_hide)),
        ("another-when-retrieved", "get", objects(setting(project_id="proj_other"), "getResult")),
        ("unknown-result-empty", "get.unknown", answers(lambda a: says(status(a, 200), {}), "getResult", 404)),
        ("no-reason", "failure-summary", objects(setting(failure_summary=None), RESULTS)),
        ("reason-for-passing", "failure-summary", objects(_only(_if("status", "passed"), setting(failure_summary={"message": "It passed.", "category": "assertion"})), RESULTS)),
        ("logs-url-lost", "logs-url", objects(changing("logs_url", lambda url: url.removesuffix("s")), RESULTS)),
        ("created-before-end", "times", objects(setting(created_at="2020-01-01T00:00:00Z"), RESULTS)),
        ("never-started-started", "canceled-unstarted", objects(_NEVER_STARTED, RESULTS)),
        ("cases-backwards", "order", _edit_items(lambda items: items.reverse(), "listResults")),
        ("run-filter-ignored", "filter.run", _ignore_filter("run_id")),
        ("result-status-ignored", "filter.status", _ignore_filter("status")),
        ("result-dates-ignored", "filter.date", _ignore_filter("created_after", "created_before")),
        ("result-filters-lax", "filter.refused", asks(_lax, "listResults")),
    )
)  # fmt: skip


# --- exports and projects


def _table(edit: Callable[[list[list[str]]], object], ending: str = "\r\n") -> Callable[[], Defect]:
    """The rows of a CSV export are edited."""

    def change(answer: Response) -> Response:
        if not (answer.header("content-type") or "").startswith("text/csv"):
            return answer
        rows = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
        edit(rows)
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator=ending).writerows(rows)
        return content(answer, out.getvalue().encode())

    return answers(change, "exportResults", 200)


def _column(rows: list[list[str]], name: str, change: Callable[[str], str]) -> None:
    place = rows[0].index(name)
    for row in rows[1:]:
        row[place] = change(row[place])


def _backwards(rows: list[list[str]]) -> None:
    for row in rows:
        row.reverse()


def _formulas() -> Defect:
    """A failure message begins like a formula, and the CSV does not escape it."""

    def edit(one: Any) -> None:  # noqa: ANN401  a JSON value
        if one["failure_summary"]:
            one["failure_summary"]["message"] = f"=1+1 {one['failure_summary']['message']}"

    told = objects(edit, RESULTS)()
    spread = _table(lambda rows: _column(rows, "failure_message", lambda cell: f"=1+1 {cell}" if cell else cell))()
    return lambda ask, inner: spread(ask, lambda each: told(each, inner))


def _formulas_of_all_runs(ask: Ask, inner: Inner) -> Response:
    """A CSV of all runs does not escape the formulas that it holds."""
    change = _table(lambda rows: _column(rows, "failure_message", lambda cell: cell and "=1+1"))()
    return inner(ask) if "run_id" in ask.fields else change(ask, inner)


def _asking(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[], Defect]:
    return asks(lambda ask: ask.saying(change(ask.fields)) if ask.fields else ask, "exportResults")


def _no_csv(ask: Ask, inner: Inner) -> Response:
    if ask.operation == "exportResults" and ask.fields.get("format") == "csv":
        return inner(ask.saying({**ask.fields, "format": "xlsx"}))
    return inner(ask)


def _later(answer: Response) -> Response:
    return header(says(status(answer, 202), {"id": "exp_1"}), "content-disposition", None)


EXPORTED: Final = tuple(
    Mutant(name=name, rule=rule, make=make)
    for name, rule, make in (
        ("csv-refused", "exports.formats", always(_no_csv)),
        ("export-later", "exports.at-once", answers(_later, "exportResults", 200)),
        ("export-unnamed", "exports.attachment", answers(lambda a: header(a, "content-disposition", "attachment"), "exportResults", 200)),
        ("export-capped", "exports.equals-list", _edit_items(lambda items: items[:2], "exportResults")),
        ("export-backwards", "exports.equals-list", _edit_items(lambda items: items.reverse(), "exportResults")),
        ("csv-columns-swapped", "exports.csv.columns", _table(_backwards)),
        ("csv-headless", "exports.csv.columns", _table(lambda rows: rows.pop(0))),
        ("csv-narrow-rows", "exports.csv.form", _table(lambda rows: [row.pop() for row in rows[1:] if not row[-1]])),
        ("csv-line-feeds", "exports.csv.form", _table(lambda _: None, "\n")),
        ("csv-in-seconds", "exports.csv.equals-json", _table(lambda rows: _column(rows, "duration_ms", lambda ms: ms and str(int(ms) // 1000)))),
        ("csv-row-lost", "exports.csv.equals-json", _table(lambda rows: rows.pop())),
        ("csv-formulas", "exports.csv.defused", _formulas),
        ("csv-formulas-of-all-runs", "exports.csv.defused", always(_formulas_of_all_runs)),
        ("export-unfiltered", "exports.filter", _asking(lambda body: {name: body[name] for name in body if name != "status"})),
        ("any-format-is-json", "exports.refused", _asking(lambda body: body if body.get("format") == "csv" else {**body, "format": "json"})),
        ("new-field", "versioning.unknown-field", objects(setting(priority=1), RESULTS)),
        ("new-category", "versioning.unknown-value", objects(lambda one: one["failure_summary"] and one["failure_summary"].update(category="visual") and None, RESULTS)),
        ("projects-without-id", "projects.shape", objects(without("id"), "listProjects")),
        ("projects-not-found", "projects.shape", answers(lambda a: error(a, 404, "not_found"), "listProjects", 200)),
        ("projects-without-name", "projects.fields", objects(without("name"), "listProjects")),
    )
)  # fmt: skip

ALL: Final = (*LEFT_BEHIND, *FOUND, *EXPORTED)
