"""The JUnit report keeps to the schemas of its two strictest readers: Jenkins xUnit and Maven Surefire.

The tables restate what the schemas published by jenkinsci/xunit-plugin (junit-10.xsd) and apache/maven-surefire
(surefire-test-report.xsd) permit: for each element its attributes and its children, in the order that is required.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
from zof_contracts.report import render
from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zof_contracts.evidence.verification import Verification

TIME: Final = r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?"
ANY: Final = r"(?s).*"
NAMES_OF_TESTSUITE: Final = dict.fromkeys(("name", "tests", "failures", "errors"), ANY)


@dataclass(frozen=True)
class Element:
    """The content that a schema permits in an element."""

    required: Mapping[str, str] = field(default_factory=dict)
    """The pattern of each attribute that must be there."""
    optional: Mapping[str, str] = field(default_factory=dict)
    """The pattern of each attribute that may be there."""
    children: tuple[str, ...] = ()
    is_ordered: bool = False
    """Whether the children must come in the order given."""
    has_text: bool = False


MESSAGE: Final = {"message": ANY}
OF_JENKINS_SUITE: Final = ["group", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"]
OF_SUREFIRE_SUITE: Final = {**NAMES_OF_TESTSUITE, "skipped": ANY}
JENKINS: Final = {
    "testsuites": Element(
        {}, {"name": ANY, "time": TIME, "tests": ANY, "failures": ANY, "errors": ANY}, ("testsuite",)
    ),
    "testsuite": Element(
        NAMES_OF_TESTSUITE,
        {"time": TIME} | dict.fromkeys(OF_JENKINS_SUITE, ANY),
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
    ),
    "testcase": Element(
        {"name": ANY},
        {"time": ANY, "classname": ANY, "group": ANY},
        ("skipped", "error", "failure", "system-out", "system-err"),
    ),
    "failure": Element({}, {"type": ANY, **MESSAGE}, has_text=True),
    "skipped": Element({}, {"type": ANY, **MESSAGE}, has_text=True),
    "system-out": Element(has_text=True),
}
SUREFIRE: Final = {
    "testsuite": Element(
        {**NAMES_OF_TESTSUITE, "skipped": ANY},
        {"time": TIME, "group": ANY},
        ("properties", "testcase"),
        is_ordered=True,
    ),
    "testcase": Element(
        {"name": ANY, "time": TIME},
        {"classname": ANY, "group": ANY},
        ("failure", "skipped", "error", "system-out", "system-err"),
        is_ordered=True,
    ),
    "failure": Element({"type": ANY}, MESSAGE, has_text=True),
    "skipped": Element({}, MESSAGE, has_text=True),
    "system-out": Element(has_text=True),
}


def list_errors(schema: Mapping[str, Element], node: ET.Element) -> Iterator[str]:
    """Yield what a schema does not permit in a tree."""
    rule = schema[node.tag]
    yield from (f"{node.tag} lacks {name}" for name in rule.required if name not in node.attrib)
    for name, value in node.attrib.items():
        pattern = {**rule.required, **rule.optional}.get(name)
        if pattern is None or not re.fullmatch(pattern, value):
            yield f"{node.tag} has {name}={value!r}"
    if not rule.has_text and (node.text or "").strip():
        yield f"{node.tag} has text"
    places = [rule.children.index(child.tag) if child.tag in rule.children else -1 for child in node]
    if -1 in places or (rule.is_ordered and places != sorted(places)):
        yield f"{node.tag} has the children {[child.tag for child in node]}"
    for child in node:
        if child.tag in rule.children:
            yield from list_errors(schema, child)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 2.0, 4321.9876])
def test_junit_is_valid_for_its_readers(make: Callable[..., Verification], seconds: float, strict: bool) -> None:  # noqa: FBT001
    """The report is valid for Jenkins xUnit, and each of its suites for Maven Surefire."""
    target = Target(url="http://127.0.0.1:9630/v1", keys={"main": "zof_secret_main_1"}, is_strict=strict)
    root = ET.fromstring(render(make("<&>\x1b", seconds=seconds, target=target), "junit"))  # noqa: S314  our own
    assert list(list_errors(JENKINS, root)) == []
    assert len(root)
    for suite in root:
        assert list(list_errors(SUREFIRE, suite)) == []


def test_the_tables_refuse_what_the_schemas_refuse() -> None:
    """A number in a wrong form, an unknown attribute, a missing one and a wrong order are errors."""
    case = '<testcase name="a" time="soon"><system-out/><failure message="m"/></testcase>'
    suite = ET.fromstring(f'<testsuite name="a" tests="1" errors="0" failures="1" color="red">{case}</testsuite>')  # noqa: S314
    assert list(list_errors(SUREFIRE, suite)) == [
        "testsuite lacks skipped",
        "testsuite has color='red'",
        "testcase has time='soon'",
        "testcase has the children ['system-out', 'failure']",
        "failure lacks type",
    ]
