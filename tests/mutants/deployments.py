"""Defects of deployments that share no code with the emulator: characters, encodings, page sizes, replays and keys."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.mutants.layer import (
    ADMIN,
    RESULTS,
    Ask,
    Defect,
    Inner,
    Mutant,
    always,
    answers,
    content,
    error,
    header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response

_CI: Final = "Bearer zof_test_ci"
_OTHER: Final = "Bearer zof_test_other"
_READING_RUNS: Final = frozenset({"getRun", "getRunLogs", "listRunArtifacts"})


def _crashes(when: Callable[[Ask], bool]) -> Callable[[], Defect]:
    """Some requests are answered with 500 and have no effect."""

    def defect(ask: Ask, inner: Inner) -> Response:
        if when(ask):
            return error(inner(ask.to("/v1/projects")), 500, "internal_server_error")
        return inner(ask)

    return always(defect)


def _is_utf8(ask: Ask) -> bool:
    return not ask.body.isascii()


def _holds(ask: Ask, field: str, characters: str) -> bool:
    """Whether a field of the body holds one of some characters."""
    return any(character in str(ask.fields.get(field, "")) for character in characters)


def _has_odd_name(ask: Ask) -> bool:
    return any("\ud800" in name for name in ask.fields)


def _shows_ten(ask: Ask, inner: Inner) -> Response:
    is_list = ask.operation in {"listRuns", "listResults"}
    return inner(ask.querying(limit="10") if is_list and "limit" not in ask.params else ask)


def _starts_on_replay(when: Callable[[Ask], bool]) -> Callable[[], Defect]:
    """A replay shows the original run but starts another one."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "startRun" and answer.header("idempotency-replayed") and when(ask):
            inner(ask.lacking("idempotency-key"))
        return answer

    return always(defect)


def _replays_to_strangers() -> Defect:
    """The first answer to a start's idempotency key is given to any client that repeats the key."""
    first: dict[tuple[str, bytes], Response] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        scope = ask.header("idempotency-key"), ask.body
        if ask.operation != "startRun" or not scope[0]:
            return inner(ask)
        if scope in first and ask.key == _OTHER:
            return first[scope]
        answer = inner(ask)
        if answer.ok and ask.key == ADMIN:
            first.setdefault(scope, answer)
        return answer

    return defect


def _refuses_ci_key(operations: frozenset[str]) -> Callable[[], Defect]:
    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        return error(answer, 403, "forbidden") if ask.key == _CI and ask.operation in operations else answer

    return always(defect)


def _encode_utf16(answer: Response) -> Response:
    return content(answer, answer.body.decode().encode("utf-16")) if answer.json is not None else answer


def _not_a_number(answer: Response) -> Response:
    value = json.loads(answer.body)
    for each in value.get("data", [value]):
        each["duration_ms"] = float("nan")
    return content(answer, json.dumps(value).encode())


def _infinite(answer: Response) -> Response:
    value = json.loads(answer.body)
    return content(answer, json.dumps({**value, "score": float("inf")}).encode())


ALL: Final = tuple(
    Mutant(name=name, rule=rule, make=make)
    for name, rule, make in (
        ("crash-on-utf8", "conventions.strings", _crashes(_is_utf8)),
        ("crash-on-astral", "conventions.strings", _crashes(lambda ask: _holds(ask, "environment", "\U0001f600"))),
        ("crash-on-surrogate", "conventions.strings", _crashes(lambda ask: _holds(ask, "project_id", "\ud800"))),
        ("crash-on-nul", "conventions.strings", _crashes(lambda ask: _holds(ask, "created_after", "\x00"))),
        ("crash-on-odd-case", "conventions.strings", _crashes(lambda ask: not str(ask.fields.get("test_case_ids")).isascii())),
        ("crash-on-odd-name", "conventions.strings", _crashes(_has_odd_name)),
        ("two-crashes", "conventions.no-server-error", _crashes(lambda ask: ask.operation == "listRuns" and bool({"status", "project_id"} & ask.params.keys()))),
        ("pages-of-10", "pages.default.full", always(_shows_ten)),
        ("replay-starts-another", "idempotency.replay", _starts_on_replay(lambda _: True)),
        ("respelled-replay-starts-another", "idempotency.replay", _starts_on_replay(lambda ask: b"\n" in ask.body)),
        ("start-replayed-to-strangers", "tenants.replay", _replays_to_strangers),
        ("ci-key-cannot-read-runs", "auth.ci-reader", _refuses_ci_key(_READING_RUNS)),
        ("ci-key-cannot-list-results", "auth.ci-reader", _refuses_ci_key(frozenset({"listResults"}))),
        ("ci-key-cannot-export", "auth.ci-reader", _refuses_ci_key(frozenset({"exportResults"}))),
        ("json-as-html", "conventions.json", answers(lambda a: header(a, "content-type", "text/html") if a.json is not None else a)),
        ("json-in-utf16", "conventions.json", answers(_encode_utf16, "listResults", 200)),
        ("nan-durations", "conventions.json", answers(_not_a_number, RESULTS.replace(" exportResults", ""), 200)),
        ("infinite-score", "conventions.json", answers(_infinite, "getRun", 200)),
    )
)  # fmt: skip
"""Defects that a verification did not find at first."""
