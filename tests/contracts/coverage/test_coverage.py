"""Coverage counts the parts of the contract that recordings reach, over any number of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from click.testing import CliRunner
from zof_contracts.cli.coverage import coverage
from zof_contracts.coverage import report
from zof_contracts.coverage.collector import CoverageCollector
from zof_contracts.coverage.parts import Group, find_reason, list_parts
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import Skips
from zof_contracts.traffic.sources import read_source

from tests.http.exchanges import ALL, prepare_emulator
from tests.zof import STAGING, Zof

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = json.loads((Path(report.__file__).parent / "coverage.schema.json").read_text())


def record(zof: Zof) -> bytes:
    """The journal of an emulator."""
    return zof.send("GET", "/_emulator/journal.ndjson", base="http://127.0.0.1:9630").content


def collect(*recordings: bytes) -> CoverageCollector:
    """The coverage of recordings."""
    collector = CoverageCollector()
    for content in recordings:
        for recorded in read_source(io.BytesIO(content), KeyNames(), Skips(), name="x"):
            collector.observe(recorded)
    return collector


def list_seen(collector: CoverageCollector, group: Group) -> set[str]:
    """The names of the parts of a group that were seen."""
    return set(collector.counts[group])


def tell_story(zof: Zof) -> None:
    """Use some parts of the API."""
    run = zof.post("/runs", {**STAGING, "test_case_ids": ["tc_a"]}).json["id"]
    zof.control("/clock/advance", {"by_ms": 100})
    zof.get(f"/runs/{run}")
    zof.control("/clock/advance", {"by_ms": 60_000})
    zof.get("/runs", limit=100, status="passed")
    zof.get("/runs/run_none")


def test_what_a_story_reaches() -> None:
    """A story reaches its operations, statuses, reasons, transitions, ends, filters and limits, and nothing else."""
    zof = Zof(scenario="empty")
    tell_story(zof)
    collector = collect(record(zof))
    assert list_seen(collector, Group.OPERATIONS) == {"startRun", "getRun", "listRuns"}
    assert list_seen(collector, Group.STATUSES) == {"startRun 201", "getRun 200", "listRuns 200", "getRun 404"}
    assert list_seen(collector, Group.REASONS) == {"run_not_found"}
    assert list_seen(collector, Group.TRANSITIONS) == {"queued to running", "running to passed"}
    assert list_seen(collector, Group.TERMINAL) == {"passed"}
    assert list_seen(collector, Group.FILTERS) == {"listRuns status"}
    assert list_seen(collector, Group.LIMITS) == {"listRuns limit 100", "startRun test_case_ids 1 items"}


@pytest.mark.parametrize("name", ALL)
def test_the_reason_of_an_error_is_recognized(name: str) -> None:
    """The reason that is read from an answer is the one that the emulator's journal names."""
    zof = prepare_emulator()
    ALL[name](zof)
    lines = [json.loads(each) for each in record(zof).splitlines()[1:]]
    known = list_parts()[Group.REASONS]
    for line in lines:
        is_of_api = line["request"]["target"].startswith("/v1/")
        if is_of_api and line["refused"] in known and line["response"]["body"]:
            error = json.loads(line["response"]["body"])["error"]
            assert find_reason(line["response"]["status"], error) == line["refused"]


def test_several_recordings_are_merged() -> None:
    """The coverage of two recordings is that of both together."""
    one, other = Zof(), Zof()
    one.get("/projects")
    other.get("/webhooks")
    both = collect(record(one), record(other))
    assert list_seen(both, Group.OPERATIONS) == {"listProjects", "listWebhooks"}
    assert both.exchange_count == 2


def test_every_part_has_one_name() -> None:
    """No group is empty, and no part is listed twice."""
    parts: Mapping[Group, tuple[str, ...]] = list_parts()
    assert parts.keys() == set(Group)
    assert all(names and len(set(names)) == len(names) for names in parts.values())


def invoke(folder: Path, *arguments: str) -> Any:  # noqa: ANN401  a result of click
    """Call the command."""
    return CliRunner().invoke(coverage, [*arguments, "--report-dir", str(folder)], standalone_mode=False)


def test_the_command_writes_its_reports(tmp_path: Path) -> None:
    """The command writes a table, JSON by its schema and HTML, and fails below the percentage that is demanded."""
    zof = Zof(scenario="empty")
    tell_story(zof)
    file = tmp_path / "journal.ndjson"
    file.write_bytes(record(zof))
    found = invoke(tmp_path, str(file), str(file), "--report", "text,json,html", "--fail-under", "90")
    assert found.return_value == 1
    assert "Never seen, operations:\n  cancelRun, getRunLogs" in found.output
    value = json.loads((tmp_path / "coverage.json").read_text())
    jsonschema_rs.validate(SCHEMA, value)
    assert (value["exchanges"], value["recordings"]) == (8, [str(file)] * 2)
    assert "<td>cancelRun</td><td class=n>never</td>" in (tmp_path / "coverage.html").read_text()
    assert invoke(tmp_path, str(file), "--fail-under", "1").return_value == 0
