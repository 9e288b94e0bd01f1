"""Defects in keys, tenants, permissions and rate limits: sections 3 and 4 of the contract."""

# ruff: noqa: E501  a table is read best with one line for each row

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core.limits import Rate, RateScope

from tests.mutants.layer import ADMIN, Ask, Defect, Inner, Mutant, always, answers, asks, error, header

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response

_LIMITS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_VIEWER: Final = "Bearer zof_test_viewer"
_OTHER: Final = "Bearer zof_test_other"
_EXPIRED: Final = "Bearer zof_test_expired"
_CREATES: Final = "Bearer zof_test_creates"


def perform_as_admin(when: Callable[[Ask], bool], to: str = "") -> Callable[[], Defect]:
    """A request that must be refused is performed with the administrator's key."""
    return asks(lambda ask: ask.having("authorization", ADMIN) if when(ask) else ask, to)


def seen_by_others(operations: str) -> Callable[[], Defect]:
    """An object of another organization is found."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        leaks = ask.operation in operations.split() and answer.status == 404 and ask.key == _OTHER
        return inner(ask.having("authorization", ADMIN)) if leaks else answer

    return always(defect)


def _forbidden_to_others(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation not in {"getRun", "cancelRun", "getRunLogs"} or answer.status != 404 or ask.key != _OTHER:
        return answer
    theirs = inner(ask.to(f"/v1/runs/{ask.id}").having("authorization", ADMIN))
    return error(answer, 403, "forbidden") if theirs.ok else answer


def _refuse_key(key: str, operations: str) -> Callable[[], Defect]:
    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        meant = ask.operation in operations.split() and (not key or ask.key == key) and answer.ok
        return error(answer, 403, "forbidden") if meant else answer

    return always(defect)


def _starts_though_forbidden(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if ask.operation == "startRun" and answer.status == 403:
        inner(ask.having("authorization", ADMIN))
    return answer


def _own_runs_only() -> Defect:
    """A run is visible only to the key that started it."""
    owners: dict[str, str] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "startRun" and answer.ok:
            owners[answer.fields["id"]] = ask.key
        hidden = ask.operation == "getRun" and owners.get(ask.id, ask.key) != ask.key
        return error(answer, 404, "not_found") if hidden and answer.ok else answer

    return defect


ACCESS: Final = tuple(
    Mutant(name=name, rule=rule, make=make)
    for name, rule, make in (
        ("logs-without-key", "auth.key-required", perform_as_admin(lambda ask: not ask.key, "getRunLogs")),
        ("export-without-key", "auth.key-required", perform_as_admin(lambda ask: not ask.key, "exportResults")),
        ("download-without-key", "artifacts.download.key", perform_as_admin(lambda ask: not ask.key, "downloadArtifact")),
        ("any-key", "auth.key-invalid", perform_as_admin(lambda ask: ask.key.startswith("Bearer ") and "zof_test" not in ask.key)),
        ("any-scheme", "auth.key-invalid", perform_as_admin(lambda ask: ask.key.startswith("Basic "))),
        ("expired-key-lives", "auth.key-expired", perform_as_admin(lambda ask: ask.key == _EXPIRED)),
        ("results-closed", "auth.key-accepted", answers(lambda a: error(a, 401, "unauthorized"), "listResults", 200)),
        ("runs-of-one-key", "auth.several-keys", _own_runs_only),
        ("viewer-cannot-export", "auth.readers", _refuse_key(_VIEWER, "exportResults")),
        ("viewer-cannot-read-logs", "auth.readers", _refuse_key(_VIEWER, "getRunLogs downloadArtifact")),
        ("viewer-starts", "auth.start-permission", perform_as_admin(lambda ask: ask.key == _VIEWER, "startRun")),
        ("forbidden-start-runs", "auth.start-permission", always(_starts_though_forbidden)),
        ("viewer-cancels", "auth.cancel-permission", perform_as_admin(lambda ask: ask.key == _VIEWER, "cancelRun")),
        ("projects-for-all", "auth.projects-permission", perform_as_admin(lambda ask: ask.key == _CREATES, "listProjects")),
        ("projects-closed", "auth.projects-reader", _refuse_key("", "listProjects")),
        ("others-are-forbidden", "tenants.run", always(_forbidden_to_others)),
        ("others-read-logs", "tenants.run", seen_by_others("getRunLogs")),
        ("others-cancel", "tenants.run", seen_by_others("cancelRun")),
        ("others-read-results", "tenants.result", seen_by_others("getResult")),
        ("others-list-result-artifacts", "tenants.result", seen_by_others("listResultArtifacts")),
        ("others-download", "tenants.artifact", seen_by_others("downloadArtifact")),
        ("others-list-runs", "tenants.lists", perform_as_admin(lambda ask: ask.key == _OTHER, "listRuns")),
        ("others-export", "tenants.lists", perform_as_admin(lambda ask: ask.key == _OTHER, "exportResults")),
    )
)  # fmt: skip


def _bare(answer: Response) -> Response:
    for name in _LIMITS:
        answer = header(answer, name, None)
    return answer


def _change_header(name: str, change: Callable[[int], object]) -> Callable[[], Defect]:
    """A rate-limit header has a wrong value."""

    def edit(answer: Response) -> Response:
        value = answer.header(f"x-ratelimit-{name}")
        return answer if value is None else header(answer, f"x-ratelimit-{name}", str(change(int(value))))

    return answers(edit)


def _constant_remaining(answer: Response) -> Response:
    limit = answer.header("x-ratelimit-limit")
    return header(answer, "x-ratelimit-remaining", str(int(limit) - 1)) if limit and answer.ok else answer


def _sliding_reset() -> Defect:
    """`X-RateLimit-Reset` moves with every request."""
    asked = 0

    def defect(ask: Ask, inner: Inner) -> Response:
        nonlocal asked
        answer = inner(ask)
        reset = answer.header("x-ratelimit-reset")
        asked += 1
        return header(answer, "x-ratelimit-reset", str(int(reset) + asked)) if reset else answer

    return defect


def _count_request(when: Callable[[Ask, Response], bool]) -> Callable[[], Defect]:
    """A request that must not count against the limit does count."""

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if when(ask, answer):
            inner(ask.to("/v1/projects"))
        return answer

    return always(defect)


def _refusals_limited(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    if answer.status != 401:
        return answer
    for name in _LIMITS:
        answer = header(answer, name, "100")
    return answer


def _retry(change: Callable[[int], object]) -> Callable[[], Defect]:
    return answers(lambda a: header(a, "retry-after", str(change(int(a.header("retry-after") or 0)))), "", 429)


def _never_refused(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    return inner(ask.having("authorization", "Bearer zof_test_ci")) if answer.status == 429 else answer


def _refuses_early(ask: Ask, inner: Inner) -> Response:
    answer = inner(ask)
    left = answer.header("x-ratelimit-remaining")
    if answer.ok and left is not None and int(left) < 10:
        return header(error(answer, 429, "rate_limit_exceeded"), "retry-after", "60")
    return answer


LIMITS: Final = (
    *(
        Mutant(name=name, rule=f"limits.{rule}", make=make)
        for name, rule, make in (
            ("unlimited-projects", "headers", answers(_bare, "listProjects", 200)),
            ("unlimited-cancel", "headers", answers(_bare, "cancelRun", 200)),
            ("errors-without-limits", "headers.errors", answers(_bare, "", 404)),
            ("bad-requests-without-limits", "headers.errors", answers(_bare, "", 400)),
            ("reset-in-ms", "headers.form", _change_header("reset", lambda at: at * 1000)),
            ("reset-seconds-to-go", "headers.form", _change_header("reset", lambda _: 60)),
            ("remaining-negative", "headers.form", _change_header("remaining", lambda left: left - 1_000_000_000)),
            ("remaining-constant", "remaining.falls", answers(_constant_remaining)),
            ("remaining-above-limit", "remaining.falls", _change_header("remaining", lambda left: left + 1_000)),
            ("reset-slides", "window", _sliding_reset),
            ("refused-keys-limited", "uncounted", always(_refusals_limited)),
            ("wrong-methods-count", "uncounted", _count_request(lambda _, answer: answer.status == 405)),
            ("unknown-paths-count", "uncounted", _count_request(lambda ask, _: not ask.operation and ask.method == "GET")),
            ("never-refused", "refused", always(_never_refused)),
            ("refused-early", "refused", always(_refuses_early)),
            ("no-retry-after", "refused", answers(lambda a: header(a, "retry-after", None), "", 429)),
            ("retry-after-fraction", "retry-after", _retry(lambda seconds: f"{seconds}.5")),
            ("retry-after-zero", "retry-after", _retry(lambda _: 0)),
            ("retry-after-short", "retry-after.honest", _retry(lambda seconds: max(1, seconds // 2))),
            ("retry-after-long", "retry-after.honest", _retry(lambda seconds: seconds * 10)),
        )
    ),
    Mutant(name="limit-of-50", rule="limits.default", settings={"rate": Rate(limit=50)}),
    Mutant(name="limit-per-organization", rule="limits.per-key", settings={"rate": Rate(scope=RateScope.ORGANIZATION)}),
    Mutant(name="burst-of-5", rule="limits.exact", settings={"rate": Rate(burst=5)}),
)  # fmt: skip

ALL: Final = (*ACCESS, *LIMITS)
