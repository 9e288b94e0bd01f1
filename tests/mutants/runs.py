"""Defects in runs: section 7 of the contract. Defects in starts are in `starts`."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core import runs
from zof_emulator.core.world import World

from tests.mutants.layer import (
    ENDED,
    RUN,
    RUNS,
    Ask,
    Defect,
    Edit,
    Inner,
    Mutant,
    always,
    answers,
    asks,
    bodies,
    error,
    objects,
    says,
    setting,
    status,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response
    from zof_emulator.core.lifecycle import Status
    from zof_emulator.core.runs import Run


def _when(test: Callable[[Any], Any], edit: Edit) -> Edit:
    """Edits objects of a kind alone."""
    return lambda one: edit(one) if test(one) else None


def _has_ended(run: Any) -> bool:  # noqa: ANN401  a JSON value
    return run["status"] in ENDED


def _remembering(edit: Callable[[dict[str, int], Any], object], to: str) -> Callable[[], Defect]:
    """Each object of an answer is edited, given how often it was shown; whoever edits counts."""

    def make() -> Defect:
        shown: dict[str, int] = {}
        return objects(lambda one: edit(shown, one) and None, to)()

    return make


def _count(shown: dict[str, int], name: str) -> int:
    shown[name] = shown.get(name, 0) + 1
    return shown[name]


def _back_to_queued(shown: dict[str, int], run: Any) -> None:  # noqa: ANN401  a JSON value
    if run["status"] == "running" and _count(shown, run["id"]) == 2:
        run["status"] = "queued"


def _flips(shown: dict[str, int], run: Any) -> None:  # noqa: ANN401  a JSON value
    if run["status"] == "passed" and _count(shown, run["id"]) > 1:
        run["status"] = "failed"


def _ends_later(shown: dict[str, int], run: Any) -> None:  # noqa: ANN401  a JSON value
    if _has_ended(run) and _count(shown, run["id"]) > 1 and run["duration_ms"] is not None:
        run["duration_ms"] += 1


def _reopen() -> Defect:
    """A refused cancel sets the run running again."""
    reopened: set[str] = set()

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "cancelRun" and answer.status == 409:
            reopened.add(ask.id)
        again = ask.operation == "getRun" and ask.id in reopened
        return says(answer, {**answer.fields, "status": "running"}) if again else answer

    return defect


def _canceled_though_refused() -> Defect:
    """A refused cancel of an ended run makes it canceled all the same."""
    refused: set[str] = set()

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "cancelRun" and answer.status == 409:
            refused.add(ask.id)
        again = ask.operation == "getRun" and ask.id in refused
        return says(answer, {**answer.fields, "status": "canceled"}) if again else answer

    return defect


def _swap(run: Any) -> None:  # noqa: ANN401  a JSON value
    counts = run["summary"]
    counts["passed"], counts["failed"] = counts["failed"], counts["passed"]


def _last_case(**fields: Any) -> Edit:  # noqa: ANN401  JSON values
    return lambda run: run["case_outcomes"][-1].update(fields)


def _early_ids(run: Any) -> None:  # noqa: ANN401  a JSON value
    for number, outcome in enumerate(run["case_outcomes"]):
        outcome["result_id"] = outcome["result_id"] or f"res_{run['id'][4:]}_{number:03}"


def _no_ids(run: Any) -> None:  # noqa: ANN401  a JSON value
    for outcome in run["case_outcomes"]:
        outcome["result_id"] = None


def _two_at_once(run: Any) -> None:  # noqa: ANN401  a JSON value
    waiting = [one for one in run["case_outcomes"] if one["status"] == "queued"]
    if run["status"] == "running" and waiting:
        waiting[0]["status"] = "running"
        run["summary"]["queued"] -= 1
        run["summary"]["running"] += 1


def _failing_word(word: str) -> Edit:
    """An ended run with such a case is shown as passed."""
    return _when(lambda run: run["status"] == word, setting(status="passed"))


def _ignore_filter(*names: str) -> Callable[[Ask], Ask]:
    return lambda ask: ask.querying(**dict.fromkeys(names))


def _lossy_filter(ask: Ask, inner: Inner) -> Response:
    """A status filter omits the first match."""
    answer = inner(ask)
    if ask.operation != "listRuns" or "status" not in ask.params or "starting_after" in ask.params:
        return answer
    return says(answer, {**answer.fields, "data": answer.fields.get("data", [])[1:]}) if answer.ok else answer


def _exclusive_after(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    bound = ask.params.get("created_after")
    if ask.operation != "listRuns" or bound is None or not answer.ok:
        return answer
    return says(answer, {**answer.fields, "data": [run for run in answer.items if run["created_at"] != bound]})


def _inclusive_before(ask: Ask) -> Ask:
    bound = ask.params.get("created_before", "")
    return ask.querying(created_before=bound.replace("Z", ".999Z")) if bound.endswith("Z") and "." not in bound else ask


def _lax_filter(ask: Ask) -> Ask:
    known = {"queued", "running", *ENDED}
    ask = ask if ask.params.get("status", "queued") in known else ask.querying(status=None)
    return ask if ask.params.get("created_after", "2").startswith("2") else ask.querying(created_after=None)


def _page_of_another(run: Any) -> None:  # noqa: ANN401  a JSON value
    run["url"] = run["url"].replace("/runs/", "/runs/view/")


def _stale_list() -> Defect:
    """The list always shows a run as it was first listed."""
    first: dict[str, Any] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation != "listRuns" or not answer.ok:
            return answer
        value = json.loads(answer.body)
        value["data"] = [first.setdefault(run["id"], run) for run in value["data"]]
        return says(answer, value)

    return defect


def _unknown_is(change: Callable[[Response], Response], to: str) -> Callable[[], Defect]:
    return answers(change, to, 404)


SHOWN: Final = tuple(
    Mutant(name=name, rule=f"runs.{rule}", make=make)
    for name, rule, make in (
        ("run-without-summary", "shape", objects(without("summary"), "getRun")),
        ("summary-as-list", "shape", objects(lambda run: run.update(summary=list(run["summary"])), "listRuns")),
        ("run-without-outcomes", "shape", objects(without("case_outcomes"), "getRun cancelRun")),
        ("run-without-created-at", "fields", objects(without("created_at"), "getRun")),
        ("run-without-suite", "fields", objects(without("test_suite_id"), "listRuns")),
        ("back-to-queued", "status.transitions", _remembering(_back_to_queued, "getRun")),
        ("passed-then-failed", "status.terminal", _remembering(_flips, "getRun")),
        ("reopened-by-cancel", "status.terminal", _reopen),
        ("ever-longer", "terminal.frozen", _remembering(_ends_later, "getRun")),
        ("total-off-by-one", "summary.total", objects(lambda run: run["summary"].update(total=run["summary"]["total"] + 1), "listRuns")),
        ("running-uncounted", "summary.total", objects(lambda run: run["summary"].update(running=0), RUNS)),
        ("counts-swapped", "summary.outcomes", objects(_swap, RUN)),
        ("failed-is-passed", "outcome", objects(_failing_word("failed"), RUNS)),
        ("error-is-passed", "outcome", objects(_failing_word("error"), RUNS)),
        ("straggler", "outcomes.settled", objects(_when(_has_ended, _last_case(status="running")), "getRun")),
        ("result-ids-early", "outcomes.result-id", objects(_early_ids, RUN)),
        ("result-ids-never", "outcomes.result-id", objects(_no_ids, RUN)),
        ("started-while-queued", "times", objects(_when(lambda run: run["status"] == "queued", lambda run: run.update(started_at=run["created_at"])), RUNS)),
        ("completed-while-running", "times", objects(_when(lambda run: run["status"] == "running", lambda run: run.update(completed_at=run["created_at"])), RUNS)),
        ("ended-before-start", "times", objects(_when(_has_ended, lambda run: run.update(completed_at="2020-01-01T00:00:00Z")), RUNS)),
        ("list-without-durations", "list-agrees", objects(lambda run: run.update(duration_ms=None), "listRuns")),
        ("list-is-stale", "list-agrees", _stale_list),
        ("two-at-once", "sequence", objects(_two_at_once, RUN)),
        ("url-of-nothing", "url", objects(_page_of_another, RUNS)),
        ("unknown-run-403", "get.unknown", _unknown_is(lambda a: error(a, 403, "forbidden"), "getRun cancelRun")),
        ("unknown-run-has-logs", "get.unknown", _unknown_is(lambda a: says(status(a, 200), {"data": [], "has_more": False, "next_cursor": None}), "getRunLogs")),
        ("project-filter-ignored", "filter.project", asks(_ignore_filter("project_id"), "listRuns")),
        ("status-filter-ignored", "filter.status", asks(_ignore_filter("status"), "listRuns")),
        ("status-filter-lossy", "filter.status", always(_lossy_filter)),
        ("date-filter-ignored", "filter.date", asks(_ignore_filter("created_after", "created_before"), "listRuns")),
        ("before-ignored", "filter.date", asks(_ignore_filter("created_before"), "listRuns")),
        ("after-exclusive", "filter.date.bounds", always(_exclusive_after)),
        ("before-inclusive", "filter.date.bounds", asks(_inclusive_before, "listRuns")),
        ("wrong-filters-pass", "filter.refused", asks(_lax_filter, "listRuns")),
    )
)  # fmt: skip


# --- ends


class _Lifo(World):
    """The newest queued run starts first."""

    __slots__ = ()

    def _fill(self, organization: str) -> None:
        waiting = self.tenancies[organization].waiting
        newest_first = sorted(waiting, reverse=True)
        waiting.clear()
        waiting.update(dict.fromkeys(newest_first))
        super()._fill(organization)


class _Hanging(World):
    """The last of several cases never ends."""

    __slots__ = ()

    def _end_case(self, run: Run, came_to: Status, rule: int) -> None:
        if len(run.outcomes) < len(run.cases) - 1 or len(run.cases) == 1:
            super()._end_case(run, came_to, rule)


class _Hoarding(World):
    """A canceled run keeps its place in the capacity."""

    __slots__ = ()

    def cancel(self, run: Run) -> Run:
        return self._end_run(run, runs.cancel(run, self.now))


def _becomes(kind: type[World]) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.__class__ = kind

    return plant


def _show_canceled(run: dict[str, Any]) -> dict[str, Any]:
    finished = [one["status"] if one["status"] in ENDED else "canceled" for one in run["case_outcomes"]]
    counts = {name: finished.count(name) for name in run["summary"] if name != "total"}
    outcomes = [{**one, "status": now} for one, now in zip(run["case_outcomes"], finished, strict=True)]
    told = {"status": "canceled", "summary": {"total": len(finished), **counts}, "case_outcomes": outcomes}
    return {**run, **told, "completed_at": run["started_at"] or run["created_at"], "duration_ms": 0}


def _says_canceled(test: Callable[[Any], bool]) -> Callable[[], Defect]:
    """A cancel is answered correctly but not performed."""

    def defect(ask: Ask, inner: Inner) -> Response:
        if ask.operation == "cancelRun" and ask.key.endswith(("admin", "ci")):
            now = inner(ask.to(f"/v1/runs/{ask.id}"))
            if now.ok and not _has_ended(now.fields) and test(now.fields):
                return says(now, _show_canceled(now.fields))
        return inner(ask)

    return always(defect)


def _conflict_as_success(of: str) -> Callable[[], Defect]:
    """A cancel of an ended run is answered with the run."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "cancelRun" and answer.status == 409 and not answer.error.get("param"):
            now = inner(ask.to(f"/v1/runs/{ask.id}"))
            return now if (now.fields["status"] == "canceled") == (of == "canceled") else answer
        return answer

    return always(defect)


