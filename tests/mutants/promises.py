"""Defects in pagination and idempotency: sections 5 and 6 of the contract."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.idempotency import IdempotencyStore
from zof_emulator.core.instants import DAY
from zof_emulator.scenarios.load import load_object

from tests.mutants.layer import (
    ARTIFACTS,
    LISTS,
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
    header,
    says,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response
    from zof_emulator.core.world import World


_RUNS: Final = {
    "project": "proj_abc123",
    "environment": "production",
    "cases": ["tc_login_001"],
    "count": 120,
    "over": "1d",
}
_KEYS: Final = [{"secret": "zof_test_creates", "permissions": ["runs:create"]}]
_MANY_RUNS: Final = {"scenario": load_object({"keys": _KEYS, "runs": [_RUNS]}).scenario}


def _clamp(ask: Ask) -> Ask:
    limit = ask.params.get("limit")
    if limit is None or (limit.isdigit() and 1 <= int(limit) <= 100):
        return ask
    return ask.querying(limit=str(min(max(int(limit), 1), 100)) if limit.lstrip("-").isdigit() else None)


def _one_more(ask: Ask) -> Ask:
    limit = ask.params.get("limit", "")
    return ask.querying(limit=str(int(limit) + 1)) if limit.isdigit() and 1 <= int(limit) < 100 else ask


def _later_pages(edit: Edit, to: str) -> Callable[[], Defect]:
    """Pages after the first are edited."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation not in to.split() or not answer.ok or "starting_after" not in ask.params:
            return answer
        value = json.loads(answer.body)
        edit(value)
        return says(answer, value)

    return always(defect)


def _repeating() -> Defect:
    """Each page of results begins with the last item of the page before."""
    last: dict[str, Any] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation != "listResults" or not answer.items:
            return answer
        value = json.loads(answer.body)
        value["data"] = [last[ask.params["starting_after"]], *value["data"][:-1]] if "starting_after" in ask.params and ask.params["starting_after"] in last else value["data"]  # fmt: skip
        if value["next_cursor"]:
            last[value["next_cursor"]] = value["data"][-1]
        return says(answer, value)

    return defect


def _by_offset() -> Defect:
    """A cursor of runs is a position in the list, so it shifts when runs are created."""
    places: dict[str, int] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        cursor = ask.params.get("starting_after")
        if ask.operation != "listRuns" or (cursor is not None and cursor not in places):
            return inner(ask)
        first = places.get(cursor or "", 0)
        skipped: str | None = None
        for _ in range(0, first, 50):
            size = min(50, first - _)
            skipped = inner(ask.querying(starting_after=skipped, limit=str(size))).fields.get("next_cursor")
        if cursor is not None and skipped is None:
            return inner(ask)
        answer = inner(ask.querying(starting_after=skipped))
        if answer.fields.get("next_cursor"):
            places[answer.fields["next_cursor"]] = first + len(answer.items)
        return answer

    return defect


def _forgiving_cursor(when: Callable[[str, set[str]], bool]) -> Callable[[], Defect]:
    """A cursor of some kind that must be refused is ignored."""

    def make() -> Defect:
        given: set[str] = set()

        def defect(ask: Ask, inner: Inner) -> Response:
            answer = inner(ask)
            if isinstance(cursor := answer.fields.get("next_cursor"), str):
                given.add(cursor)
            find_broken_rule = answer.error.get("param") == "starting_after"
            if find_broken_rule and when(ask.params["starting_after"], given):
                return inner(ask.querying(starting_after=None))
            return answer

        return defect

    return make


