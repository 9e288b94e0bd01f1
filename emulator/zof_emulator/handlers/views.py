"""Views: turn the values of the core into the JSON objects of the API."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.artifacts import find_artifact
from zof_emulator.core.instants import format_rfc3339, format_rfc3339_ms, format_rfc3339_or_null
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.logs import make_line
from zof_emulator.handlers import files

if TYPE_CHECKING:
    from zof_emulator.core.catalogue import NamedProject
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World

_STATUSES: Final = tuple((status.value, status) for status in Status)
PREFIX: Final = "/v1"
"""The path prefix of the API; the URLs in the document's `servers` end with it."""
_WORDS: Final = {status: status.value for status in Status}
"""The JSON value of each status; this lookup takes a fifth of the time of `status.value`."""
_NONE: Final = dict.fromkeys(_WORDS.values(), 0)
_QUEUED: Final = {"test_case_id": "", "status": _WORDS[Status.QUEUED], "result_id": None, "duration_ms": None}


class ResultAt(NamedTuple):
    """A result, identified by its run and the index of its case."""

    run: Run
    case_index: int


class LineAt(NamedTuple):
    """A log line, identified by its run and its index."""

    run: Run
    line_index: int


class ArtifactAt(NamedTuple):
    """An artifact, identified by its run and its slot."""

    run: Run
    slot: int


def build_run(world: World, run: Run, base: str) -> dict[str, Any]:
    """A run in a list."""
    return _build_run_fields(world, run, base, () if run.status is Status.QUEUED else run.case_statuses())


def _build_run_fields(world: World, run: Run, base: str, statuses: tuple[Status, ...]) -> dict[str, Any]:
    name = world.names.run(run.number)
    summary = {"total": len(run.cases), **_NONE}
    if run.status is Status.QUEUED:  # as every run is when it is accepted
        summary["queued"] = len(run.cases)
    for status in statuses:
        summary[_WORDS[status]] += 1
    return {
        "id": name,
        "organization_id": run.organization,
        "project_id": run.project_id,
        "environment": run.environment,
        "status": _WORDS[run.status],
        "test_suite_id": run.test_suite_id,
        "summary": summary,
        "created_at": format_rfc3339(run.created_at),
        "started_at": format_rfc3339_or_null(run.started_at),
        "completed_at": format_rfc3339_or_null(run.completed_at),
        "duration_ms": run.duration_ms,
        "url": f"{base}/runs/{name}",
    }


def build_run_detail(world: World, run: Run, base: str) -> dict[str, Any]:
    """A run in an answer about that run, with the outcomes of its cases."""
    if run.status is Status.QUEUED:
        detail = _build_run_fields(world, run, base, ())
        detail["case_outcomes"] = [_QUEUED | {"test_case_id": case} for case in run.cases]
        return detail
    statuses, ended = run.case_statuses(), run.has_ended
    detail = _build_run_fields(world, run, base, statuses)
    detail["case_outcomes"] = [
        {
            "test_case_id": case,
            "status": _WORDS[status],
            "result_id": world.names.result(run.number, index) if ended else None,
            "duration_ms": run.case_duration_ms(index),
        }
        for index, (case, status) in enumerate(zip(run.cases, statuses, strict=True))
    ]
    return detail


def build_result(world: World, at: ResultAt, base: str) -> dict[str, Any]:
    """A result."""
    result = world.result(at.run, at.case_index)
    failure = result.failure
    return {
        "id": result.id,
        "run_id": result.run_id,
        "project_id": result.project_id,
        "test_case_id": result.test_case_id,
        "environment": result.environment,
        "status": result.status,
        "duration_ms": result.duration_ms,
        "created_at": format_rfc3339_or_null(result.created_at),
        "started_at": format_rfc3339_or_null(result.started_at),
        "completed_at": format_rfc3339_or_null(result.completed_at),
        "logs_url": f"{base}{PREFIX}/runs/{result.run_id}/logs",
        "failure_summary": failure and {"message": failure.message, "category": failure.category},
    }


def build_log_line(world: World, at: LineAt, _base: str) -> dict[str, Any]:
    """A log line."""
    written = make_line(at.run, at.line_index, world.outcome_rules)
    return {
        "id": world.names.log(at.run.number, at.line_index),
        "timestamp": format_rfc3339_ms(written.at),
        "level": written.level,
        "message": written.message,
        "test_case_id": written.test_case_id,
    }


def build_artifact(world: World, at: ArtifactAt, base: str) -> dict[str, Any]:
    """An artifact. Its `result_id` is null for an artifact of the run, and until the result is visible."""
    run, found = at.run, find_artifact(at.run, at.slot, world.outcome_rules)
    assert found is not None, "only filled slots are listed"  # noqa: S101
    name, file = world.names.artifact(run.number, at.slot), files.render(world, run, found)
    return {
        "id": name,
        "run_id": world.names.run(run.number),
        "result_id": None if found.index is None or not run.has_ended else world.names.result(run.number, found.index),
        "type": file.type,
        "name": file.name,
        "content_type": file.media_type,
        "size_bytes": len(file.content),
        "sha256": sha256(file.content).hexdigest(),
        "created_at": format_rfc3339(found.created_at),
        "expires_at": format_rfc3339(world.expires_at(found)),
        "url": f"{base}{PREFIX}/artifacts/{name}/content",
    }


def build_project(_world: World, project: NamedProject, _base: str) -> dict[str, Any]:
    """A project."""
    return {"id": project.id, "name": project.name, "created_at": format_rfc3339(project.created_at)}
