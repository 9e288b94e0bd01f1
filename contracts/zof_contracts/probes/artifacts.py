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

from zof_contracts.probes.context import ProbeContext, Unsettled, describe, has_ended

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_KEPT: Final = timedelta(days=90)
_DOWNLOADS: Final = 4
_RESULTS: Final = 2
"""How many results' own lists are read, those that did not pass first."""
_LARGEST_XML: Final = 1 << 22


def artifacts(context: ProbeContext) -> None:
    """The lists of a run and of its results, and the bytes of one artifact of each kind."""
    run = context.find_ended_run()
    run_id = run.response.fields["id"]
    listed = context.client.get(f"/runs/{run_id}/artifacts", limit=100)
    found = context.is_conclusive("artifacts.listed", listed, 200)
    if found:
        context.check("artifacts.listed", listed.response.ok, expected="2xx", got=describe(listed), trace=listed)
    results = context.results(run_id)
    _of_results(context, results, listed)
    if not context.require_ok(listed).response.items:
        raise Unsettled("the run left no artifacts")
    _when(context, run, results, listed)
    _retention(context, listed)
    _bytes(context, listed)


def _of_results(context: ProbeContext, results: list[JsonObject], listed: Exchange) -> None:
    own: list[str] = []
    trace = [listed]
    chosen = sorted(results, key=lambda each: each.get("status") == "passed")[:_RESULTS]
    for result in chosen:
        answer = context.client.get(f"/results/{result.get('id')}/artifacts", limit=100)
        context.check("artifacts.listed", answer.response.ok, expected="2xx", got=describe(answer), trace=answer)
        foreign = [each for each in answer.response.items if each.get("result_id") != result.get("id")]
        own += [str(each.get("id")) for each in answer.response.items]
        trace.append(answer)
        if foreign:
            rule = "artifacts.run-holds-all"
            context.ledger.record_violation(rule, expected="the result's own artifacts", got="others", trace=trace)
            return
    in_run = [str(each.get("id")) for each in listed.response.items]
    mine = {str(result.get("id")) for result in chosen}
    wanted = {str(each.get("id")) for each in listed.response.items if str(each.get("result_id")) in mine}
    right = set(own) == wanted and set(own) <= set(in_run)
    if results and listed.response.fields.get("has_more") is False:
        expected = "the artifacts of the results within the run's"
        context.check("artifacts.run-holds-all", right, expected=expected, got="otherwise", trace=trace)


def _when(context: ProbeContext, run: Exchange, results: list[JsonObject], listed: Exchange) -> None:
    if not has_ended(run.response.fields) or listed.response.fields.get("has_more") is not False:
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
    context.check("artifacts.when", not wrong, expected=expected, got=got, trace=[run, listed])


def _retention(context: ProbeContext, listed: Exchange) -> None:
    for artifact in listed.response.items:
        try:
            created, expires = (
                datetime.fromisoformat(str(artifact.get(name))) for name in ("created_at", "expires_at")
            )
            days = (expires - created) / timedelta(days=1)
        except (ValueError, TypeError):
            continue
        right = expires - created == _KEPT
        context.check("artifacts.retention", right, expected="90 days", got=f"{days:g} days", trace=listed)


def _bytes(context: ProbeContext, listed: Exchange) -> None:
    kinds = {str(each.get("content_type")): each for each in listed.response.items}
    for place, (kind, artifact) in enumerate(list(kinds.items())[:_DOWNLOADS]):
        url = artifact.get("url")
        if not isinstance(url, str):
            continue
        if not url.startswith(context.target.base + "/"):
            context.ledger.record_skip("artifacts.download", "the bytes are on another host, which is not asked")
            continue
        answer = context.client.follow(url)
        trace = [listed, answer]
        if not context.check(
            "artifacts.download", answer.response.ok, expected="2xx", got=describe(answer), trace=trace
        ):
            continue
        _said(context, artifact, answer, trace)
        real = _real(kind, answer.response.body)
        if real is not None:
            context.check("artifacts.content", real, expected=f"a real {kind}", got="none", trace=trace, place=kind)
        if place == 0:
            context.expect_unauthorized(
                "artifacts.download.key", context.client.follow(url, key=""), "a download without a key"
            )


def _said(context: ProbeContext, artifact: JsonObject, answer: Exchange, trace: list[Exchange]) -> None:
    body = answer.response.body
    size, digest, kind = (artifact.get(name) for name in ("size_bytes", "sha256", "content_type"))
    context.check("artifacts.size", size == len(body), expected="as many bytes as it says", got="others", trace=trace)
    same = digest == hashlib.sha256(body).hexdigest()
    context.check("artifacts.hash", same, expected="the SHA-256 that it says", got="another", trace=trace)
    sent = answer.response.header("content-type") or ""
    right = sent.partition(";")[0].strip() == str(kind).partition(";")[0].strip()
    context.check("artifacts.type", right, expected="the content_type that it says", got=sent, trace=trace)
    disposition = answer.response.header("content-disposition") or ""
    attached = disposition.startswith("attachment") and "filename" in disposition
    got = "no such header" if not disposition else "otherwise"
    context.check("artifacts.attachment", attached, expected="an attachment with a name", got=got, trace=trace)


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