def _filter_not_found(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    named = {"project_id", "run_id"} & ask.params.keys()
    empty = answer.ok and named and answer.fields.get("data") == [] and "starting_after" not in ask.params
    return error(answer, 404, "not_found", named.pop()) if empty else answer


def _more_to_come(value: Any) -> None:  # noqa: ANN401  a JSON value
    if not value["has_more"] and value["data"]:
        value["has_more"], value["next_cursor"] = True, "eyJvIjoxfQ"


def _cut_short(value: Any) -> None:  # noqa: ANN401  a JSON value
    value["has_more"], value["next_cursor"] = False, None


def _null_while_more(value: Any) -> None:  # noqa: ANN401  a JSON value
    if value["has_more"]:
        value["next_cursor"] = None


def _reverse(value: Any) -> None:  # noqa: ANN401  a JSON value
    value["data"].reverse()


def _empty_for_null(value: Any) -> None:  # noqa: ANN401  a JSON value
    value["next_cursor"] = value["next_cursor"] or ""


PAGES: Final = tuple(
    Mutant(name=name, rule=f"pages.{rule}", make=make)
    for name, rule, make in (
        ("bare-array", "envelope", bodies(lambda v: v["data"], "listProjects")),
        ("results-without-has-more", "envelope", bodies(without("has_more"), "listResults")),
        ("projects-unpaged", "every-list", asks(lambda ask: ask.querying(limit="100"), "listProjects")),
        ("result-artifacts-unpaged", "every-list", asks(lambda ask: ask.querying(limit="100"), "listResultArtifacts")),
        ("one-more-than-limit", "limit", asks(_one_more, "listRuns")),
        ("default-of-50", "default", asks(lambda ask: ask if "limit" in ask.params else ask.querying(limit="50"), "listRuns listResults")),
        ("maximum-of-50", "maximum", always(lambda ask, inner: inner(ask.querying(limit="0") if ask.params.get("limit") == "100" else ask))),
        ("limit-clamped", "limit.refused", asks(_clamp, LISTS)),
        ("page-skips", "walk", _later_pages(lambda v: v["data"].pop(0) if v["data"] else None, "listRuns")),
        ("page-repeats", "walk", _repeating),
        ("pages-by-offset", "walk.under-change", _by_offset),
        ("always-more", "has-more", bodies(_more_to_come, "listResults")),
        ("never-more", "has-more", bodies(_cut_short, "listRuns")),
        ("empty-cursor", "next-cursor.null", bodies(_empty_for_null, "listRuns listProjects")),
        ("no-cursor-field", "next-cursor.null", bodies(lambda v: v.pop("next_cursor") and None if v["next_cursor"] is None else None, "listResults")),
        ("no-cursor-though-more", "next-cursor.given", bodies(_null_while_more, "listResults listRuns")),
        ("oldest-first", "newest-first", bodies(_reverse, "listRuns")),
        ("artifacts-oldest-first", "newest-first", bodies(_reverse, ARTIFACTS)),
        ("any-cursor", "cursor.malformed", _forgiving_cursor(lambda cursor, given: cursor not in given)),
        ("cursor-of-any-list", "cursor.foreign", _forgiving_cursor(lambda cursor, given: cursor in given)),
        ("filter-404", "filter.unknown-id", always(_filter_not_found)),
    )
)  # fmt: skip


def _scope(ask: Ask) -> tuple[str, str]:
    return ask.path, ask.header("idempotency-key")


def _replays_now(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation == "startRun" and answer.header("idempotency-replayed"):
        now = inner(ask.to(f"/v1/runs/{answer.fields['id']}"))
        return says(answer, now.fields)
    return answer


def _free_replays() -> Defect:
    left: dict[str, str] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        remaining = answer.header("x-ratelimit-remaining")
        if answer.header("idempotency-replayed") and ask.key in left:
            return header(answer, "x-ratelimit-remaining", left[ask.key])
        if remaining:
            left[ask.key] = remaining
        return answer

    return defect


def _compares_bytes() -> Defect:
    first: dict[tuple[str, str], bytes] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.method == "POST" and ask.header("idempotency-key") and answer.ok:
            same = first.setdefault(_scope(ask), ask.body) == ask.body
            return answer if same else error(answer, 409, "conflict", "Idempotency-Key")
        return answer

    return defect


def _ignores_other_body() -> Defect:
    first: dict[tuple[str, str], bytes] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        known = first.get(_scope(ask))
        answer = inner(ask if known is None else replace(ask, body=known))
        if ask.header("idempotency-key") and answer.ok:
            first.setdefault(_scope(ask), ask.body)
        return answer

    return defect


def _remembers(scope: Callable[[Ask], object], keep: Callable[[Response], bool], when: Callable[[Ask, Ask], bool]) -> Callable[[], Defect]:  # fmt: skip
    """A stored answer is replayed for any request with the same scope."""

    def make() -> Defect:
        kept: dict[object, tuple[Ask, Response]] = {}

        def defect(ask: Ask, inner: Inner) -> Response:
            if ask.method != "POST" or not ask.header("idempotency-key"):
                return inner(ask)
            if scope(ask) in kept and when(kept[scope(ask)][0], ask):
                return header(kept[scope(ask)][1], "idempotency-replayed", "true")
            answer = inner(ask)
            if keep(answer):
                kept.setdefault(scope(ask), (ask, answer))
            return answer

        return defect

    return make


def _merge_equal_starts() -> Defect:
    """Equal starts without a key are treated as one."""
    seen: dict[bytes, Response] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        if ask.operation != "startRun" or ask.header("idempotency-key"):
            return inner(ask)
        if ask.body in seen:
            return seen[ask.body]
        answer = inner(ask)
        if answer.ok:
            seen[ask.body] = answer
        return answer

    return defect


def _racing() -> Defect:
    """An immediate repetition of a request is treated as a new request."""
    before: list[tuple[str, str]] = [("", "")]

    def defect(ask: Ask, inner: Inner) -> Response:
        twin = ask.operation == "startRun" and ask.header("idempotency-key") and before[0] == _scope(ask)
        before[0] = _scope(ask)
        return inner(ask.lacking("idempotency-key") if twin else ask)

    return defect


def _lax_key(ask: Ask) -> Ask:
    key = ask.header("idempotency-key")
    if any(name == "idempotency-key" for name, _ in ask.headers) and (not key or len(key) > 255 or not key.isascii()):
        return ask.lacking("idempotency-key")
    return ask


def _short_key(ask: Ask) -> Ask:
    key = ask.header("idempotency-key")
    return ask.having("idempotency-key", key * 300) if len(key) > 64 else ask


def _keeps_for(milliseconds: int) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.answers = IdempotencyStore(milliseconds, 1 << 26)

    return plant


def _ok(answer: Response) -> bool:
    return answer.ok


IDEMPOTENCY: Final = (
    *(
        Mutant(name=name, rule=f"idempotency.{rule}", make=make)
        for name, rule, make in (
            ("key-ignored", "replay", asks(lambda ask: ask.lacking("idempotency-key"), "startRun")),
            ("replay-shows-now", "replay.bytes", always(_replays_now)),
            ("replay-unmarked", "replay.header", answers(lambda a: header(a, "idempotency-replayed", None))),
            ("always-marked", "replay.header", answers(lambda a: header(a, "idempotency-replayed", "true"), "startRun", 201)),
            ("replay-uncounted", "replay.counted", _free_replays),
            ("bytes-compared", "spacing", _compares_bytes),
            ("other-body-replayed", "other-body", _ignores_other_body),
            ("key-on-any-path", "scope.path", _remembers(lambda ask: (ask.key, ask.header("idempotency-key")), _ok, lambda was, now: was.path != now.path)),
            ("key-of-anyone", "scope.organization", _remembers(_scope, _ok, lambda was, now: was.key != now.key)),
            ("any-idempotency-key", "key-form", asks(_lax_key)),
            ("idempotency-key-of-64", "key-form.accepted", asks(_short_key)),
            ("refusals-kept", "refused-not-kept", _remembers(_scope, lambda answer: answer.status in {400, 404}, lambda *_: True)),
            ("twins-race", "simultaneous", _racing),
            ("starts-deduplicated", "without-key", _merge_equal_starts),
            ("export-key-ignored", "export", asks(lambda ask: ask.lacking("idempotency-key"), "exportResults")),
        )
    ),
    Mutant(name="keys-for-an-hour", rule="idempotency.expiry", world=_keeps_for(DAY // 24)),
    Mutant(name="keys-for-a-week", rule="idempotency.expiry", world=_keeps_for(7 * DAY)),
)  # fmt: skip

LONG: Final = (
    Mutant(
        name="limit-lowered-to-50",
        rule="pages.maximum",
        make=asks(lambda ask: ask.querying(limit="50") if ask.params.get("limit") == "100" else ask, "listRuns"),
        settings=_MANY_RUNS,
    ),
    Mutant(
        name="export-of-100-results",
        rule="exports.equals-list",
        make=bodies(lambda value: {"data": value["data"][:100]}, "exportResults"),
        settings=_MANY_RUNS,
    ),
)
"""Defects that only long lists show."""

ALL: Final = (*PAGES, *IDEMPOTENCY, *LONG)
