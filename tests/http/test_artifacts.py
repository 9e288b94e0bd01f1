"""Artifacts: their creation, owner, bytes and expiry."""

from __future__ import annotations

import hashlib
import json
import struct
import xml.etree.ElementTree as ET
import zlib
from collections import Counter
from io import BytesIO
from typing import Any, Final
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.histories import Step, case_lists, format_instant, histories, perform, read_instant, reset_emulator
from tests.zof import OTHER, VIEWER, Zof

FIELDS = [
    "id",
    "run_id",
    "result_id",
    "type",
    "name",
    "content_type",
    "size_bytes",
    "sha256",
    "created_at",
    "expires_at",
    "url",
]
NINETY_DAYS = 90 * 24 * 3_600_000
GONE = (404, "not_found", None)


def list_case_types(status: str) -> list[str]:
    """The artifact types of a case with this outcome."""
    return {"passed": ["trace"], "failed": ["screenshot", "trace"], "error": ["screenshot", "trace"]}.get(status, [])


@given(history=histories)
def test_kinds(history: list[Step]) -> None:
    """An ended case has a trace, and a screenshot if it failed; an ended run has two exports."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run = zof.run(name)
        found = Counter(one["type"] for one in zof.walk(f"/runs/{name}/artifacts"))
        expected = Counter(kind for one in run["case_outcomes"] for kind in list_case_types(one["status"]))
        assert found == expected + Counter(export=2 if run["completed_at"] else 0)


@given(history=histories)
def test_whose(history: list[Step]) -> None:
    """A result's list holds its own artifacts, a run's list all; before the run's end none names a result."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run, kept = zof.run(name), zof.walk(f"/runs/{name}/artifacts")
        assert {one["run_id"] for one in kept} <= {name}
        if not run["completed_at"]:
            assert {one["result_id"] for one in kept} <= {None}
            continue
        assert [one["type"] for one in kept if one["result_id"] is None] == ["export", "export"]
        for one in run["case_outcomes"]:
            own = zof.walk(f"/results/{one['result_id']}/artifacts")
            assert own == [artifact for artifact in kept if artifact["result_id"] == one["result_id"]]
            assert sorted(artifact["type"] for artifact in own) == list_case_types(one["status"])


@settings(max_examples=40)
@given(history=histories)
def test_bytes(history: list[Step]) -> None:
    """The URL of an artifact leads to its bytes, which have its size, its hash and its type, as an attachment."""
    zof = reset_emulator(capacity=2)
    for run in perform(zof, history):
        for one in zof.walk(f"/runs/{run}/artifacts"):
            assert list(one) == FIELDS
            answer = zof.follow(one["url"])
            assert answer.status == 200
            assert answer.headers["content-type"] == one["content_type"]
            assert answer.headers["content-disposition"] == f'attachment; filename="{one["name"]}"'
            assert int(answer.headers["content-length"]) == len(answer.content) == one["size_bytes"]
            assert hashlib.sha256(answer.content).hexdigest() == one["sha256"]


SPECIFIED: Final = st.one_of(
    st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)),
    st.tuples(st.integers(0, 20_000), st.none()),
    st.tuples(st.none(), st.integers(0, 20_000)),
)
"""The first and the last position of a range; without a first one, the last is the number of bytes at the end."""
CONTENTS: Final = [f"/artifacts/art_sample_failed_000{number}/content" for number in (3, 4, 5, 6)]
"""A trace, a screenshot, a HAR and a JUnit file."""


SAMPLES: Final = Zof(journal=10)
"""An emulator that has these files, which the tests only read."""