def _queued_only(ask: Ask, inner: Inner) -> Response:
    if ask.operation == "cancelRun":
        now = inner(ask.to(f"/v1/runs/{ask.id}"))
        if now.fields.get("status") == "running":
            return error(now, 409, "conflict")
    return inner(ask)


def _all_canceled(run: Any) -> None:  # noqa: ANN401  a JSON value
    if run["status"] == "canceled":
        run["summary"].update(dict.fromkeys(run["summary"], 0))
        run["summary"].update(total=len(run["case_outcomes"]), canceled=len(run["case_outcomes"]))
        for outcome in run["case_outcomes"]:
            outcome["status"] = "canceled"


def _last_lap(run: Any) -> bool:  # noqa: ANN401  a JSON value
    return bool(run["status"] == "running" and run["summary"]["queued"] == 0)


CANCELED: Final = (
    *(
        Mutant(name=name, rule=f"runs.{rule}", make=make)
        for name, rule, make in (
            ("cancel-not-done", "cancel.accepted", _says_canceled(lambda run: run["status"] == "queued")),
            ("running-not-canceled", "cancel.accepted", always(_queued_only)),
            ("cancel-202", "cancel.answer", answers(lambda a: status(a, 202), "cancelRun", 200)),
            ("cancel-without-run", "cancel.answer", bodies(lambda _: {}, "cancelRun")),
            ("cancel-takes-all", "cancel.outcomes", objects(_all_canceled, RUN)),
            ("ended-is-canceled", "cancel.terminal-conflict", _conflict_as_success("ended")),
            ("canceled-twice", "cancel.again-conflict", _conflict_as_success("canceled")),
            ("refused-cancel-works", "cancel.terminal-unchanged", _canceled_though_refused),
            ("both-stories", "cancel.race", _says_canceled(_last_lap)),
        )
    ),
    Mutant(name="last-in-first-out", rule="runs.capacity.fifo", world=_becomes(_Lifo)),
    Mutant(name="hangs-at-the-end", rule="runs.progress", world=_becomes(_Hanging)),
    Mutant(name="canceled-keeps-place", rule="runs.cancel.frees-place", world=_becomes(_Hoarding)),
)  # fmt: skip

ALL: Final = (*SHOWN, *CANCELED)
