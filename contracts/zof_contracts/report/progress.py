"""Progress while a target is verified: a bar on a terminal, plain lines on a pipe or in CI; both on standard error.

Plug in: `with progress(sys.stderr) as listener:` gives a listener of events.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.events import Event, Listener

_WORTH_SAYING: Final = 1.0
"""Seconds of waiting that a reader is told of."""
_QUIET: Final = 10.0
"""Seconds after which a plain line says that we are still there."""


def animated(stream: IO[str]) -> bool:
    """Whether a bar may be drawn: on a terminal that can, and not in CI."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def coloured(stream: IO[str]) -> bool:
    """Whether colours may be used: on a terminal, and where NO_COLOR does not forbid it."""
    return animated(stream) and not os.environ.get("NO_COLOR")


@contextmanager
def progress(stream: IO[str]) -> Iterator[Listener]:
    """A listener that shows what happens, as the stream can."""
    if not animated(stream):
        yield Lines(stream)
        return
    bar = Bar(stream)
    with bar.shown:
        yield bar


class _State:
    """How far it has come."""

    def __init__(self) -> None:
        self.parts = self.done = self.rules = self.used = 0
        self.budget: int | None = None
        self._broken: set[tuple[str, str]] = set()

    def learn(self, event: Event) -> bool:
        """Take in what happened; whether it is news, which a defect met in one operation more is not."""
        match event:
            case VerificationStarted(rules=rules, parts=parts):
                self.rules, self.parts = rules, parts
            case ExchangeRecorded(used=used, budget=budget):
                self.used, self.budget = used, budget
            case PartFinished():
                self.done += 1
            case FindingRecorded(finding=finding):
                found = self.found
                self._broken.add((finding.rule.name, finding.expected))
                return self.found > found
            case _:
                pass
        return True

    @property
    def found(self) -> int:
        """Defects found."""
        return len(self._broken)

    @property
    def rules_done(self) -> int:
        """Rules behind us, as far as the parts tell."""
        return min(self.rules, self.rules * self.done // max(self.parts, 1))

    @property
    def requests(self) -> str:
        """Requests used, of the budget if there is one."""
        return f"{self.used}/{self.budget} requests" if self.budget is not None else f"{self.used} requests"


class Lines:
    """Plain lines: one when it begins, one for each part, finding and long wait."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.state = _State()
        self._said = time.monotonic()
        self._now = ""

    def __call__(self, event: Event) -> None:
        """Say what a reader of a log wants to know."""
        news = self.state.learn(event)
        match event:
            case VerificationStarted(target=target, profile=profile, rules=rules):
                self._say(f"verifying {target}, profile {profile}: {rules} rules")
            case PartStarted(name=name):
                self._now = name
                self._say(f"[{self.state.done + 1}/{self.state.parts}] {name} ({self.state.requests})")
            case PartFinished(name=name, stopped=stopped) if stopped:
                self._say(f"{name} ended early: {stopped}")
            case Waiting(seconds=seconds, why=why) if seconds >= _WORTH_SAYING:
                self._say(f"waiting {seconds:.0f} s: {why}")
            case FindingRecorded(finding=finding) if news:
                self._say(f"{finding.verdict}: {finding.rule.name}: {finding.got}")
            case ExchangeRecorded() if time.monotonic() - self._said > _QUIET:
                self._say(f"still at {self._now or 'it'} ({self.state.requests})")
            case _:
                pass

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        print(" ".join(line.split()), file=self.stream, flush=True)


class Bar:
    """A bar of the parts, with what is being tried, requests, findings and the time left."""

    def __init__(self, stream: IO[str]) -> None:
        self.state = _State()
        console = Console(file=stream, highlight=False, no_color=not coloured(stream))
        self.shown = Progress(
            BarColumn(24),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("[bold]{task.description}[/bold]"),
            console=console,
            transient=True,
        )
        self.task = self.shown.add_task("beginning", total=None, counts="")

    def __call__(self, event: Event) -> None:
        """Move the bar; print findings above it."""
        news = self.state.learn(event)
        match event:
            case PartStarted(name=name):
                self.shown.update(self.task, description=escape(name))
            case Waiting(seconds=seconds, why=why) if seconds >= _WORTH_SAYING:
                self.shown.update(self.task, description=escape(f"waiting {seconds:.0f} s: {why}"))
            case FindingRecorded(finding=finding) if news:
                colour = "red" if finding.rule.basis.is_binding else "yellow"
                said = f"[{colour}]{finding.verdict}[/{colour}] {finding.rule.name}: {escape(finding.got)}"
                self.shown.console.print(said, soft_wrap=True)
            case _:
                pass
        state = self.state
        counts = f"{state.rules_done}/{state.rules} rules, {state.requests}, {state.found} found"
        self.shown.update(self.task, completed=state.done, total=state.parts or None, counts=counts)