@given(path=st.sampled_from(CONTENTS), specified=SPECIFIED)
def test_a_range_is_a_part_of_the_file(path: str, specified: tuple[int | None, int | None]) -> None:
    """One range is 206 with its bytes, 416 if no byte is in it, and ignored if it ends before it begins."""
    zof, (first, last) = SAMPLES, specified
    whole = zof.get(path)
    size = len(whole.content)
    start, stop = (max(0, size - (last or 0)), size) if first is None else (first, size if last is None else last + 1)
    header = ("range", f"bytes={'' if first is None else first}-{'' if last is None else last}")
    answer = zof.send("GET", f"/v1{path}", headers=[header])
    assert whole.headers["accept-ranges"] == "bytes"
    if first is not None and last is not None and last < first:
        assert (answer.status, answer.content) == (200, whole.content)
    elif start >= size:
        assert answer.error == (416, "range_not_satisfiable", "Range")
        assert answer.headers["content-range"] == f"bytes */{size}"
    else:
        stop = min(stop, size)
        assert (answer.status, answer.content) == (206, whole.content[start:stop])
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-length"] == str(stop - start)
        assert answer.headers["content-type"] == whole.headers["content-type"]
        assert answer.headers["content-disposition"] == whole.headers["content-disposition"]
    shown = zof.control("/journal").json["data"][-1]["response"]
    assert (shown["status"], shown["size"]) == (answer.status, len(answer.content))
    assert shown["sha256"] == hashlib.sha256(answer.content).hexdigest()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", [("range", "bytes=0-1,4-5")]),
        ("GET", [("range", "lines=0-1")]),
        ("GET", [("range", "bytes=-")]),
        ("GET", [("range", "bytes=a-b")]),
        ("GET", [("range", "bytes 0-1")]),
        ("GET", [("range", "")]),
        ("GET", [("range", "bytes=0-1"), ("range", "bytes=0-1")]),
        ("GET", [("range", "bytes=0-1"), ("if-range", '"x"')]),
        ("HEAD", [("range", "bytes=0-1")]),
        ("HEAD", [("range", "bytes=1000000-")]),
    ],
)
def test_any_other_range_is_ignored(method: str, headers: list[tuple[str, str]]) -> None:
    """Several ranges, another unit, a malformed or conditional range, and a range of HEAD get the whole file."""
    zof = SAMPLES
    whole = zof.get(CONTENTS[1])
    answer = zof.send(method, f"/v1{CONTENTS[1]}", headers=headers)
    assert (answer.status, answer.content) == (200, whole.content if method == "GET" else b"")
    assert answer.headers["content-length"] == str(len(whole.content))
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(("value", "status"), [("bytes=1-{}", 206), ("bytes={}-", 416), ("bytes=-{}", 206)])
def test_a_position_may_have_any_number_of_digits(value: str, status: int) -> None:
    """A position of 5,000 digits is beyond the end, and as many last bytes are the whole file."""
    headers = [("range", value.format("9" * 5_000))]
    assert SAMPLES.send("GET", f"/v1{CONTENTS[1]}", headers=headers).status == status


def test_a_range_of_other_answers_is_ignored() -> None:
    """Only the content of an artifact has ranges, and an artifact that does not exist is 404 all the same."""
    zof = reset_emulator()
    headers = [("range", "bytes=1000000-")]
    assert zof.send("GET", "/v1/runs", headers=headers).status == 200
    assert zof.send("GET", "/v1/artifacts/art_none/content", headers=headers).error == GONE


def test_media_types() -> None:
    """Each artifact has the name and the media type of its kind."""
    zof = reset_emulator()
    run = zof.complete_run("tc_pay_fail")["id"]
    found = {(one["name"], one["type"], one["content_type"]) for one in zof.walk(f"/runs/{run}/artifacts")}
    assert found == {
        ("tc_pay_fail.trace.zip", "trace", "application/zip"),
        ("tc_pay_fail.png", "screenshot", "image/png"),
        (f"{run}.har", "export", "application/json"),
        (f"{run}.junit.xml", "export", "application/xml"),
    }


