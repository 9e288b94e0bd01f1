"""Judges of how a client follows and cancels runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.client_checks.attempts import measure_wait
from zof_contracts.client_checks.judge import ClientId, Judge, identify, is_success, shorten
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.memory import Memory
from zof_contracts.evidence.strict_json import parse_json

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted

SHORTEST_INTERVAL: Final = 0.5
"""Seconds between two polls of a run."""
_TIMER_ERROR: Final = 0.02
"""Seconds by which a timer may end early."""
_READS_AFTER_END: Final = 1
"""Retrievals of an ended run with nothing in between that are no polling."""
_POLLS_WITH_WEBHOOK: Final = 2
"""Retrievals of a run that has not ended that are no polling."""
_COMPLETED: Final = "run.completed"
_GET: Final = "getRun"


@dataclass(slots=True)
class _Polling:
    """The retrievals of one run by a client."""

    last: RecordedExchange
    has_ended: bool = False
    reads_after_end: int = 0
    open_reads: int = 0


class PollingJudge(Judge):
    """Judges the retrievals of each run."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._runs: Memory[tuple[ClientId, str], _Polling] = Memory()
        self._ended: Memory[ClientId, tuple[str, _Polling]] = Memory()
        """The run whose end a client was shown last, while it sends nothing but retrievals of that run."""
        self._subscribed: Memory[tuple[str, str], Exchange] = Memory()
        """The creation of a webhook for the end of runs, by API and key."""
        self._awaited: Memory[tuple[str, str], tuple[Exchange, _Polling | None]] = Memory()
        """The runs that were started after it, with the creation and the retrievals."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge one exchange."""
        operation = each.exchange.operation
        run = each.exchange.request.path.rpartition("/")[2] if operation == _GET else ""
        self._check_stop(each, run)
        if not is_success(each):
            return
        if operation == _GET:
            self._poll(each, run)
        elif operation == "createWebhook":
            self._subscribe(each)
        elif operation == "startRun":
            self._expect(each)

    def finish(self) -> None:
        """Judge the runs that the recording ends with."""
        for run, polling in self._ended.values():
            self._settle_stop(run, polling)
        for creation, retrievals in self._awaited.values():
            self._settle_webhook(creation, retrievals)

    # --- the end of polling

    def _check_stop(self, each: RecordedExchange, run: str) -> None:
        """Judge the retrievals after an end as soon as the client sends something else."""
        client = identify(each)
        ended = self._ended.get(client)
        if ended is None:
            return
        if run == ended[0]:
            ended[1].reads_after_end += 1
            ended[1].last = each
        else:
            self._ended.pop(client)
            self._settle_stop(*ended)

    def _settle_stop(self, run: str, polling: _Polling) -> None:
        count = polling.reads_after_end
        status = polling.last.exchange.response.fields.get("status")
        self.ledger.check(
            "client.poll.stops",
            count <= _READS_AFTER_END,
            expected="no polling after a terminal status",
            got=f"{count} more retrievals of {run} in status {status}",
            trace=shorten(polling.last),
        )

    def _poll(self, each: RecordedExchange, run: str) -> None:
        client = identify(each)
        place = (client, run)
        polling = self._runs.get(place)
        if polling is None:
            polling = _Polling(each)
        elif not polling.has_ended:
            self._check_interval(polling.last, each)
        polling.last = each
        was_ended, polling.has_ended = polling.has_ended, _has_ended(each.exchange.response.fields)
        if polling.has_ended and not was_ended:
            self._ended.set(client, (run, polling))
        elif not polling.has_ended:
            polling.open_reads += 1
        self._runs.set(place, polling)
        expectation = (each.base, run)
        if (awaited := self._awaited.get(expectation)) is not None:
            self._awaited.set(expectation, (awaited[0], polling))

    def _check_interval(self, before: RecordedExchange, each: RecordedExchange) -> None:
        """Judge the time between two polls of a run that had not ended."""
        wait = measure_wait(before, each)
        if wait is None or not self.has_real_time:
            return
        self.ledger.check(
            "client.poll.interval",
            wait >= SHORTEST_INTERVAL - _TIMER_ERROR,
            expected=f"at least {SHORTEST_INTERVAL:g} s between two polls",
            got=f"{wait:.3f} s",
            trace=(shorten(before), shorten(each)),
        )

    # --- webhooks instead of polling

    def _subscribe(self, each: RecordedExchange) -> None:
        events = each.exchange.response.fields.get("events")
        if isinstance(events, list) and _COMPLETED in events:
            self._subscribed.set((each.base, each.exchange.request.key), shorten(each))

    def _expect(self, each: RecordedExchange) -> None:
        creation = self._subscribed.get((each.base, each.exchange.request.key))
        run = each.exchange.response.fields.get("id")
        if creation is not None and isinstance(run, str):
            self._awaited.set((each.base, run), (creation, None))

    def _settle_webhook(self, creation: Exchange, polling: _Polling | None) -> None:
        count = 0 if polling is None else polling.open_reads
        self.ledger.check(
            "client.poll.webhook",
            count <= _POLLS_WITH_WEBHOOK,
            expected="no polling, since a webhook for run.completed exists",
            got=f"{count} retrievals of a run that had not ended",
            trace=(creation,) if polling is None else (creation, shorten(polling.last)),
        )


