"""Defects in how runs are started: section 7 of the contract."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tests.mutants.layer import (
    ENDED,
    RUNS,
    Ask,
    Defect,
    Inner,
    Mutant,
    always,
    answers,
    asks,
    changing,
    error,
    errors,
    header,
    objects,
    says,
    setting,
    status,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response


def _refuse(when: Callable[[dict[str, Any]], bool], number: int = 400, code: str = "invalid_request") -> Callable[[], Defect]:  # fmt: skip
    """A valid start is refused."""

    def defect(ask: Ask, inner: Inner) -> Response:
        if ask.operation == "startRun" and when(ask.fields):
            return error(inner(ask.to("/v1/projects")), number, code)
        return inner(ask)

    return always(defect)


def _correct(mend: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[], Defect]:
    """An invalid start is corrected and accepted."""
    return asks(lambda ask: replace(ask, body=json.dumps(mend(ask.fields)).encode()) if ask.fields else ask, "startRun")


def _malformed_is_missing(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    formed = answer.error.get("param") in {"project_id", "test_suite_id"} and answer.status == 400
    if ask.operation == "startRun" and formed and isinstance(ask.fields.get(answer.error["param"]), str):
        return error(answer, 404, "not_found", answer.error["param"])
    return answer


def _drop_duplicates(body: dict[str, Any]) -> dict[str, Any]:
    cases = body.get("test_case_ids")
    whole = isinstance(cases, list) and all(isinstance(case, str) for case in cases)
    return {**body, "test_case_ids": list(dict.fromkeys(cases or ()))} if whole else body


def _at_most_500(body: dict[str, Any]) -> dict[str, Any]:
    cases = body.get("test_case_ids")
    return {**body, "test_case_ids": cases[:500]} if isinstance(cases, list) else body


def _coerce(body: dict[str, Any]) -> dict[str, Any]:
    cases = body.get("test_case_ids")
    body = {**body, "test_case_ids": [cases]} if isinstance(cases, str) else body
    project = body.get("project_id")
    return {**body, "project_id": f"proj_{project}"} if isinstance(project, int) else body


def _find_names(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(body).replace("missing", "found"))
    return found


def _leaves_a_run(number: int) -> Callable[[], Defect]:
    """A refused start creates a run."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "startRun" and answer.status == number:
            some = {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_login_001"]}
            inner(ask.lacking("idempotency-key").saying(some))
        return answer

    return always(defect)


def _at_capacity(number: int, code: str) -> Callable[[], Defect]:
    """A start over capacity is refused."""

    def make() -> Defect:
        alive: set[str] = set()

        def defect(ask: Ask, inner: Inner) -> Response:
            if ask.operation != "startRun" or ask.key.endswith("other"):
                return inner(ask)
            for run in sorted(alive):
                if inner(ask.to(f"/v1/runs/{run}")).fields.get("status") in ENDED:
                    alive.discard(run)
            if len(alive) >= 4:
                return error(inner(ask.to("/v1/projects")), number, code)
            answer = inner(ask)
            if answer.ok:
                alive.add(answer.fields["id"])
            return answer

        return defect

    return make


def _appears_late() -> Defect:
    """A run is not found at its first retrieval."""
    asked: set[str] = set()
    started: set[str] = set()

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "startRun" and answer.ok:
            started.add(answer.fields["id"])
        if ask.operation == "getRun" and ask.id in started - asked and answer.ok:
            asked.add(ask.id)
            return error(answer, 404, "not_found")
        return answer

    return defect


def _hide_unstarted(ask: Ask, inner: Inner) -> Response:
    """A run is not listed until it has started."""
    answer = inner(ask)
    if ask.operation != "listRuns" or not answer.ok:
        return answer
    return says(answer, {**answer.fields, "data": [run for run in answer.items if run["status"] != "queued"]})


def _running(run: Any) -> None:  # noqa: ANN401  a JSON value
    counts = run["summary"]
    run.update(status="running", started_at=run["created_at"])
    counts.update(queued=counts["queued"] - 1, running=1)
    run["case_outcomes"][0]["status"] = "running"


def _sort(run: Any) -> None:  # noqa: ANN401  a JSON value
    run["case_outcomes"].sort(key=lambda one: str(one["test_case_id"]))


def _move_location(answer: Response) -> Response:
    location = answer.header("location") or ""
    return header(answer, "location", location.replace("/v1/runs/", "/v1/run/"))


def _both(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "test_suite_id" or "test_case_ids" not in body}


def _no_location(answer: Response) -> Response:
    return header(answer, "location", None)


ALL: Final = tuple(
    Mutant(name=name, rule=f"runs.{rule}", make=make)
    for name, rule, make in (
        ("cases-refused", "start.accepted", _refuse(lambda body: "test_case_ids" in body and len(body) == 3)),
        ("start-without-id", "start.accepted", objects(without("id"), "startRun")),
        ("suites-refused", "start.suite", _refuse(lambda body: "test_suite_id" in body and len(body) == 3)),
        ("production-refused", "start.production", _refuse(lambda body: body.get("environment") == "production")),
        ("start-200", "start.created", answers(lambda a: status(a, 200), "startRun", 201)),
        ("start-202", "start.created", answers(lambda a: status(a, 202), "startRun", 201)),
        ("no-location", "start.location", answers(_no_location, "startRun", 201)),
        ("location-elsewhere", "start.location", answers(_move_location, "startRun", 201)),
        ("begins-running", "start.queued", objects(_running, "startRun")),
        ("cases-sorted", "start.echo", objects(_sort, "startRun getRun")),
        ("environment-lost", "start.echo", objects(setting(environment="default"), "startRun getRun")),
        ("production-is-staging", "start.echo", objects(setting(environment="staging"), RUNS)),
        ("project-changes", "start.echo", objects(changing("project_id", lambda name: f"{name}_2"), "getRun listRuns")),
        ("appears-late", "start.retrievable", _appears_late),
        ("queued-unlisted", "start.retrievable", always(_hide_unstarted)),
        ("environment-optional", "start.required", _correct(lambda body: {"environment": "staging", **body})),
        ("project-optional", "start.required", _correct(lambda body: {"project_id": "proj_abc123", **body})),
        ("cases-before-suite", "start.either", _correct(_both)),
        ("neither-blames-nobody", "start.either", errors(400, lambda e: e.pop("param", None) if e.get("param") == "test_case_ids" else None, "startRun")),
        ("duplicates-pass", "start.case-count", _correct(_drop_duplicates)),
        ("501-cases-pass", "start.case-count", _correct(_at_most_500)),
        ("malformed-is-missing", "start.id-form", always(_malformed_is_missing)),
        ("values-coerced", "start.types", _correct(_coerce)),
        ("missing-is-found", "start.unknown-reference", _correct(_find_names)),
        ("missing-blames-nobody", "start.unknown-reference", errors(404, without("param"), "startRun")),
        ("refused-leaves-run", "start.refused-makes-nothing", _leaves_a_run(400)),
        ("missing-leaves-run", "start.refused-makes-nothing", _leaves_a_run(404)),
        ("capacity-409", "capacity", _at_capacity(409, "conflict")),
        ("capacity-503", "capacity", _at_capacity(503, "over_capacity")),
    )
)  # fmt: skip
