"""All judges of a client together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.client_checks.idempotency import IdempotencyJudge
from zof_contracts.client_checks.pages import PageJudge
from zof_contracts.client_checks.requests import ErrorJudge, FieldUseJudge, KeyJudge, RequestJudge
from zof_contracts.client_checks.retries import RefusalJudge, RetryJudge
from zof_contracts.client_checks.runs import ArtifactJudge, CancelJudge, PollingJudge
from zof_contracts.client_checks.webhooks import WebhookJudge
from zof_contracts.traffic.recording import RecordedDelivery, RecordedExchange, RecordingStarted

if TYPE_CHECKING:
    from zof_contracts.client_checks.judge import Judge
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import Recorded

JUDGES: Final[tuple[type[Judge], ...]] = (
    IdempotencyJudge,
    RetryJudge,
    RefusalJudge,
    PollingJudge,
    CancelJudge,
    PageJudge,
    KeyJudge,
    ErrorJudge,
    RequestJudge,
    FieldUseJudge,
    ArtifactJudge,
    WebhookJudge,
)
"""The judges, one for each group of rules."""


class ClientCheck:
    """Judges the clients of recordings; each recording has judges of its own, which share the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._judges: tuple[Judge, ...] = ()

    def observe(self, recorded: Recorded) -> None:
        """Judge what comes next in a recording."""
        match recorded:
            case RecordingStarted():
                self.finish()
                self._ledger.recording = recorded.name
                self._judges = tuple(judge(self._ledger, recorded) for judge in JUDGES)
            case RecordedExchange():
                for judge in self._judges:
                    judge.observe(recorded)
            case RecordedDelivery():
                for judge in self._judges:
                    judge.observe_delivery(recorded)

    def finish(self) -> None:
        """Judge what only the end of a recording shows."""
        for judge in self._judges:
            judge.finish()
        self._judges = ()
