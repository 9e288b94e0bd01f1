"""The passive check: recorded answers are checked against the contract, and no request is sent.

It has the judges of single answers and of answers against earlier ones. Rules that need requests of their own are not
among `PASSIVE_RULES`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.rules import OWNERS, RULES
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.memory import MOST_REMEMBERED
from zof_contracts.evidence.verification import Verification
from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted, Skips
from zof_contracts.traffic.subject import RecordedSubject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.traffic.keys import KeyNames
    from zof_contracts.traffic.recording import Recorded

_OWNED: Final = (OWNERS.schemas, OWNERS.assumed, OWNERS.values, OWNERS.prefixes, OWNERS.order)
_OF_SINGLE_ANSWERS: Final = frozenset(
    {
        "conventions.answered",
        "conventions.content-type",
        "conventions.headers.required",
        "conventions.json",
        "conventions.links.absolute",
        "conventions.no-server-error",
        "conventions.request-id.everywhere",
        "conventions.request-id.form",
        "conventions.request-id.present",
        "conventions.request-id.server-made",
        "conventions.request-id.unique",
        "conventions.snake-case",
        "conventions.status",
        "errors.conflict.code",
        "errors.envelope",
        "errors.forbidden.code",
        "errors.invalid-request.code",
        "errors.method-not-allowed.code",
        "errors.not-found.code",
        "errors.not-json.code",
        "errors.rate-limited.code",
        "errors.too-large.code",
        "errors.unauthorized.challenge",
        "errors.unauthorized.code",
        "limits.default",
        "limits.headers",
        "limits.headers.errors",
        "limits.headers.form",
        "limits.remaining.falls",
        "limits.retry-after",
        "limits.window",
        "logs.append-only",
        "logs.oldest-first",
        "pages.default",
        "pages.limit",
        "pages.maximum",
        "pages.newest-first",
        "pages.next-cursor.given",
        "pages.next-cursor.null",
        "results.failure-summary",
        "results.stable",
        "results.times",
        "runs.capacity",
        "runs.outcome",
        "runs.outcomes.result-id",
        "runs.outcomes.settled",
        "runs.sequence",
        "runs.start.echo",
        "runs.status.terminal",
        "runs.status.transitions",
        "runs.summary.outcomes",
        "runs.summary.total",
        "runs.terminal.frozen",
        "runs.times",
        "versioning.unknown-field",
        "versioning.unknown-value",
    }
)
"""The rules that conformance, history and objects judge and that own no part of the document."""
PASSIVE_RULES: Final[tuple[Rule, ...]] = tuple(
    rule
    for rule in RULES.values()
    if rule.name in _OF_SINGLE_ANSWERS or any(rule.name in owned.values() for owned in _OWNED)
)
"""The rules that recorded answers can settle."""
_NOT_MODIFIED: Final = 304
_QUOTA: Final = "x-ratelimit-"


class PassiveCheck:
    """Checks the answers of recordings against the contract."""

    def __init__(
        self, keys: KeyNames, skips: Skips, *, rules: Sequence[Rule] = PASSIVE_RULES, is_strict: bool = False
    ) -> None:
        self.subject = RecordedSubject(keys, is_strict=is_strict)
        self.ledger = Ledger(self.subject, rules=rules)
        self._skips = skips
        self._conformance = ConformanceCheck(self.ledger)
        self._history: dict[str, HistoryCheck] = {}
        """The judges of history, by the URL of the API."""
        self._began, self._clock = time.time(), time.perf_counter()

    def observe(self, recorded: Recorded) -> None:
        """Judge what comes next."""
        if isinstance(recorded, RecordingStarted):
            self._history.clear()  # two recordings may name different runs alike
            self.ledger.recording = recorded.name
        elif isinstance(recorded, RecordedExchange):
            self.subject.turn_to(recorded)
            if reason := _find_obstacle(recorded):
                self._skips.add(reason)
            else:
                self._judge(recorded)

    def _judge(self, recorded: RecordedExchange) -> None:
        exchange = recorded.exchange
        self._conformance(exchange)
        history = self._history.setdefault(recorded.base, HistoryCheck(self.ledger, most=MOST_REMEMBERED))
        has_time = recorded.ended is not None or exchange.response.header("date") is not None
        history(exchange if has_time else _remove_quota(exchange))

    def finish(self, known: frozenset[str] = frozenset()) -> Verification:
        """End the check; `known` are the keys of the findings that a baseline holds."""
        self.subject.conclude()
        return Verification(
            target=self.subject,
            results=self.ledger.results(),
            began=self._began,
            seconds=time.perf_counter() - self._clock,
            notes=self._skips.describe(),
            known=known,
            recorded=self.subject.exchange_count,
            error="" if self.subject.exchange_count else "the recording holds no exchange with the API",
        )


def check_recordings(  # noqa: PLR0913  the options of a check
    recorded: Iterable[Recorded],
    keys: KeyNames,
    skips: Skips,
    *,
    rules: Sequence[Rule] = PASSIVE_RULES,
    is_strict: bool = False,
    known: frozenset[str] = frozenset(),
) -> Verification:
    """Check the answers of recordings against the contract.

    Args:
        recorded: the recordings, one after another.
        keys: the names of the keys, which the reader of the recordings fills.
        skips: the counts of what was left out.
        rules: the rules to check; those that recorded answers can settle by default.
        is_strict: whether differences from assumptions fail too.
        known: the keys of the findings that a baseline holds.

    Raises:
        UnusableRecording: a recording cannot be read.
    """
    check = PassiveCheck(keys, skips, rules=rules, is_strict=is_strict)
    for each in recorded:
        check.observe(each)
    return check.finish(known)


def _find_obstacle(recorded: RecordedExchange) -> str:
    """Why an answer cannot be judged; empty if it can."""
    status = recorded.exchange.response.status
    if recorded.fault:
        return f"answered by a fault of the emulator ({recorded.fault})"
    if status == NO_STATUS or recorded.is_lost:
        return "without a whole answer for the client"
    if status == _NOT_MODIFIED:
        return "answered by a cache in part (304)"
    return "" if recorded.is_answer_whole else "recorded without the whole body of the answer"


def _remove_quota(exchange: Exchange) -> Exchange:
    """An exchange without the headers of the rate limit, which say nothing if the time of the answer is not known."""
    answer = exchange.response
    headers = tuple(pair for pair in answer.headers if not pair[0].startswith(_QUOTA))
    return replace(exchange, response=replace(answer, headers=headers))
