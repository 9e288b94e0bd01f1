"""Progress of a verification: a bar on a terminal, plain lines on a pipe and in CI.

`with show_progress(sys.stderr) as listener:` gives a listener of events.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zof_contracts.evidence.events import (
    ExchangeRecorded,
    FindingRecorded,
    PartFinished,
    PartStarted,
    VerificationStarted,
    Waiting,
)
from zof_contracts.report.escape import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.events import Event, Listener

_SHOWN_WAIT: Final = 1.0
"""The shortest wait that is shown, in seconds."""
_SILENCE: Final = 10.0
"""The seconds without a line after which a line says that the verification is still running."""


def can_animate(stream: IO[str]) -> bool:
    """Whether the stream is a terminal that can show a progress bar, outside CI."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def can_color(stream: IO[str]) -> bool:
    """Whether the stream is a terminal and NO_COLOR is not set."""
    return can_animate(stream) and not os.environ.get("NO_COLOR")


@contextmanager
def show_progress(stream: IO[str] | None) -> Iterator[Listener]:
    """Return a listener that shows progress in the form that suits the stream.

    Progress that cannot be shown, because the stream is closed or full, does not disturb the verification.
    """
    if stream is None:
        yield _show_nothing
    elif can_animate(stream):
        bar = ProgressBar(stream)
        with suppress(OSError):
            bar.progress.start()
        try:
            yield _tolerate_errors(bar)
        finally:
            with suppress(OSError):
                bar.progress.stop()
    else:
        yield _tolerate_errors(ProgressLines(stream))


def _show_nothing(_: Event) -> None:
    """Show no progress."""


def _tolerate_errors(listener: Listener) -> Listener:
    def listen(event: Event) -> None:
        with suppress(OSError):
            listener(event)

    return listen


class _State:
    """The progress so far."""

    def __init__(self) -> None:
        self.parts = self.done = self.rules = self.used = 0
        self.budget: int | None = None
        self._broken: set[tuple[str, str]] = set()
        self._moves_clock = False

    def update(self, event: Event) -> bool:
        """Take in an event. Return false for a repeated defect, and for a clock that was moved before."""
        match event:
            case VerificationStarted(rules=rules, parts=parts):
                self.rules, self.parts = rules, parts
            case ExchangeRecorded(used=used, budget=budget):
                self.used, self.budget = used, budget
            case PartFinished():
                self.done += 1
            case Waiting(is_clock_moved=True):
                is_first, self._moves_clock = not self._moves_clock, True
                return is_first
            case FindingRecorded(finding=finding):
                found = self.finding_count
                self._broken.add((finding.rule.name, finding.expected))
                return self.finding_count > found
            case _:
                pass
        return True

    @property
    def finding_count(self) -> int:
        """The number of defects found."""
        return len(self._broken)

    @property
    def rules_done(self) -> int:
        """An estimate of the rules that are done, from the parts that are done."""
        return min(self.rules, self.rules * self.done // max(self.parts, 1))

    @property
    def requests(self) -> str:
        """The number of requests sent, and the budget if there is one."""
        return f"{self.used}/{self.budget} requests" if self.budget is not None else f"{self.used} requests"


class ProgressLines:
    """Plain lines: one at the start, and one for each part, finding and long wait."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.state = _State()
        self._printed = time.monotonic()
        self._part = ""

    def __call__(self, event: Event) -> None:
        """Print a line for an event that a reader of a log needs."""
        news = self.state.update(event)
        match event:
            case VerificationStarted(target=target, profile=profile, rules=rules):
                self._print(f"verifying {target}, profile {profile}: {rules} rules")
            case PartStarted(name=name):
                self._part = name
                self._print(f"[{self.state.done + 1}/{self.state.parts}] {name} ({self.state.requests})")
            case PartFinished(name=name, stopped=stopped) if stopped:
                self._print(f"{name} ended early: {stopped}")
            case Waiting(is_clock_moved=True):
                if news:
                    self._print("the target's clock is moved instead of waiting")
            case Waiting(seconds=seconds, why=why) if seconds >= _SHOWN_WAIT:
                self._print(f"waiting {seconds:.0f} s: {why}")
            case FindingRecorded(finding=finding) if news:
                self._print(f"{finding.verdict}: {finding.rule.name}: {finding.got}")
            case ExchangeRecorded() if time.monotonic() - self._printed > _SILENCE:
                self._print(f"still at {self._part or 'the start'} ({self.state.requests})")
            case _:
                pass

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        print(" ".join(escape_controls(line).split()), file=self.stream, flush=True)


class ProgressBar:
    """A bar over the parts, with the current part, requests, findings and the time left."""

    def __init__(self, stream: IO[str]) -> None:
        self.state = _State()
        console = Console(file=stream, highlight=False, no_color=not can_color(stream))
        self.progress = Progress(
            BarColumn(24),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("[bold]{task.description}[/bold]"),
            console=console,
            transient=True,
        )
        self.task = self.progress.add_task("starting", total=None, counts="")

    def __call__(self, event: Event) -> None:
        """Move the bar and print findings above it."""
        news = self.state.update(event)
        match event:
            case PartStarted(name=name):
                self.progress.update(self.task, description=escape(name))
            case Waiting(is_clock_moved=False, seconds=seconds, why=why) if seconds >= _SHOWN_WAIT:
                self.progress.update(self.task, description=escape(f"waiting {seconds:.0f} s: {why}"))
            case FindingRecorded(finding=finding) if news:
                color = "red" if finding.rule.basis.is_binding else "yellow"
                got = escape(escape_controls(finding.got))
                line = f"[{color}]{finding.verdict}[/{color}] {finding.rule.name}: {got}"
                self.progress.console.print(line, soft_wrap=True)
            case _:
                pass
        state = self.state
        counts = f"{state.rules_done}/{state.rules} rules, {state.requests}, {state.finding_count} found"
        self.progress.update(self.task, completed=state.done, total=state.parts or None, counts=counts)
