"""Report formats: each is valid against its schema, can be read by its readers, and holds no API key."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.lines import find_line
from zof_contracts.contract.rules import RULES
from zof_contracts.report import FILES, render, write
from zof_contracts.report.document import build_report
from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.verification import Verification

ROOT: Final = Path(__file__).parents[3]
SCHEMA: Final = json.loads((ROOT / "contracts" / "zof_contracts" / "report" / "report.schema.json").read_text())
HERE: Final = Path(__file__).parent
NASTY: Final = "</script><img src=x onerror=alert(1)> ]]> & \" ' \x00 \x1b \ud7ff {{title}} [red] \\"


def validate(schema: Any, text: str) -> Any:  # noqa: ANN401  JSON
    """Parse a JSON text and validate it against a schema."""
    value = json.loads(text)
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(value)
    return value


@pytest.mark.parametrize("text", ["it", NASTY])
def test_json_is_valid(make: Callable[..., Verification], text: str) -> None:
    """The JSON report is valid against its own schema."""
    said = validate(SCHEMA, render(make(text), "json"))
    assert said["summary"]["violated"] == 1
    assert said["findings"][0]["rule"] == "runs.cancel.terminal-conflict"
    assert sum(section["rules"] for section in said["sections"]) == len(said["rules"])


def test_the_schema_is_not_empty(make: Callable[..., Verification]) -> None:
    """The schema refuses a report with an additional field, and one with a missing field."""
    said = build_report(make())
    for changed in ({**said, "more": 1}, {name: value for name, value in said.items() if name != "receipt"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            validate(SCHEMA, json.dumps(changed))


@pytest.mark.parametrize("text", ["it", NASTY])
def test_junit(make: Callable[..., Verification], text: str) -> None:
    """JUnit has one test case per rule: violated rules fail, and rules not exercised are skipped with the reason."""
    verification = make(text)
    root = ET.fromstring(render(verification, "junit"))  # noqa: S314  our own
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == [each.rule.name for each in verification.results]
    assert [name for name, case in cases.items() if case.find("failure") is not None] == [
        "runs.cancel.terminal-conflict"
    ]
    skipped = cases["conventions.timestamps"].find("skipped")
    assert skipped is not None
    assert "nothing shows" in (skipped.get("message") or "")
    assert (root.get("tests"), root.get("failures")) == (str(len(cases)), "1")
    assert sum(int(suite.get("skipped", 0)) for suite in root) == 2
    assert sum(int(suite.get("tests", 0)) for suite in root) == len(cases)


def test_junit_when_strict(make: Callable[..., Verification]) -> None:
    """In strict mode a difference fails its test case too."""
    root = ET.fromstring(render(make(target=Target(url="http://127.0.0.1:9630", is_strict=True)), "junit"))  # noqa: S314  our own
    assert root.get("failures") == "2"


@pytest.mark.parametrize("text", ["it", NASTY])
def test_sarif_is_valid(make: Callable[..., Verification], text: str) -> None:
    """SARIF is valid against its schema, and each result refers to a rule that the tool describes."""
    said = validate(json.loads((HERE / "sarif.schema.json").read_text()), render(make(text), "sarif"))
    run = said["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert [one["level"] for one in run["results"]] == ["error", "note", "note"]
    assert not [one for one in run["results"] if "baselineState" in one]


def test_sarif_with_a_baseline(make: Callable[..., Verification]) -> None:
    """With a baseline, each result says whether the baseline holds it."""
    known = make().findings[0].key
    (run,) = json.loads(render(make(known=frozenset({known}), has_baseline=True), "sarif"))["runs"]
    assert [one["baselineState"] for one in run["results"]] == ["unchanged", "new", "new"]
    (run,) = json.loads(render(make(has_baseline=True), "sarif"))["runs"]
    assert {one["baselineState"] for one in run["results"]} == {"new"}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_has_its_own_line(rule: Rule) -> None:
    """The line of a rule is that of the last part of its place in openapi.yaml."""
    pointer = load_contract().pointer(rule.at)
    name = pointer.rsplit("/", 1)[1].replace("~1", "/").replace("~0", "~")
    line = (ROOT / "openapi.yaml").read_text().splitlines()[find_line(pointer) - 1]
    assert line.strip().strip("\"'").startswith(name)


def test_places_of_the_same_name_have_different_lines() -> None:
    """The same status of two operations has two lines."""
    document = load_contract()
    lines = {find_line(document.pointer(f"{operation}/401")) for operation in ("startRun", "cancelRun", "getRun")}
    assert len(lines) == 3
    assert find_line("#/paths/nothing") == find_line("#/paths")


@pytest.mark.parametrize("text", ["it", NASTY])
def test_har_is_valid(make: Callable[..., Verification], text: str) -> None:
    """HAR holds every exchange with its bodies, and the key's name in place of the key."""
    entries = validate(json.loads((HERE / "har.schema.json").read_text()), render(make(text), "har"))["log"]["entries"]
    assert [entry["response"]["status"] for entry in entries] == [201, 200, 200]
    assert entries[0]["request"]["headers"][0] == {"name": "Authorization", "value": "Bearer [key main]"}
    assert json.loads(entries[0]["request"]["postData"]["text"])["test_case_ids"] == [text]
    assert entries[2]["response"]["content"]["text"] == text