@given(history=histories, more=histories)
def test_unchanging(history: list[Step], more: list[Step]) -> None:
    """An artifact does not change, except that it gets a result ID when the run ends."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    before = {run: zof.walk(f"/runs/{run}/artifacts") for run in runs}
    contents = {one["id"]: zof.follow(one["url"]).content for kept in before.values() for one in kept[:1]}
    for step in more:
        step.take(zof, runs)
    for run, kept in before.items():
        later = {one["id"]: one for one in zof.walk(f"/runs/{run}/artifacts")}
        for one in kept:
            assert later[one["id"]] | {"result_id": one["result_id"]} == one
            assert contents.get(one["id"]) in {None, zof.follow(one["url"]).content}


@pytest.fixture(scope="module")
def run_files() -> tuple[Zof, dict[str, bytes]]:
    """A run with a case of every outcome, and the bytes of its artifacts by name."""
    zof = Zof()
    run = zof.complete_run("tc_login", "tc_pay_fail", "tc_load_error", "tc_form_fail")
    kept = zof.walk(f"/runs/{run['id']}/artifacts")
    assert len(kept) == 9
    return zof, {one["name"].replace(run["id"], "run"): zof.follow(one["url"]).content for one in kept}


@pytest.mark.parametrize("case", ["tc_pay_fail", "tc_load_error"])
def test_screenshot(run_files: tuple[Zof, dict[str, bytes]], case: str) -> None:
    """A screenshot is a PNG with valid chunks and the number of pixels in its header."""
    content = run_files[1][f"{case}.png"]
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds, packed, head = 8, [], b"", b""
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack(">I", content[at + 8 + size : at + 12 + size])[0]
        kinds.append(kind)
        packed += body if kind == b"IDAT" else b""
        head = body if kind == b"IHDR" else head
        at += size + 12
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    assert len(zlib.decompress(packed)) == height * (1 + (width * depth * channels + 7) // 8) > 0


@pytest.mark.parametrize("case", ["tc_login", "tc_pay_fail", "tc_load_error"])
def test_trace(run_files: tuple[Zof, dict[str, bytes]], case: str) -> None:
    """A trace is a ZIP with valid members, whose events belong to the case."""
    package = ZipFile(BytesIO(run_files[1][f"{case}.trace.zip"]))
    assert package.testzip() is None
    about = json.loads(package.read("metadata.json"))
    assert about["test_case_id"] == case
    assert json.loads(package.read("trace.json"))["traceEvents"]


def test_har(run_files: tuple[Zof, dict[str, bytes]]) -> None:
    """The traffic of a run is a HAR 1.2, with entries of each case that ran."""
    log = json.loads(run_files[1]["run.har"])["log"]
    assert log["version"] == "1.2"
    assert {"creator", "entries"} <= log.keys()
    urls = [entry["request"]["url"] for entry in log["entries"]]
    assert all(any(case in url for url in urls) for case in ("tc_login", "tc_pay_fail", "tc_load_error"))


def test_junit(run_files: tuple[Zof, dict[str, bytes]]) -> None:
    """The JUnit file of a run has the counts of the run."""
    root = ET.fromstring(run_files[1]["run.junit.xml"])  # noqa: S314  our own bytes
    (suite,) = root.iter("testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["4", "2", "1"]
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == ["tc_login", "tc_pay_fail", "tc_load_error", "tc_form_fail"]


@given(cases=case_lists, begin=st.integers(0, 5_000))
def test_times(cases: list[str], begin: int) -> None:
    """An artifact is created when its case ends, or its run, and expires 90 days later."""
    zof = reset_emulator()
    zof.advance(begin)
    run = zof.complete_run(*cases)
    ends = {line["test_case_id"]: read_instant(line) for line in zof.walk(f"/runs/{run['id']}/logs")}
    for one in zof.walk(f"/runs/{run['id']}/artifacts"):
        (end,) = [ends[case] for case in (*cases, None) if one["name"].startswith(f"{case or run['id']}.")]
        assert (one["created_at"], one["expires_at"]) == (format_instant(end), format_instant(end + NINETY_DAYS))


def kept_names(zof: Zof, run: Any) -> list[str]:  # noqa: ANN401  a JSON value
    """The names of a run's artifacts that are still listed."""
    return [one["name"] for one in zof.walk(f"/runs/{run['id']}/artifacts")]


