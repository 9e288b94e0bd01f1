"""The journal's filters: what does not exist is refused, headers match, and binary bodies are marked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from zof_emulator.cli.main import main

from tests.zof import STAGING, Zof

if TYPE_CHECKING:
    from pathlib import Path

START = {**STAGING, "test_case_ids": ["tc_a"]}


@pytest.mark.parametrize(
    ("asked", "param", "nearest"),
    [
        ({"operation": "startRuns"}, "operation", "startRun"),
        ({"operation": "zzz"}, "operation", None),
        ({"operation": "startRun", "body": {"projct_id": "p"}}, "body.projct_id", "project_id"),
        ({"operation": "cancelRun", "body": {"project_id": "p"}}, "body.project_id", None),
        ({"body": {"test_cases": []}, "at_most": 0}, "body.test_cases", "test_case_ids"),
        ({"refused": "rate_limit"}, "refused", "rate_limited"),
    ],
)
def test_names_that_do_not_exist(asked: dict[str, Any], param: str, nearest: str | None) -> None:
    """A filter that names an operation, a reason or a field that does not exist is refused with the nearest name."""
    answers = [Zof().tell("POST", "/journal/verify", asked)]
    if "body" not in asked:
        ((name, value),) = asked.items()
        answers.append(Zof().tell("GET", f"/journal?{name}={value}"))
    for answer in answers:
        assert answer.error == (400, "invalid_request", param)
        message = answer.json["error"]["message"]
        assert message.endswith(f"; the nearest is {nearest}") == (nearest is not None)


@pytest.mark.parametrize("name", ["startRun", "listRuns", "advanceClock", "createWebhook"])
def test_names_that_exist(name: str) -> None:
    """Every operation that the journal records can be asked for."""
    assert Zof().tell("GET", f"/journal?operation={name}").status == 200


def test_headers() -> None:
    """A filter by header finds the requests that had it; a secret is found by its value."""
    zof = Zof()
    zof.post("/runs", START, idempotency_key="once")
    zof.get("/runs")
    zof.send("GET", "/v1/runs", headers=[("x-auth-token", "hunter2-hunter2")])
    for headers, count in (
        ({"Idempotency-Key": "once"}, 1),
        ({"idempotency-key": "twice"}, 0),
        ({"X-Auth-Token": "hunter2-hunter2"}, 1),
        ({"X-Auth-Token": "hunter3-hunter3"}, 0),
        ({"Authorization": "Bearer zof_test_admin", "host": "127.0.0.1:9630"}, 3),
    ):
        answer = zof.tell("POST", "/journal/verify", {"headers": headers, "exactly": count})
        assert answer.status == 200, answer.content
    found = zof.tell("GET", "/journal?header=Idempotency-Key:%20once").json["data"]
    assert [one["operation"] for one in found] == ["startRun"]
    assert zof.tell("GET", "/journal?header=once").error == (400, "invalid_request", "header")


def test_a_miss_is_a_conflict() -> None:
    """A verification that fails is answered with 409, so that `curl -f` fails, and says what came nearest."""
    zof = Zof()
    zof.post("/runs", START)
    assert zof.tell("POST", "/journal/verify", {"operation": "startRun", "exactly": 1}).status == 200
    answer = zof.tell("POST", "/journal/verify", {"operation": "startRun", "exactly": 2})
    assert answer.error == (409, "conflict", None)
    assert (answer.json["verified"], answer.json["count"]) == (False, 1)


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 200), (b"{}", 200), (b'{"seed": 5}', 400), (b"[]", 400), (b"{", 400)]
)
def test_reset_takes_no_settings(body: bytes, status: int) -> None:
    """A reset with a body that it does not know is refused, and changes nothing."""
    zof = Zof()
    zof.start()
    before = len(zof.world.runs)
    headers = [("content-type", "application/json")]
    assert zof.send("POST", "/_emulator/reset", key=None, headers=headers, body=body).status == status
    assert (len(zof.world.runs) == before) == (status != 200)


def test_an_empty_journal_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay of a journal without an exchange tested nothing, and ends with exit status 2."""
    file = tmp_path / "empty.ndjson"
    file.write_bytes(Zof().tell("GET", "/journal.ndjson").content)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(file)])
    assert ended.value.code == 2
    assert "holds no exchange" in capsys.readouterr().err


def test_binary_bodies_in_the_har() -> None:
    """A body that is no text is marked as base 64 in the HAR, that of a request too."""
    zof = Zof()
    zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=b"\xff\xfe")
    zof.post("/runs", START)
    binary, text = (
        one["request"]["postData"] for one in json.loads(zof.tell("GET", "/journal.har").content)["log"]["entries"]
    )
    assert (binary["text"], binary["_encoding"], binary["comment"]) == ("//4=", "base64", "base64")
    assert "_encoding" not in text
    assert "comment" not in text


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/results", "/_emulator/journal"])
def test_a_plus_in_a_timestamp(path: str) -> None:
    """A timestamp whose + became a space is refused with the hint to write %2B, which is taken."""
    name = "after" if path.endswith("journal") else "created_after"
    zof = Zof()
    answer = zof.send("GET", f"{path}?{name}=2026-01-01T00:00:00+02:00")
    assert answer.error == (400, "invalid_request", name)
    assert "%2B" in answer.json["error"]["message"]
    assert zof.send("GET", f"{path}?{name}=2026-01-01T00:00:00%2B02:00").status == 200
    assert "%2B" not in zof.send("GET", f"{path}?{name}=today").json["error"]["message"]
