"""The JUnit report, parsed as a CI system would."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.results import Failure, Result
from zof_emulator.render.junit import render_report

from tests.render.strategies import BEGAN, RUN, SAMPLE, anything, from_statuses

LEGAL = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Char, of XML 1.0, section 2.2."""


def parse_report(*results: Result, started_at: int | None = BEGAN) -> ET.Element:
    """The report of a run of these results, which ended 5.25 s after BEGAN."""
    run = RUN._replace(started_at=started_at, completed_at=BEGAN + 5_250)
    return ET.fromstring(render_report("run_1", run, results))  # noqa: S314  our own


def the(root: ET.Element, path: str) -> ET.Element:
    """The one element at a path."""
    (element,) = root.iterfind(path)
    return element


def assert_survived(text: str, read: str | None) -> None:
    """Every character that XML can hold is kept; every other is replaced by a replacement character."""
    assert len(read or "") == len(text)
    for before, after in zip(text, read or "", strict=True):
        if LEGAL.match(before):
            assert after == before
        else:
            assert after == "\N{REPLACEMENT CHARACTER}" or after == chr(0x2400 + ord(before))


@given(st.lists(from_statuses(), max_size=6))
def test_counts_add_up(results: list[Result]) -> None:
    """Both levels count the cases by verdict as their elements do, and every result is one case in order."""
    root = parse_report(*results)
    suite = the(root, "testsuite")
    assert [case.get("name") for case in suite.iterfind("testcase")] == [result.test_case_id for result in results]
    for level in (root, suite):
        assert level.get("tests") == str(len(results))
        for attribute, element in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert level.get(attribute) == str(len(suite.findall(f"testcase/{element}")))


@pytest.mark.parametrize(
    ("status", "element"), [("passed", None), ("failed", "failure"), ("error", "error"), ("canceled", "skipped")]
)
def test_verdict(status: str, element: str | None) -> None:
    """A status is the verdict that CI systems know for it, and no other."""
    case = the(parse_report(replace(SAMPLE, status=status, failure=None)), "testsuite/testcase")
    assert [child.tag for child in case] == [element][: element is not None]


def test_verdict_missing() -> None:
    """A case that has not ended is refused, since without a verdict it would look passed."""
    with pytest.raises(KeyError):
        parse_report(replace(SAMPLE, status="running"))


@given(anything)
def test_message_survives(message: str) -> None:
    """A failure's message is both an attribute and the text, with its category as the type."""
    failure = the(parse_report(replace(SAMPLE, failure=Failure(message, "timeout"))), "testsuite/testcase/failure")
    assert failure.get("type") == "timeout"
    assert_survived(message, failure.get("message"))
    assert_survived(message, failure.text)


@given(anything, anything)
def test_names_survive(environment: str, project_id: str) -> None:
    """The run, project and environment are properties of the suite, whatever their labels hold."""
    content = render_report("run_1", RUN._replace(project_id=project_id, environment=environment), [])
    suite = the(ET.fromstring(content), "testsuite")  # noqa: S314  our own
    values = {property_.get("name"): property_.get("value") for property_ in suite.iterfind("properties/property")}
    assert values["run_id"] == "run_1"
    assert_survived(project_id, values["project_id"])
    assert_survived(environment, values["environment"])


def test_times() -> None:
    """Times are seconds with milliseconds; the timestamp is the run's start, in UTC."""
    root = parse_report(SAMPLE)
    for level in (root, the(root, "testsuite")):
        assert (level.get("time"), level.get("timestamp")) == ("5.250", "2026-01-01T00:00:00Z")
    assert the(root, "testsuite/testcase").get("time") == "0.847"


def test_never_started() -> None:
    """A run that was canceled in the queue took no time, and its timestamp is its end."""
    root = parse_report(replace(SAMPLE, status="canceled", started_at=None, failure=None), started_at=None)
    assert (root.get("time"), root.get("timestamp")) == ("0.000", "2026-01-01T00:00:05Z")
    assert the(root, "testsuite/testcase").get("time") == "0.000"


def test_class_name() -> None:
    """Readers group cases by class name: the project, then the environment."""
    assert the(parse_report(SAMPLE), "testsuite/testcase").get("classname") == "proj_web.staging"