def test_expiry() -> None:
    """An artifact is listed and found for 90 days to the millisecond, and not afterwards."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a", "tc_pay_fail")
    result = run["case_outcomes"][0]["result_id"]
    (trace,) = zof.walk(f"/results/{result}/artifacts")
    elapsed = run["case_outcomes"][1]["duration_ms"]
    zof.advance(NINETY_DAYS - elapsed - 1)
    assert zof.walk(f"/results/{result}/artifacts") == [trace]
    assert zof.follow(trace["url"]).status == 200
    zof.advance(1)
    assert zof.walk(f"/results/{result}/artifacts") == []
    assert trace["name"] not in kept_names(zof, run)
    assert zof.follow(trace["url"]).error == GONE
    zof.advance(elapsed - 1)
    assert len(kept_names(zof, run)) == 4
    zof.advance(1)
    assert kept_names(zof, run) == []
    assert zof.get(f"/results/{result}").status == 200, "the result stays"


def test_walk_over_expiry() -> None:
    """Paging continues at its position when earlier or later items expire."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a", "tc_import_slow", "tc_b")
    zof.advance(NINETY_DAYS - run["duration_ms"] // 2)
    path = f"/runs/{run['id']}/artifacts"
    first = zof.get(path, limit=2).json
    assert (len(first["data"]), first["has_more"]) == (2, True)
    zof.advance(run["duration_ms"])
    rest = zof.get(path, starting_after=first["next_cursor"]).json
    assert rest == {"data": [], "has_more": False, "next_cursor": None}


def test_end_of_time() -> None:
    """Artifacts can be listed until the last day of the clock."""
    zof = reset_emulator()
    assert zof.control("/clock/advance", {"to": "9999-12-01T00:00:00Z"}).status == 200
    run = zof.complete_run("tc_a")
    assert zof.get(f"/runs/{run['id']}/artifacts").status == 200


def test_who() -> None:
    """Artifacts can be read with any key of the organization, and not without one or with another's."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a")
    result = run["case_outcomes"][0]["result_id"]
    for path in (f"/runs/{run['id']}/artifacts", f"/results/{result}/artifacts"):
        url = zof.get(path).json["data"][0]["url"].removeprefix("http://127.0.0.1:9630/v1")
        for target in (path, url):
            assert zof.get(target, key=VIEWER).status == 200
            assert zof.get(target, key=OTHER).error == GONE
            assert zof.get(target, key=None).error == (401, "unauthorized", None)


def test_unknown() -> None:
    """An artifact, run or result that does not exist is 404, whatever the form of the ID."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a")["id"]
    (trace,) = [one for one in zof.walk(f"/runs/{run}/artifacts") if one["type"] == "trace"]
    never = trace["id"][:-4] + "0002"
    for name in (never, trace["id"] + "0", trace["id"][:-1], trace["id"].upper(), "art_", "x", run):
        assert zof.get(f"/artifacts/{name}/content").error == GONE
    assert zof.get("/runs/run_none/artifacts").error == GONE
    assert zof.get("/results/res_none/artifacts").error == GONE


def test_before_the_run_s_end() -> None:
    """A case's artifacts can be read while the run is running; the result's list exists once the result does."""
    zof = reset_emulator()
    run = zof.start("tc_a", "tc_import_slow")["id"]
    zof.control(f"/runs/{run}/advance", {"to": "case"})
    (trace,) = zof.walk(f"/runs/{run}/artifacts")
    assert (trace["type"], trace["result_id"]) == ("trace", None)
    assert zof.follow(trace["url"]).status == 200
    zof.control(f"/runs/{run}/advance", {"to": "end"})
    result = zof.run(run)["case_outcomes"][0]["result_id"]
    assert zof.walk(f"/results/{result}/artifacts") == [{**trace, "result_id": result}]
