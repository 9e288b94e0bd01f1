"""Artifacts of a run that has ended: lists, bytes, and what they say of each other (section 8)."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from zof_contracts.probes.context import ProbeContext, Unsettled, terminal, told

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_KEPT: Final = timedelta(days=90)
_DOWNLOADS: Final = 4
_RESULTS: Final = 2
"""How many results' own lists are read, those that did not pass first."""
_LARGEST_XML: Final = 1 << 22


def artifacts(bench: ProbeContext) -> None:
    """The lists of a run and of its results, and the bytes of one artifact of each kind."""
    run = bench.ended()
    run_id = run.response.fields["id"]
    listed = bench.client.get(f"/runs/{run_id}/artifacts", limit=100)
    found = bench.judged("artifacts.listed", listed, 200)
    if found:
        bench.check("artifacts.listed", listed.response.ok, expected="2xx", got=told(listed), trace=listed)
    results = bench.results(run_id)
    _of_results(bench, results, listed)
    if not bench.must(listed).response.items:
        raise Unsettled("the run left no artifacts")
    _when(bench, run, results, listed)
    _retention(bench, listed)
    _bytes(bench, listed)


def _of_results(bench: ProbeContext, results: list[JsonObject], listed: Exchange) -> None:
    own: list[str] = []
    trace = [listed]
    chosen = sorted(results, key=lambda each: each.get("status") == "passed")[:_RESULTS]
    for result in chosen:
        answer = bench.client.get(f"/results/{result.get('id')}/artifacts", limit=100)
        bench.check("artifacts.listed", answer.response.ok, expected="2xx", got=told(answer), trace=answer)
        foreign = [each for each in answer.response.items if each.get("result_id") != result.get("id")]
        own += [str(each.get("id")) for each in answer.response.items]
        trace.append(answer)
        if foreign:
            rule = "artifacts.run-holds-all"
            bench.session.broken(rule, expected="the result's own artifacts", got="others", trace=trace)
            return
    in_run = [str(each.get("id")) for each in listed.response.items]
    mine = {str(result.get("id")) for result in chosen}
    wanted = {str(each.get("id")) for each in listed.response.items if str(each.get("result_id")) in mine}
    right = set(own) == wanted and set(own) <= set(in_run)
    if results and listed.response.fields.get("has_more") is False:
        expected = "the artifacts of the results within the run's"
        bench.check("artifacts.run-holds-all", right, expected=expected, got="otherwise", trace=trace)


def _when(bench: ProbeContext, run: Exchange, results: list[JsonObject], listed: Exchange) -> None:
    if not terminal(run.response.fields) or listed.response.fields.get("has_more") is not False:
        return
    kinds = Counter((each.get("result_id"), each.get("type")) for each in listed.response.items)
    wrong = []
    for result in results:
        ran = result.get("status") in {"passed", "failed", "error"}
        shown = result.get("status") in {"failed", "error"}
        wrong += [] if kinds[result.get("id"), "trace"] == ran else ["trace"]
        wrong += [] if kinds[result.get("id"), "screenshot"] == shown else ["screenshot"]
    wrong += [] if kinds[None, "export"] == 2 else ["export"]  # noqa: PLR2004  a HAR and a JUnit file
    got = f"otherwise: {', '.join(sorted(set(wrong)))}"
    expected = "a trace for a case, a screenshot for a failure, two exports for the run"
    bench.check("artifacts.when", not wrong, expected=expected, got=got, trace=[run, listed])


def _retention(bench: ProbeContext, listed: Exchange) -> None:
    for artifact in listed.response.items:
        try:
            created, expires = (
                datetime.fromisoformat(str(artifact.get(name))) for name in ("created_at", "expires_at")
            )
            days = (expires - created) / timedelta(days=1)
        except (ValueError, TypeError):
            continue
        right = expires - created == _KEPT
        bench.check("artifacts.retention", right, expected="90 days", got=f"{days:g} days", trace=listed)


def _bytes(bench: ProbeContext, listed: Exchange) -> None:
    kinds = {str(each.get("content_type")): each for each in listed.response.items}
    for place, (kind, artifact) in enumerate(list(kinds.items())[:_DOWNLOADS]):
        url = artifact.get("url")
        if not isinstance(url, str):
            continue
        if not url.startswith(bench.target.base + "/"):
            bench.session.skip("artifacts.download", "the bytes are on another host, which is not asked")
            continue
        answer = bench.client.follow(url)
        trace = [listed, answer]
        if not bench.check("artifacts.download", answer.response.ok, expected="2xx", got=told(answer), trace=trace):
            continue
        _said(bench, artifact, answer, trace)
        real = _real(kind, answer.response.body)
        if real is not None:
            bench.check("artifacts.content", real, expected=f"a real {kind}", got="none", trace=trace, place=kind)
        if place == 0:
            bench.unauthorized("artifacts.download.key", bench.client.follow(url, key=""), "a download without a key")


def _said(bench: ProbeContext, artifact: JsonObject, answer: Exchange, trace: list[Exchange]) -> None:
    body = answer.response.body
    size, digest, kind = (artifact.get(name) for name in ("size_bytes", "sha256", "content_type"))
    bench.check("artifacts.size", size == len(body), expected="as many bytes as it says", got="others", trace=trace)
    same = digest == hashlib.sha256(body).hexdigest()
    bench.check("artifacts.hash", same, expected="the SHA-256 that it says", got="another", trace=trace)
    sent = answer.response.header("content-type") or ""
    right = sent.partition(";")[0].strip() == str(kind).partition(";")[0].strip()
    bench.check("artifacts.type", right, expected="the content_type that it says", got=sent, trace=trace)
    disposition = answer.response.header("content-disposition") or ""
    attached = disposition.startswith("attachment") and "filename" in disposition
    got = "no such header" if not disposition else "otherwise"
    bench.check("artifacts.attachment", attached, expected="an attachment with a name", got=got, trace=trace)


def _real(kind: str, content: bytes) -> bool | None:
    """Whether bytes are what their media type says; None when we cannot tell."""
    match kind:
        case "image/png":
            return content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR" and b"IEND" in content[-12:]
        case "application/zip":
            return _is_zip(content)
        case "application/json":
            return _is_har(content)
        case "application/xml" | "text/xml":
            return _is_junit(content)
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


def _is_junit(content: bytes) -> bool:
    if len(content) > _LARGEST_XML or b"<!ENTITY" in content:
        return False
    try:
        root = ET.fromstring(content)  # noqa: S314  bounded above, and without entities of its own
    except ET.ParseError:
        return False
    return root.tag in {"testsuites", "testsuite"} and root.find(".//testcase") is not None
