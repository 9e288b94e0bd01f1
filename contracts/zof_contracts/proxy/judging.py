"""Judges the exchanges that pass, in a thread of its own, and reports what was found.

The thread works while nothing passes, since it and the thread that forwards take turns: a judgement takes about as long
as a request. It also works when too much waits, or when a report is wanted.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.recorded import PassiveCheck
from zof_contracts.client_checks.judgement import ClientJudgement
from zof_contracts.coverage.collector import CoverageCollector
from zof_contracts.coverage.report import build_coverage
from zof_contracts.report.document import build_report
from zof_contracts.target.content_coding import BodyReader, BodyTooLong
from zof_contracts.traffic.exchanges import ExchangeReader, Parts
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import RecordingStarted, Skips

if TYPE_CHECKING:
    from zof_contracts.coverage.report import Report as CoverageReport
    from zof_contracts.evidence.verification import Verification

MAX_WAITING: Final = 64 << 20
"""Bytes of exchanges that wait for their judgement; more are forwarded without being judged."""
MAX_BODY: Final = 2 << 20
"""Bytes of a body that are judged."""
_QUIET_SECONDS: Final = 0.005
"""Seconds without a new exchange after which those that wait are judged."""
_MOST_DEFERRED: Final = 2_000
"""Exchanges that wait for a quiet moment; more are judged while others pass."""
_LONGEST_JUDGEMENT: Final = 30.0
"""Seconds that a report waits for judgements."""
_OVERHEAD: Final = 2_000
"""Bytes that an exchange takes besides its bodies."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The findings so far."""

    contract: Verification
    client: Verification
    coverage: CoverageReport

    def build(self) -> dict[str, Any]:
        """The three reports as one JSON value."""
        return {
            "contract": build_report(self.contract),
            "client": build_report(self.client),
            "coverage": self.coverage,
        }


class TrafficJudge:
    """Judges exchanges by the contract and by the rules for clients, and collects coverage. Safe for two threads."""

    def __init__(self, upstream: str, *, is_strict: bool = False) -> None:
        self._upstream = upstream
        self._skips = Skips()
        self._keys = KeyNames(is_keeping=False)
        self._reader = ExchangeReader(self._keys, self._skips, is_any_host=True)
        self._contract = PassiveCheck(self._keys, self._skips, is_strict=is_strict)
        self._client = ClientJudgement(self._keys, is_strict=is_strict)
        self._coverage = CoverageCollector()
        self._lock = threading.Lock()
        self._waiting: deque[Parts] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._submitted = 0
        self._judged = 0
        self._wanted = 0
        """The number of the exchange up to which a report is wanted."""
        self._quiet_from = 0.0
        """When nothing will have passed for long enough, on the monotonic clock."""
        start = RecordingStarted(upstream)
        self._contract.observe(start)
        self._client.observe(start)
        self._thread = threading.Thread(target=self._work, name="judge", daemon=True)
        self._thread.start()

    def submit(self, parts: Parts) -> None:
        """Have an exchange judged; it is only counted if too much waits already."""
        size = len(parts.body) + len(parts.answer_body) + _OVERHEAD
        with self._changed:
            if self._size + size > MAX_WAITING:
                self.skip("forwarded faster than exchanges can be judged")
                return
            self._waiting.append(parts)
            self._size += size
            self._submitted += 1
            self._quiet_from = time.monotonic() + _QUIET_SECONDS
            if len(self._waiting) == 1 or self._is_urgent():
                self._changed.notify_all()

    def judge_now(self, parts: Parts) -> tuple[str, ...]:
        """Judge an exchange at once; the keys of the findings that it shows."""
        with self._lock:
            before = self._count_findings()
            self._judge(parts)
            after = self._count_findings()
        return tuple(key for key, times in after.items() if times != before.get(key))

    def skip(self, reason: str) -> None:
        """Count an exchange that is not judged."""
        self._skips.add(reason)

    @property
    def judged_count(self) -> int:
        """The number of exchanges that have been judged in the thread."""
        return self._judged

    def report(self) -> Outcome:
        """The findings so far, after all exchanges that wait now have been judged."""
        with self._changed:
            self._wanted = wanted = self._submitted
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._judged >= wanted, _LONGEST_JUDGEMENT)
        with self._lock:
            contract, client, skips = copy.deepcopy((self._contract, self._client, self._skips))
            coverage = build_coverage(self._coverage, recordings=[self._upstream], notes=skips.describe())
        return Outcome(contract.finish(), client.finish(Skips()), coverage)

    def close(self) -> None:
        """Judge what waits, and stop."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(60)

    def _count_findings(self) -> dict[str, int]:
        ledgers = (self._contract.ledger, self._client.ledger)
        return {key: finding.times for ledger in ledgers for key, finding in ledger.findings.items()}

    def _is_urgent(self) -> bool:
        """Whether the exchanges that wait are to be judged although others pass."""
        return self._is_closed or self._wanted > self._judged or len(self._waiting) > _MOST_DEFERRED

    def _work(self) -> None:
        while (parts := self._take()) is not None:
            with self._lock:
                self._judge(parts)
            with self._changed:
                self._judged += 1
                self._changed.notify_all()

    def _take(self) -> Parts | None:
        """Wait for an exchange and for the moment to judge it; None when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            while not self._is_urgent() and (left := self._quiet_from - time.monotonic()) > 0:
                self._changed.wait(left)
            if not self._waiting:
                return None
            parts = self._waiting.popleft()
            self._size -= len(parts.body) + len(parts.answer_body) + _OVERHEAD
            return parts

    def _judge(self, parts: Parts) -> None:
        recorded = self._reader.read(_decode(parts))
        if recorded is None:
            return
        try:
            self._contract.observe(recorded)
            self._client.observe(recorded)
            self._coverage.observe(recorded)
        except Exception:  # noqa: BLE001  no answer may end the judgement of all others
            self._skips.add("not judged because of an internal error")


def _decode(parts: Parts) -> Parts:
    """An exchange with the body of its answer taken out of its content coding."""
    codings = ",".join(value for name, value in parts.answer_headers if name == "content-encoding")
    if not codings or not parts.answer_body or not parts.is_answer_whole:
        return parts
    try:
        reader = BodyReader(codings, MAX_BODY)
        reader.feed(parts.answer_body)
        reader.finish()
    except BodyTooLong:
        return replace(parts, answer_body=b"", is_answer_whole=False)
    except ValueError as error:
        return replace(parts, flaw=str(error))
    return replace(parts, answer_body=reader.body)
