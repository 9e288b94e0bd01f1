"""The JUnit report keeps to the schemas of its two strictest readers: Jenkins xUnit and Maven Surefire.

`jenkins-xunit.junit-10.xsd` is the schema of jenkinsci/xunit-plugin, `surefire-test-report.xsd` that of Maven Surefire
2.22.3, both unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from zof_contracts.report import render
from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification

HERE: Final = Path(__file__).parent


def list_errors(schema: str, node: ET.Element) -> list[str]:
    """The reasons why a schema does not permit a document."""
    return [str(error.reason) for error in xmlschema.XMLSchema(HERE / schema).iter_errors(node)]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 2.0, 4321.9876])
def test_junit_is_valid_for_its_readers(make: Callable[..., Verification], seconds: float, strict: bool) -> None:  # noqa: FBT001
    """The report is valid for Jenkins xUnit, and each of its suites for Maven Surefire."""
    target = Target(url="http://127.0.0.1:9630/v1", keys={"main": "zof_secret_main_1"}, is_strict=strict)
    root = ET.fromstring(render(make("<&>\x1b", seconds=seconds, target=target), "junit"))  # noqa: S314  our own
    assert list_errors("jenkins-xunit.junit-10.xsd", root) == []
    assert len(root)
    for suite in root:
        assert list_errors("surefire-test-report.xsd", suite) == []


def test_the_schemas_refuse_other_documents() -> None:
    """A number in a wrong form, an unknown attribute, a missing one and a wrong order are errors."""
    case = '<testcase name="a" time="soon"><system-out/><failure message="m"/></testcase>'
    suite = ET.fromstring(f'<testsuite name="a" tests="1" errors="0" failures="1" color="red">{case}</testsuite>')  # noqa: S314
    assert len(list_errors("surefire-test-report.xsd", suite)) >= 4
    assert "'color' attribute not allowed for element" in list_errors("jenkins-xunit.junit-10.xsd", suite)
