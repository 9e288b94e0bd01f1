"""The text report and the progress."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from zof_contracts.contract.client_rules import CLIENT_RULES, CLIENT_SECTIONS
from zof_contracts.evidence.events import (
    ExchangeRecorded,
    FindingRecorded,
    PartFinished,
    PartStarted,
    VerificationStarted,
    Waiting,
)
from zof_contracts.evidence.findings import RuleResult, Verdict
from zof_contracts.report import render
from zof_contracts.report.progress import can_animate, can_color, show_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


@pytest.fixture(autouse=True)
def _set_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_finding_has_all_that_is_needed(make: Callable[..., Verification]) -> None:
    """A finding shows its rule, sources, expectation, what came, request, seed and script."""
    text = render(make("it"), "text")
    for said in (
        "1. VIOLATED  runs.cancel.terminal-conflict",
        "documented by Start run, Errors; openapi.yaml: cancelRun/409",
        "expected  409 for it",
        "got       200 with it",
        "seen      3 times, in cancelRun",
        "request req_00000000000000000003, seed 42",
        'curl -sS -i -X POST -g "$ZOF_BASE_URL/runs/${RUN}/cancel"',
        "2. DIFFERS  ",
        "3. FLAKY  conventions.json",
        "3 requests (1.5/s), 100 examples (50/s) in 2.0 s; seed 42",
        "1  canceled: run_0123456789",
        "1  nothing shows it: conventions.timestamps",
        "1 rule violated, 1 rule different from an assumption.",
    ):
        assert said in text


def test_the_report_fits_80_columns(make: Callable[..., Verification]) -> None:
    """No line is longer than 80 characters, except commands and words that cannot be broken."""
    text = render(make("a long text that a target sent " * 10, stopped="a reason " * 20, throttled=2), "text")
    assert [line for line in text.splitlines() if len(line) > 80 and not line.startswith("     ")] == []
    long_word = render(make("x" * 200), "text")
    assert max(len(line.split()) for line in long_word.splitlines() if len(line) > 120) < 8


def test_one_defect_in_two_operations(make: Callable[..., Verification]) -> None:
    """A defect in several operations is one finding that names them and counts all occurrences."""
    verification = make()
    index, each = next(
        (index, each) for index, each in enumerate(verification.results) if each.verdict is Verdict.VIOLATED
    )
    again = replace(each.findings[0], trace=each.findings[0].trace[:1])
    settled = list(verification.results)
    settled[index] = replace(each, findings=(*each.findings, again))
    text = render(make(results=tuple(settled)), "text")
    assert text.count("VIOLATED") == 1
    assert "seen      6 times, in startRun, cancelRun" in text


def test_what_ended_it(make: Callable[..., Verification]) -> None:
    """The report says that the verification was interrupted, stopped by the budget, or throttled."""
    assert "Interrupted" in render(make(interrupted=True, stopped="interrupted"), "text")
    text = render(make(stopped="the budget is used up", throttled=2), "text")
    assert "Ended early: the budget is used up." in text
    assert "throttled 2 requests" in text


def test_nothing_was_tested(make: Callable[..., Verification]) -> None:
    """A verification that tested nothing says so."""
    nothing = tuple(
        RuleResult(each.rule, Verdict.NOT_EXERCISED, 0, f"because {i}", ()) for i, each in enumerate(make().results)
    )
    text = render(make(results=nothing), "text")
    assert "Nothing was tested" in text
    assert "other reasons" in text


def test_nothing_found(make: Callable[..., Verification]) -> None:
    """A verification without findings says how many rules are kept."""
    kept = tuple(RuleResult(each.rule, Verdict.KEPT, 9, "", ()) for each in make().results)
    count = len(kept)
    assert render(make(results=kept), "text").endswith(
        f"Rules: {count} kept, {count} exercised, {count} asked for.\n"
        f"http://127.0.0.1:9630 keeps the {count} rules that were exercised.\n"
        "Exit status 0: no violation was found.\n"
    )


def test_rules_for_clients_are_kept_by_the_client(make: Callable[..., Verification]) -> None:
    """The outcome of rules for clients is about the client, not about the deployment that it used."""
    results = tuple(RuleResult(rule, Verdict.KEPT, 9, "", ()) for rule in CLIENT_RULES.values())
    text = render(make(results=results, sections=CLIENT_SECTIONS), "text")
    assert f"\nThe client keeps the {len(results)} rules that were exercised.\n" in text


def test_known_findings_do_not_count(make: Callable[..., Verification]) -> None:
    """A finding of the baseline is marked and does not count."""
    text = render(make(known=frozenset(one.key for one in make().findings)), "text")
    assert "1. VIOLATED (in the baseline)" in text
    assert "rules that were exercised" in text


def test_progress_on_a_pipe(make: Callable[..., Verification]) -> None:
    """On a pipe, progress is one line for each part, long wait and finding."""
    stream = io.StringIO()
    with show_progress(stream) as listener:
        for event in (
            VerificationStarted("http://x", "full", 207, 2),
            PartStarted("cancel"),
            ExchangeRecorded(make().journal[0], 5, 250),
            Waiting(0.1, "a 5xx"),
            Waiting(12, "Retry-After"),
            Waiting(7_603_200, "an artifact to expire", is_clock_moved=True),
            Waiting(86_400, "an idempotency key to expire", is_clock_moved=True),
            FindingRecorded(make().findings[0]),
            FindingRecorded(make().findings[0]),
            PartFinished("cancel", "the budget is used up"),
            PartStarted("pages"),
        ):
            listener(event)
    assert stream.getvalue().splitlines() == [
        "verifying http://x, profile full: 207 rules",
        "[1/2] cancel (0 requests)",
        "waiting 12 s: Retry-After",
        "the target's clock is moved instead of waiting",
        "violated: runs.cancel.terminal-conflict: 200 with it",
        "cancel ended early: the budget is used up",
        "[2/2] pages (5/250 requests)",
    ]


def test_progress_on_a_terminal(make: Callable[..., Verification]) -> None:
    """On a terminal, progress is a bar with counts, and findings above it."""
    stream = Terminal()
    with show_progress(stream) as listener:
        listener(VerificationStarted("http://x", "full", 200, 2))
        listener(PartStarted("[cancel]"))
        listener(Waiting(12, "Retry-After"))
        listener(ExchangeRecorded(make().journal[0], 5, 250))
        listener(PartFinished("cancel"))
        listener(FindingRecorded(make("[red]").findings[0]))
    text = stream.getvalue()
    assert "violated" in text
    assert "200 with [red]" in text
    assert "100/200 rules, 5/250 requests, 1 found" in text


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_no_bar(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """In CI and on a dumb terminal there is no bar."""
    assert can_animate(Terminal())
    monkeypatch.setenv(name, value)
    assert not can_animate(Terminal())


def test_no_colour(monkeypatch: pytest.MonkeyPatch, make: Callable[..., Verification]) -> None:
    """NO_COLOR turns colours off, in the bar too."""
    assert can_color(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not can_color(Terminal())
    stream = Terminal()
    with show_progress(stream) as listener:
        listener(FindingRecorded(make().findings[0]))
    assert "\x1b[31m" not in stream.getvalue()
