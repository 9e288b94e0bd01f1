"""SARIF 2.1.0, for code-scanning services: one result per finding, located in `openapi.yaml`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.lines import find_line
from zof_contracts.report.escape import dump_json

if TYPE_CHECKING:
    from zof_contracts.report.document import Report

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report) -> str:
    """Render the report as SARIF."""
    rules = [rule for rule in report["rules"] if rule["verdict"] != "not exercised" or rule["findings"]]
    index = {rule["name"]: number for number, rule in enumerate(rules)}
    tool, has_baseline = report["tool"], report["summary"]["baseline"]
    run = {
        "tool": {
            "driver": {
                "name": tool["name"],
                "version": tool["version"],
                "informationUri": "https://zof.ai/docs",
                "rules": [_build_rule(rule) for rule in rules],
            }
        },
        "invocations": [_build_invocation(report)],
        "results": [
            _build_result(one, rules[index[one["rule"]]], index, has_baseline=has_baseline)
            for one in report["findings"]
        ],
        "properties": {"target": report["target"], "summary": report["summary"]},
    }
    return dump_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _build_rule(rule: dict[str, Any]) -> dict[str, Any]:
    pages = [source["url"] for source in rule["sources"] if "url" in source]
    return {
        "id": rule["name"],
        "shortDescription": {"text": rule["sentence"]},
        "fullDescription": {"text": f"{rule['sentence']} Checked by: {rule['how']}"},
        "help": {"text": rule["mend"]},
        **({"helpUri": pages[0]} if pages else {}),
        "defaultConfiguration": {"level": "note" if rule["basis"] == "assumed" else "error"},
        "properties": {"basis": rule["basis"], "section": rule["section"], "verdict": rule["verdict"]},
    }


def _build_invocation(report: Report) -> dict[str, Any]:
    summary = report["summary"]
    began = datetime.fromisoformat(summary["began"])
    ended = began + timedelta(seconds=summary["seconds"])
    return {
        "executionSuccessful": summary["outcome"] != "nothing was tested" and not summary["interrupted"],
        "startTimeUtc": summary["began"],
        "endTimeUtc": ended.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _build_result(
    finding: dict[str, Any], rule: dict[str, Any], index: dict[str, int], *, has_baseline: bool
) -> dict[str, Any]:
    unless = f" Unless {finding['unless']}." if finding["unless"] else ""
    text = f"{rule['sentence']} Expected {finding['expected']}; got {finding['got']}.{unless}\n\n{finding['script']}"
    level = "error" if finding["verdict"] == "violated" and not finding["flaky"] else "note"
    return {
        "ruleId": finding["rule"],
        "ruleIndex": index[finding["rule"]],
        "level": level,
        "kind": "fail",
        "message": {"text": text},
        "locations": [_build_location(rule["at"])],
        "partialFingerprints": {"finding/v1": finding["key"]},
        "occurrenceCount": sum(one["times"] for one in (finding, *finding["also"])),
        **({"baselineState": "unchanged" if finding["known"] else "new"} if has_baseline else {}),
        "properties": {name: finding[name] for name in ("request_id", "seed", "flaky", "operation")},
    }


def _build_location(at: str) -> dict[str, Any]:
    pointer = load_contract().pointer(at)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": "openapi.yaml"},
            "region": {"startLine": find_line(pointer)},
        },
        "logicalLocations": [{"fullyQualifiedName": pointer, "kind": "member"}],
    }
