"""Artifacts of a run that has ended: their lists, their bytes, and whether the two agree (section 8)."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.etree import ElementTree as ET

from zof_contracts.checks.claims import check_artifact_lists, describe, has_ended, list_outcomes
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import Probe, ProbeContext, Unsettled
from zof_contracts.probes.presence import judge_presence

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_RETENTION: Final = timedelta(days=90)
_DOWNLOADS: Final = 4
_EXPORTS: Final = 2
"""A HAR and a JUnit file."""
_RESULTS: Final = 2
"""How many results have their lists read, those that did not pass first."""
_PARTIAL_CONTENT: Final = 206
_NOT_SATISFIABLE: Final = 416
_SMALLEST_WITH_RANGES: Final = 8
"""The bytes of a file from which its parts differ from the whole."""
_XML: Final = frozenset({"application/xml", "text/xml"})
_COUNTS: Final = {"failures": ("failed", "failure"), "errors": ("error", "error"), "skipped": ("canceled", "skipped")}
"""The counts of a JUnit file: the status of the cases that each counts, and the element in their test cases."""
_LARGEST_XML: Final = 1 << 22
"""The bytes up to which XML is parsed."""


class _Range(NamedTuple):
    """A range to request, and the answer that is expected."""

    value: str
    """The value of the header Range."""
    status: int
    position: str
    """The expected Content-Range."""
    part: bytes | None = None
    """The expected bytes; None for a refusal."""


def read_artifacts(context: ProbeContext) -> None:
    """The lists of a run and of its results, and the bytes of one artifact of each kind."""
    run = context.find_ended_run()
    run_id = run.response.fields["id"]
    listed = context.client.get(f"/runs/{run_id}/artifacts", limit=100)
    judge_presence(context, "artifacts.listed", listed)
    if context.is_conclusive("artifacts.listed", listed, 200):
        context.check(
            "artifacts.listed", listed.response.ok, expected="2xx", got=describe(listed.response), trace=listed
        )
    results = context.results(run_id)
    _read_lists_of_results(context, results, listed)
    if not context.require_ok(listed).response.items:
        raise Unsettled("the run left no artifacts")
    _judge_kinds(context, run, results, listed)
    _judge_retention(context, listed)
    _download(context, run, listed)


def _read_lists_of_results(context: ProbeContext, results: list[JsonObject], listed: Exchange) -> None:
    own: list[JsonObject] = []
    trace = [listed]
    chosen = sorted(results, key=lambda each: each.get("status") == "passed")[:_RESULTS]
    for result in chosen:
        answer = context.client.get(f"/results/{result.get('id')}/artifacts", limit=100)
        got = describe(answer.response)
        context.check("artifacts.listed", answer.response.ok, expected="2xx", got=got, trace=answer)
        items = answer.response.items
        own += items
        trace.append(answer)
        if any(each.get("result_id") != result.get("id") for each in items):
            context.record(check_artifact_lists({result.get("id")}, items, listed.response.items), trace)
            return
    is_whole = listed.response.fields.get("has_more") is False
    if results and is_whole and all(answer.response.ok for answer in trace):
        claim = check_artifact_lists({result.get("id") for result in chosen}, own, listed.response.items)
        context.record(claim, trace)


def _judge_kinds(context: ProbeContext, run: Exchange, results: list[JsonObject], listed: Exchange) -> None:
    if not has_ended(run.response.fields) or listed.response.fields.get("has_more") is not False:
        return
    kinds = Counter((each.get("result_id"), each.get("type")) for each in listed.response.items)
    differ: list[str] = []
    for result in results:
        status, name = result.get("status"), result.get("id")
        wanted = {"trace": status in {"passed", "failed", "error"}, "screenshot": status in {"failed", "error"}}
        for kind, is_wanted in wanted.items():
            if kinds[name, kind] != is_wanted:
                differ.append(f"{kinds[name, kind]} of type {kind} for {name}, which {status}")
    if kinds[None, "export"] != _EXPORTS:
        differ.append(f"{kinds[None, 'export']} of type export for the run")
    expected = "a trace for each case, a screenshot for each failure, two exports for the run"
    got = ", ".join(differ)[:160]
    context.check("artifacts.when", not differ, expected=expected, got=got, trace=[run, listed])


def _judge_retention(context: ProbeContext, listed: Exchange) -> None:
    for artifact in listed.response.items:
        try:
            created, expires = (
                datetime.fromisoformat(str(artifact.get(name))) for name in ("created_at", "expires_at")
            )
            days = (expires - created) / timedelta(days=1)
        except (ValueError, TypeError):
            continue
        right = expires - created == _RETENTION
        context.check("artifacts.retention", right, expected="90 days", got=f"{days:g} days", trace=listed)


def _download(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    kinds = {str(each.get("content_type")): each for each in listed.response.items}
    for index, (kind, artifact) in enumerate(list(kinds.items())[:_DOWNLOADS]):
        url = artifact.get("url")
        if not isinstance(url, str):
            continue
        if not url.startswith(context.target.base + "/"):
            context.ledger.record_skip("artifacts.download", "the bytes are on another host, which is not requested")
            continue
        answer = context.client.follow(url)
        trace = [listed, answer]
        got = describe(answer.response)
        if not context.check("artifacts.download", answer.response.ok, expected="2xx", got=got, trace=trace):
            continue
        _judge_download(context, artifact, answer, trace)
        is_genuine = _is_genuine(kind, answer.response.body)
        if is_genuine is not None:
            expected, got = f"a valid file of type {kind}", f"{len(answer.response.body)} bytes that are none"
            context.check("artifacts.content", is_genuine, expected=expected, got=got, trace=trace, place=kind)
        report = _parse_junit(answer.response.body) if kind in _XML else None
        if report is not None and has_ended(run.response.fields):
            _judge_report(context, run, report, [run, *trace])
        if index == 0:
            _judge_ranges(context, url, answer)
            without_key = context.client.follow(url, key="")
            context.expect_unauthorized("artifacts.download.key", without_key, "a download without a key")


def _judge_report(context: ProbeContext, run: Exchange, report: ET.Element, trace: list[Exchange]) -> None:
    """Compare a JUnit file with the cases of its run: how many there are of each status, in elements and in counts."""
    cases = list_outcomes(run.response.fields) or context.results(run.response.fields["id"])
    if not cases:
        context.ledger.record_skip("artifacts.junit", "neither the run nor its results show how its cases ended")
        return
    statuses = [str(each.get("status")) for each in cases]
    wanted = {"tests": len(statuses)} | {name: statuses.count(status) for name, (status, _) in _COUNTS.items()}
    elements = {"tests": len(report.findall(".//testcase"))}
    elements |= {name: len(report.findall(f".//testcase/{element}")) for name, (_, element) in _COUNTS.items()}
    suites = [report] if report.tag == "testsuite" else report.findall("testsuite")
    stated = {name: sum(int(suite.get(name, "0")) for suite in suites) for name in wanted if suites[0].get(name)}
    expected = _show_counts(wanted)
    got = _show_counts(elements) if elements != wanted else f"attributes {_show_counts(stated)}"
    holds = elements == wanted == wanted | stated
    context.check("artifacts.junit", holds, expected=expected, got=got, trace=trace)


def _show_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _judge_download(context: ProbeContext, artifact: JsonObject, answer: Exchange, trace: list[Exchange]) -> None:
    body, check = answer.response.body, context.check
    size, digest, kind = (artifact.get(name) for name in ("size_bytes", "sha256", "content_type"))
    expected, got = f"{quote_value(size)} bytes, as size_bytes states", f"{len(body)} bytes"
    check("artifacts.size", size == len(body), expected=expected, got=got, trace=trace)
    actual = hashlib.sha256(body).hexdigest()
    check("artifacts.hash", digest == actual, expected=f"sha256 {quote_value(digest)}", got=actual, trace=trace)
    sent = answer.response.header("content-type") or ""
    is_kind = sent.partition(";")[0].strip() == str(kind).partition(";")[0].strip()
    got = f"Content-Type {quote_value(sent)}"
    check("artifacts.type", is_kind, expected=f"Content-Type {kind}", got=got, trace=trace)
    disposition = answer.response.header("content-disposition")
    is_attached = (disposition or "").startswith("attachment") and "filename" in (disposition or "")
    got = f"Content-Disposition {quote_value(disposition)}"
    check("artifacts.attachment", is_attached, expected="an attachment with a filename", got=got, trace=trace)


def _judge_ranges(context: ProbeContext, url: str, whole: Exchange) -> None:
    """Request a part from the middle of a file, its last bytes, and a range beyond its end."""
    body = whole.response.body
    size = len(body)
    if size < _SMALLEST_WITH_RANGES:
        context.ledger.record_skip("artifacts.range", f"the file has {size} bytes, which is too few")
        return
    middle = size // 2
    for value, start, stop in ((f"bytes=1-{middle}", 1, middle + 1), ("bytes=-2", size - 2, size)):
        position = f"bytes {start}-{stop - 1}/{size}"
        _judge_range(context, url, whole, _Range(value, _PARTIAL_CONTENT, position, body[start:stop]))
    _judge_range(context, url, whole, _Range(f"bytes={size}-", _NOT_SATISFIABLE, f"bytes */{size}"))


def _judge_range(context: ProbeContext, url: str, whole: Exchange, wanted: _Range) -> None:
    """Request a range of a file, and judge the answer; `whole` is the download of the whole file."""
    answer = context.client.follow(url, headers=(("Range", wanted.value),))
    if not context.is_conclusive("artifacts.range", answer, wanted.status):
        return
    response, part = answer.response, wanted.part
    sent = response.header("content-range")
    is_part = part is None or response.body == part
    bytes_sent = f"{len(response.body)} bytes, {'' if is_part else 'not '}those of the range"
    sent_position = "no Content-Range" if sent is None else f"Content-Range {quote_value(sent)}"
    got = f"{describe(response)}, {sent_position}" + ("" if part is None else f", {bytes_sent}")
    expected = f"{wanted.status} with Content-Range {wanted.position}" + (
        "" if part is None else f" and these {len(part)} bytes"
    )
    holds = response.status == wanted.status and sent == wanted.position and is_part
    context.check("artifacts.range", holds, expected=expected, got=got, trace=[whole, answer], place=wanted.value[:7])


def _is_genuine(kind: str, content: bytes) -> bool | None:
    """Whether bytes are a file of their media type; None for a type that is not known."""
    match kind:
        case "image/png":
            return content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR" and b"IEND" in content[-12:]
        case "application/zip":
            return _is_zip(content)
        case "application/json":
            return _is_har(content)
        case _ if kind in _XML:
            return _parse_junit(content) is not None
    return None


def _is_zip(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None and bool(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        return False


def _is_har(content: bytes) -> bool:
    try:
        log = json.loads(content)["log"]
        return log["version"] == "1.2" and isinstance(log["entries"], list)
    except (ValueError, KeyError, TypeError):
        return False


def _parse_junit(content: bytes) -> ET.Element | None:
    """The root of a JUnit file; None if it is none."""
    if len(content) > _LARGEST_XML or b"<!ENTITY" in content:
        return None
    try:
        root = ET.fromstring(content)  # noqa: S314  bounded above, and without entities of its own
    except ET.ParseError:
        return None
    is_report = root.tag in {"testsuites", "testsuite"} and root.find(".//testcase") is not None
    counts = (suite.get(name, "0") for suite in root.iter("testsuite") for name in ("tests", *_COUNTS))
    return root if is_report and all(count.isascii() and count.isdigit() for count in counts) else None


PROBES: Final = (
    Probe(
        "artifacts of a run",
        read_artifacts,
        (
            "artifacts.listed",
            "artifacts.run-holds-all",
            "artifacts.when",
            "artifacts.retention",
            "artifacts.download",
            "artifacts.download.key",
            "artifacts.size",
            "artifacts.hash",
            "artifacts.type",
            "artifacts.attachment",
            "artifacts.range",
            "artifacts.content",
            "artifacts.junit",
        ),
    ),
)
"""Probes that read artifacts."""
