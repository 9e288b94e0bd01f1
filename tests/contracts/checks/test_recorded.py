"""Recorded answers are held against the contract, and no request is sent."""

from __future__ import annotations

import ast
import base64
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts import checks
from zof_contracts.checks.recorded import PASSIVE_RULES, check_recordings
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import Skips
from zof_contracts.traffic.sources import read_source

from tests.client_programs import good
from tests.client_programs.rig import Rig
from tests.http.exchanges import ALL, prepare_emulator
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification

EMPTY = dict.fromkeys(("total", "queued", "running", "passed", "failed", "error", "canceled"), 0)
JUDGES = ("conformance", "history", "objects", "schemas")


def check(recording: bytes) -> Verification:
    """The passive check of a recording."""
    keys, skips = KeyNames(), Skips()
    return check_recordings(read_source(io.BytesIO(recording), keys, skips, name="x"), keys, skips)


def list_findings(verification: Verification) -> list[str]:
    """The findings, one a line."""
    return [f"{one.rule.name}: expected {one.expected}; got {one.got}" for one in verification.findings]


def record() -> dict[str, Any]:
    """A recording of a good client, as a HAR file."""
    rig = Rig(rate=30)
    good.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    har: dict[str, Any] = json.loads(rig.har())
    return har


def test_the_emulator_keeps_what_its_answers_show() -> None:
    """No answer of the emulator breaks a rule, in a journal or in a HAR file; faults of the server are violations."""
    for name, exchange in ALL.items():
        zof = prepare_emulator()
        exchange(zof)
        if name == "our fault":
            continue
        for path in ("journal.ndjson", "journal.har"):
            content = zof.send("GET", f"/_emulator/{path}").content
            if b'"method"' in content:
                assert list_findings(check(content)) == []


def test_a_good_session_exercises_many_rules() -> None:
    """A session of a client keeps many rules, and no rule is broken."""
    verification = check(json.dumps(record()).encode())
    assert list_findings(verification) == []
    assert verification.counts[Verdict.KEPT] >= 40


def drop_header(name: str) -> Callable[[Any], None]:
    """Remove a header from an answer."""

    def change(answer: Any) -> None:  # noqa: ANN401  JSON
        answer["headers"] = [each for each in answer["headers"] if each["name"] != name]

    return change


def change_field(name: str, value: object) -> Callable[[Any], None]:
    """Give a field of an answer another value."""

    def change(answer: Any) -> None:  # noqa: ANN401  JSON
        body = json.loads(base64.b64decode(answer["content"]["text"]))
        answer["content"] = {"text": json.dumps({**body, name: value})}

    return change


@pytest.mark.parametrize(
    ("rule", "index", "change"),
    [
        ("conventions.request-id.present", 0, drop_header("x-request-id")),
        ("limits.headers", 0, drop_header("x-ratelimit-limit")),
        ("conventions.json", 0, lambda answer: answer.update(content={"text": "<html>"})),
        ("conventions.status", 0, lambda answer: answer.update(status=299)),
        ("runs.status.terminal", -2, change_field("status", "passed")),
        ("runs.summary.total", 2, change_field("summary", {**EMPTY, "total": 9})),
        ("conventions.timestamps", 2, change_field("created_at", "2026-01-01T00:00:00+00:00")),
    ],
)
def test_a_wrong_answer_is_found(rule: str, index: int, change: Callable[[Any], None]) -> None:
    """A recorded answer that breaks a rule is a finding under that rule."""
    har = record()
    urls = re.compile(r".*/runs(/run_\w+)?(/cancel)?")
    runs = [each for each in har["log"]["entries"] if urls.fullmatch(each["request"]["url"])]
    change(runs[index]["response"])
    assert rule in {one.rule.name for one in check(json.dumps(har).encode()).findings}


def test_what_was_not_recorded_is_not_judged() -> None:
    """Answers that are cut, lost or from a cache are left out and counted."""
    har = record()
    entries = har["log"]["entries"][:3]
    entries[0]["response"]["status"] = 0
    entries[1]["response"]["status"] = 304
    entries[2]["response"]["content"] = {"size": 100}
    har["log"]["entries"] = entries
    verification = check(json.dumps(har).encode())
    assert list_findings(verification) == []
    assert len(verification.notes) == 3


@pytest.mark.parametrize(("began", "is_finding"), [("00.000Z", False), ("09.000Z", True)])
def test_answers_that_overlap_may_come_in_any_order(began: str, is_finding: bool) -> None:  # noqa: FBT001
    """A run that two overlapping requests show in two statuses is no finding; one after the other it is."""
    har = record()
    start = next(each for each in har["log"]["entries"] if each["request"]["method"] == "POST")
    poll = next(each for each in har["log"]["entries"] if "/runs/run_" in each["request"]["url"])
    poll["startedDateTime"], poll["time"] = "2026-01-01T00:00:00.000Z", 2_000
    sent = start["request"]["headers"]  # with an idempotency key, the start may be a replay
    start["request"]["headers"] = [each for each in sent if each["name"].lower() != "idempotency-key"]
    start["startedDateTime"], start["time"] = f"2026-01-01T00:00:{began}", 2_000
    har["log"]["entries"] = [poll, start]
    found = {one.rule.name for one in check(json.dumps(har).encode()).findings}
    assert ("runs.status.transitions" in found) is is_finding


def test_the_passive_rules_are_those_of_the_judges() -> None:
    """Every rule that a passive judge names is one of the passive rules."""
    folder = Path(checks.__file__).parent
    trees = (ast.parse((folder / f"{name}.py").read_text()) for name in JUDGES)
    named = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)} & set(RULES)
    assert named <= {rule.name for rule in PASSIVE_RULES}
