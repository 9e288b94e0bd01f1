"""Stories: sequences of steps, and how one is played against a target.

A step is the name of a method of `Story` and its arguments. Which steps are drawn does not depend on the answers, so
that the same seed sends the same stories; a step that finds nothing to work with sends nothing.
"""

# ruff: noqa: D102  the name of a step and the action that it calls say what it does

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from zof_contracts.search.actions import Actions
from zof_contracts.search.recheck import Discovery
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.target.client import Client

    Step = tuple[str, dict[str, Any]]
    """The name of a step, and its arguments."""

_MOMENT: Final = 1.0
"""The longest wait for runs in progress in seconds, on a target whose runs do not end in time."""


class FindingRaised(Exception):  # noqa: N818  a decision to shrink here
    """A finding to shrink. Each finding has a class of its own, so that Hypothesis does not shrink one into another."""


class _NoRun(Exception):  # noqa: N818  a decision, not a fault
    """A step needs a run, and there is none."""


class Story:
    """Plays steps, and remembers those that led to findings."""

    def __init__(
        self, client: Client, ledger: Ledger, salt: str, *, on_finding: Callable[[str], None] = lambda _: None
    ) -> None:
        self.client = client
        self.ledger = ledger
        self.actions = Actions(client, ledger, on_finding)
        self.discoveries: dict[str, Discovery] = {}
        """The findings of this story, by their keys."""
        self._salt = salt
        """The part of its idempotency keys that no other story uses."""
        self._history: list[Step] = []
        self._began = self._step_began = client.account.recorded
        target = client.target
        self._cases = (*target.cases[:2], target.failing_case or target.cases[0])

    def play(self, steps: Sequence[Step]) -> None:
        """Perform steps, one after another."""
        for name, arguments in steps:
            self.perform(name, arguments)

    def perform(self, name: str, arguments: dict[str, Any]) -> None:
        """Perform one step.

        Raises:
            Stopped, Unreachable: the verification ends.
            FindingRaised: `on_finding` raised it.
        """
        self._history.append((name, arguments))
        self._step_began = self.client.account.recorded
        try:
            getattr(self, name)(**arguments)
        except (Stopped, Unreachable, FindingRaised):
            raise
        except Exception:  # noqa: BLE001, S110  an unexpected answer must not end the verification
            pass
        finally:
            self._note_findings()

    def end(self) -> None:
        """Cancel the runs that have not ended, so that they take no capacity from other stories."""
        if self.client.target.advance is not None or not self.actions.can_start_runs:
            return
        if self.actions.list_open_runs():
            with suppress(Unanswered):  # the list shows which of them have ended
                self.client.get("/runs", limit=100, created_after=self.actions.since)
        for run_id in self.actions.list_open_runs():
            with suppress(Unanswered, ValueError):  # HTTP does not allow every ID in a path
                path = f"/runs/{quote(run_id, safe='', errors='backslashreplace')}/cancel"
                if self.client.post(path).response.ok:
                    self.client.ended.setdefault(run_id, "canceled")

    def _note_findings(self) -> None:
        for key, finding in self.ledger.findings.items():
            ours = finding.trace and finding.trace[-1].number > self._began
            if ours and (key not in self.discoveries or self.discoveries[key].finding.trace is not finding.trace):
                last = sum(exchange.number > self._step_began for exchange in finding.trace)
                self.discoveries[key] = Discovery(finding, tuple(self._history), last)

    def _run(self, index: int) -> str:
        """One of the runs."""
        runs = self.actions.runs
        if not runs:
            raise _NoRun
        return runs[index % len(runs)]

    def _list_cases(self, parts: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._cases[part] for part in parts))

    # --- steps

    def begin(self) -> None:
        """Separate the runs of this story from earlier ones in time, or adopt the runs that exist."""
        if not self.actions.can_start_runs:
            self.actions.adopt_runs()
        elif self.client.target.advance:
            self.client.wait(1, "a new example")

    def start(self, parts: tuple[int, ...]) -> None:
        self.actions.start(self._list_cases(parts))

    def start_keyed(self, key: str, parts: tuple[int, ...], *, is_spaced: bool) -> None:
        self.actions.start_keyed(f"{self._salt}-{key}", self._list_cases(parts), is_spaced=is_spaced)

    def start_wait_replay(self, key: str, parts: tuple[int, ...], seconds: int) -> None:
        cases = self._list_cases(parts)
        self.actions.start_keyed(f"{self._salt}-{key}", cases, is_spaced=False)
        self.client.wait(seconds, "a later replay", is_idle=True)
        self.actions.start_keyed(f"{self._salt}-{key}", cases, is_spaced=True)

    def start_wait_cancel(self, parts: tuple[int, ...], seconds: float) -> None:
        self.actions.start(self._list_cases(parts))
        if self.actions.runs:
            self.client.wait(seconds, "a run in progress")
            self.actions.cancel(self.actions.runs[-1])
            self.actions.finish(self.actions.runs[-1])

    def start_many(self, runs: int, parts: tuple[int, ...], status: str) -> None:
        for _ in range(runs):
            self.actions.start(self._list_cases(parts))
        if self.actions.runs:
            self.actions.filter_status(status)
            self.actions.walk_runs(2, starting=True)
            self.actions.cancel(self.actions.runs[-2:][0])

    def retrieve(self, index: int) -> None:
        self.actions.retrieve(self._run(index))

    def cancel(self, index: int) -> None:
        self.actions.cancel(self._run(index))

    def cancel_twice(self, index: int) -> None:
        self.actions.cancel(self._run(index))
        self.actions.cancel(self._run(index))

    def finish_then_cancel(self, index: int) -> None:
        self.actions.finish(self._run(index))
        self.actions.cancel(self._run(index))
        self.client.wait(1, "a late effect of the cancel", is_idle=True)
        self.actions.retrieve(self._run(index))

    def wait(self, seconds: float) -> None:
        """Let runs progress; where waiting takes time, only if a run has not ended."""
        if not self.actions.can_start_runs:
            return
        if self.client.target.advance is None and not self.actions.list_open_runs():
            return
        longest = _MOMENT if self.client.patience.has_run_out() else seconds
        self.client.wait(min(seconds, longest), "runs in progress")

    def finish_then_results(self, index: int, limit: int) -> None:
        self.actions.finish(self._run(index))
        self.actions.list_results(self._run(index), limit)
        self.actions.export(self._run(index))
        self.actions.follow_logs(self._run(index), limit)

    def list_results(self, index: int, limit: int) -> None:
        self.actions.list_results(self._run(index), limit)

    def follow_logs(self, index: int, limit: int) -> None:
        self.actions.follow_logs(self._run(index), limit)

    def list_artifacts(self, index: int) -> None:
        self.actions.list_artifacts(self._run(index))

    def walk_runs(self, limit: int, *, starting: bool) -> None:
        self._run(0)
        self.actions.walk_runs(max(2, limit), starting=starting and self.actions.can_start_runs)

    def filter_status(self, status: str) -> None:
        self._run(0)
        self.actions.filter_status(status)

    def visit_as_stranger(self, index: int) -> None:
        self.actions.visit_as_stranger(self._run(index))

    def retrieve_nasty_id(self, name: str) -> None:
        self.actions.retrieve_nasty_id(name)

    def filter_by_nasty_value(self, name: str, value: str) -> None:
        self.actions.filter_by_nasty_value(name, value)