def _has_ended(run: dict[str, Any]) -> bool:
    return run.get("status") in load_contract().terminal


class CancelJudge(Judge):
    """Judges the cancels of each run by what the client knew."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._ends: Memory[tuple[str, str, str], Exchange] = Memory()
        """The answer that showed the end of a run, by API, key and run."""
        self._cancels: Memory[tuple[str, str], Exchange] = Memory()
        """The accepted cancel of a run."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge a cancel, and remember the ends of runs that an answer shows."""
        if each.exchange.operation == "cancelRun":
            self._check_cancel(each)
        elif is_success(each):
            self._remember_ends(each)

    def _check_cancel(self, each: RecordedExchange) -> None:
        run = each.exchange.request.path.split("/")[-2]
        place = (each.base, run)
        before = self._cancels.get(place)
        if before is None:
            end = self._ends.get((each.base, each.exchange.request.key, run))
            self.ledger.check(
                "client.cancel.not-after-end",
                end is None,
                expected="no cancel of a run in a terminal status",
                got=f"a cancel of {run}, which an earlier answer had shown as ended",
                trace=[*([end] if end else []), shorten(each)],
            )
            self.ledger.record_kept("client.cancel.once")
        else:
            key = each.exchange.request.header("idempotency-key")
            self.ledger.check(
                "client.cancel.once",
                key is not None and key == before.request.header("idempotency-key"),
                expected="one cancel of a run",
                got=f"another cancel of {run}",
                trace=(before, shorten(each)),
            )
        if is_success(each) and before is None:
            self._cancels.set(place, shorten(each))

    def _remember_ends(self, each: RecordedExchange) -> None:
        operation, answer = each.exchange.operation, each.exchange.response
        runs = [answer.fields] if operation in {_GET, "startRun"} else answer.items if operation == "listRuns" else []
        for run in runs:
            if isinstance(run.get("id"), str) and _has_ended(run):
                self._ends.set((each.base, each.exchange.request.key, run["id"]), shorten(each))


class ArtifactJudge(Judge):
    """Judges where artifacts are downloaded from."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._urls: Memory[str, Exchange] = Memory()
        """The answer that gave an address."""
        self._addresses: Memory[str, str] = Memory()
        """The address of an artifact, by its ID."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge a download, and remember the addresses that an answer gives."""
        exchange = each.exchange
        ids = [part for part in exchange.request.path.split("/") if part.startswith("art_")]
        if ids and exchange.request.method == "GET":
            self._check_download(each, ids[0])
        elif is_success(each) and load_resources().items.get(exchange.operation) == "Artifact":
            for artifact in exchange.response.items:
                if isinstance(artifact.get("url"), str):
                    self._urls.set(artifact["url"], shorten(each))
                    self._addresses.set(str(artifact.get("id")), artifact["url"])

    def _check_download(self, each: RecordedExchange, artifact: str) -> None:
        url = each.base + each.exchange.request.target
        given = self._addresses.get(artifact)
        if given is None and (not self.recording.is_complete or self._addresses.has_forgotten):
            return
        before = self._urls.get(given) if given is not None else None
        self.ledger.check(
            "client.artifacts.url",
            url in self._urls,
            expected=f"the url {given}" if given else "a url that an earlier answer gave",
            got=url,
            trace=[*([before] if before else []), shorten(each)],
        )


def read_fields(body: bytes) -> dict[str, Any]:
    """A request body as a JSON object; empty if it is none."""
    try:
        value = parse_json(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
