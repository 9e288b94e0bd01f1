"""One judgement of the clients in some recordings, from the first exchange to the finished verification."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zof_contracts.client_checks.check import ClientCheck
from zof_contracts.contract.client_rules import CLIENT_RULES, CLIENT_SECTIONS
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.verification import Verification
from zof_contracts.traffic.recording import Clock, RecordedExchange, RecordingStarted, Skips
from zof_contracts.traffic.subject import RecordedSubject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zof_contracts.contract.rules import Rule
    from zof_contracts.traffic.keys import KeyNames
    from zof_contracts.traffic.recording import Recorded

_TIMED: tuple[str, ...] = ("client.poll.interval", "client.retry.growing", "client.retry.jitter")
"""The rules about waits that only real times show."""


class ClientJudgement:
    """Collects what recordings show about clients."""

    def __init__(self, keys: KeyNames, *, rules: Sequence[Rule] | None = None, is_strict: bool = False) -> None:
        self.subject = RecordedSubject(keys, is_strict=is_strict)
        self.ledger = Ledger(self.subject, rules=rules, catalogue=CLIENT_RULES)
        self._check = ClientCheck(self.ledger)
        self._began, self._clock = time.time(), time.perf_counter()
        self._notes: list[str] = []

    def observe(self, recorded: Recorded) -> None:
        """Judge what comes next."""
        if isinstance(recorded, RecordedExchange):
            self.subject.turn_to(recorded)
        elif isinstance(recorded, RecordingStarted):
            self._note(recorded)
        self._check.observe(recorded)

    def finish(self, skips: Skips, known: frozenset[str] = frozenset()) -> Verification:
        """End the judgement; `known` are the keys of the findings that a baseline holds."""
        self._check.finish()
        self.subject.conclude()
        return Verification(
            target=self.subject,
            results=self.ledger.results(),
            began=self._began,
            seconds=time.perf_counter() - self._clock,
            notes=(*self._notes, *skips.describe()),
            known=known,
            sections=CLIENT_SECTIONS,
            recorded=self.subject.exchange_count,
            error="" if self.subject.exchange_count else "the recording holds no exchange with the API",
        )

    def _note(self, recording: RecordingStarted) -> None:
        if recording.clock is Clock.VIRTUAL:
            for rule in _TIMED:
                self.ledger.record_skip(rule, "the times are those of an emulator's clock, which need not be real")
        if not recording.is_complete:
            self._notes.append(f"{recording.name} lacks its oldest exchanges, which the journal had dropped")


def judge_clients(  # noqa: PLR0913  the options of a judgement
    recorded: Iterable[Recorded],
    keys: KeyNames,
    skips: Skips,
    *,
    rules: Sequence[Rule] | None = None,
    is_strict: bool = False,
    known: frozenset[str] = frozenset(),
) -> Verification:
    """Judge the clients in recordings.

    Args:
        recorded: the recordings, one after another.
        keys: the names of the keys, which the reader of the recordings fills.
        skips: the counts of what the reader left out.
        rules: the rules to check; all client rules by default.
        is_strict: whether differences from assumptions fail too.
        known: the keys of the findings that a baseline holds.

    Raises:
        UnusableRecording: a recording cannot be read.
    """
    judgement = ClientJudgement(keys, rules=rules, is_strict=is_strict)
    for each in recorded:
        judgement.observe(each)
    return judgement.finish(skips, known)