def test_har_of_bytes(make: Callable[..., Verification]) -> None:
    """HAR holds a binary body in base64."""
    verification = make()
    last = verification.journal[-1]
    picture = type(last.response)(200, (("content-type", "image/png"),), b"\x89PNG\xff")
    changed = type(last)(3, last.request, picture, "downloadArtifact", last.at, last.took)
    content = json.loads(render(make(journal=(changed,)), "har"))["log"]["entries"][0]["response"]["content"]
    assert base64.b64decode(content["text"]) == b"\x89PNG\xff"
    assert content["encoding"] == "base64"


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Record the text."""
        self.text += data


def test_the_page(make: Callable[..., Verification]) -> None:
    """The page loads nothing, escapes every value, and has one row per rule."""
    verification = make(NASTY)
    text = render(verification, "html")
    page = Page()
    page.feed(text)
    assert not {"img", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert [attrs for tag, attrs in page.tags if "src" in attrs or any(name.startswith("on") for name in attrs)] == []
    assert "default-src 'none'" in text
    rows = [attrs for tag, attrs in page.tags if tag == "tr" and "data-verdict" in attrs]
    assert len(rows) == len(verification.results)
    assert {attrs["data-verdict"] for attrs in rows} == {"kept", "violated", "differs", "not exercised"}
    assert NASTY.replace("\x00", "\\x00").replace("\x1b", "\\x1b") in page.text
    assert not re.search(r"\{\{(?!title\}\})", text)


def test_reports_are_files(make: Callable[..., Verification], tmp_path: Path) -> None:
    """Each format is written to its file, in a folder that is made."""
    written = write(make(), FILES, tmp_path / "new" / "folder")
    assert [path.name for path in written] == list(FILES.values())
    assert all(path.stat().st_size for path in written)


KEYS: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40)


@pytest.fixture
def ordinary(make: Callable[..., Verification]) -> Callable[[str], bool]:
    """Whether a text occurs in reports without any key."""
    package = ROOT / "contracts" / "zof_contracts"
    catalogue = (package / "contract" / "rules.yaml").read_text()
    reports = "".join(render(make("it", target=Target(url="http://127.0.0.1:9630")), form) for form in FILES)
    return (
        catalogue + (ROOT / "contracts" / "zof_contracts" / "report" / "page.html").read_text() + reports
    ).__contains__


@given(main=KEYS, readonly=KEYS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_key_in_any_report(
    make: Callable[..., Verification], ordinary: Callable[[str], bool], main: str, readonly: str
) -> None:
    """No report holds an API key, plain, escaped or in base64, wherever the target sends it."""
    assume(not ordinary(main) and not ordinary(readonly))
    target = Target(url="http://127.0.0.1:9630", keys={"main": main, "readonly": readonly})
    verification = make(f"{main} and {readonly}; {json.dumps(main)}", target=target)
    for form in FILES:
        text = render(verification, form)
        assert main not in text
        assert readonly not in text
        for way in (json.dumps(main)[1:-1], base64.b64encode(main.encode()).decode().rstrip("=")):
            assert way not in text
