"""The journal: every exchange of a world, with the reason of refusals and without keys."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate

from tests.http.exchanges import ALL, FILES, JUDGED, LIMIT, OUTSIDE, STRANGERS, SUCCESSES
from tests.http.exchanges import prepare_emulator as every_kind
from tests.http.histories import reset_emulator
from tests.http.stories import REQUESTS, answer_story, stories
from tests.zof import CI, OTHER, Answer, Zof

KIB_64: Final = 65_536


def exchanges(zof: Zof, **query: object) -> list[Any]:
    """All exchanges that match, page by page."""
    found: list[Any] = []
    after = 0
    while True:
        asked = urlencode({**query, "starting_after": after})
        page = zof.tell("GET", f"/journal?{asked}").json
        found += page["data"]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return found
        assert page["next_cursor"] == found[-1]["number"] > after
        after = page["next_cursor"]


def read_newest(zof: Zof) -> Any:  # noqa: ANN401  a JSON value
    """The newest exchange."""
    return exchanges(zof)[-1]


@pytest.mark.parametrize("kind", sorted({*SUCCESSES, *FILES, *JUDGED, *STRANGERS} - {"too large"}))
def test_every_kind_of_exchange(kind: str) -> None:
    """The journal has every exchange with its exact answer and the reason of a refusal."""
    zof = every_kind()
    answer: Answer = ALL[kind](zof)
    one = read_newest(zof)
    response = one["response"]
    headers = [[name.decode(), value.decode()] for name, value in answer.raw_headers]
    assert (response["status"], response["headers"], response["size"]) == (answer.status, headers, len(answer.content))
    assert response["sha256"] == sha256(answer.content).hexdigest()
    content = response["body"].encode() if response["encoding"] == "text" else b64decode(response["body"])
    assert (content, response["truncated"]) == (answer.content, False)
    assert (one["refused"] is not None) == (answer.status >= 400)
    assert (one["operation"] is None) == (kind in {"no path", "no method"})
    assert (one["organization"] is None) == (kind in STRANGERS)
    assert (one["key"] is None) == (kind == "no key")
    assert (one["at"], one["at_ms"]) == ("2026-01-01T00:00:00.000Z", EPOCH)


def test_what_was_asked() -> None:
    """The journal has the method, path, query, headers and body of a request."""
    zof = reset_emulator()
    zof.send("POST", "/v1/results/export?a=1&a=%32&b", headers=[("x-a", "\xe9")], body="{é".encode())
    asked = read_newest(zof)["request"]
    assert (asked["method"], asked["path"]) == ("POST", "/v1/results/export")
    assert asked["target"] == "/v1/results/export?a=1&a=%32&b"
    assert asked["query"] == [["a", "1"], ["a", "2"], ["b", ""]]
    assert ["x-a", "\xe9"] in asked["headers"]
    assert (asked["body"], asked["encoding"], asked["size"]) == ("{é", "text", 3)


def test_when_a_request_came() -> None:
    """The time of an exchange is the world's: at the request, or where a poll moves an auto clock, at its answer."""
    zof = reset_emulator(clock="auto")
    zof.start("tc_a")
    zof.get("/runs")
    zof.get("/runs")
    moved = zof.control("/clock").json["now_ms"] - EPOCH
    zof.control("/clock/advance", {"by_ms": 5_000})
    at = [one["at_ms"] - EPOCH for one in exchanges(zof)]
    assert at == [0, 0, moved, moved]
    assert 0 < moved < zof.control("/clock").json["now_ms"] - EPOCH == at[3] + 5_000


@pytest.mark.parametrize("kind", sorted(OUTSIDE))
def test_what_is_outside(kind: str) -> None:
    """The journal has the control operations that change the world, whatever their result, and no pages."""
    zof = every_kind()
    OUTSIDE[kind](zof)
    found = [one["operation"] for one in exchanges(zof)]
    moves = {"clock moved": "advanceClock", "clock wrong": "advanceClock"}
    moves |= {"run advanced": "advanceRun", "no run advanced": "advanceRun"}
    lost = {"page of nothing", "page from afar", "favicon", "home, posted"}
    assert found == ([moves[kind]] if kind in moves else [None] if kind in lost else [])


def test_runs_of_an_exchange() -> None:
    """`run_ids` has the runs in the path and the query, and the started run."""
    zof = reset_emulator()
    one, other = zof.complete_run("tc_fail")["id"], zof.start("tc_a")["id"]
    zof.get("/results", run_id=other)
    zof.get(f"/results/{one.replace('run', 'res')}_001")
    zof.get(f"/artifacts/{one.replace('run', 'art')}_0001/content")
    zof.post(f"/runs/{other}/cancel")
    zof.get("/projects")
    expected = [[one], [one], [other], [other], [one], [one], [other], []]
    assert [found["run_ids"] for found in exchanges(zof)] == expected


OUTPUTS: Final = ("/journal", "/journal.ndjson", "/journal.har")
secrets: Final = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=60).map(
    lambda text: f"Qz{text}"
)
shapes: Final = st.sampled_from(
    ["Bearer {}", "bearer {}", "{}", "Basic {}", "Bearer  {} ", "Digest a={}", "{} x", "Bearer\t{}", "x {} y",
     "Bearer {0}, Bearer {0}", "Bearer {}:{}",
     "Token token={}", "{}={}", "Bearer xxxxxxxxxxxx {}", "Bearer {} xxxxxxxxxxxx"]
)  # fmt: skip
holders: Final = st.sampled_from(["authorization", "proxy-authorization", "cookie", "x-api-key"])


@given(secret=secrets, shape=shapes, name=holders, twice=st.booleans())
def test_no_secret_in_any_output(secret: str, shape: str, name: str, twice: bool) -> None:  # noqa: FBT001
    """No output of the journal has the credentials of a client, whatever their scheme and form."""
    zof = reset_emulator()
    headers = [(name, shape.format(secret, secret))] * (2 if twice else 1)
    zof.send("GET", "/v1/runs", key=None, headers=headers)
    zof.send("POST", "/v1/runs", key=None, headers=headers, body=b"{}")
    outputs = [zof.tell("GET", path).content for path in OUTPUTS]
    outputs.append(zof.tell("POST", "/journal/verify", {"operation": "listRuns", "status": 200, "exactly": 2}).content)
    assert [output for output in outputs if secret.encode() in output] == []


def test_keys_are_told_apart() -> None:
    """Masked keys show their scheme and their ends, and the same key looks the same, however its scheme is written."""
    zof = reset_emulator()
    for value in (f"Bearer {CI}", f"bearer  {CI}", f"Bearer {OTHER}", "Bearer short", " "):
        zof.send("GET", "/v1/runs", key=None, headers=[("authorization", value)])
    keys = [one["key"] for one in exchanges(zof)]
    assert keys[0].startswith("Bearer zof_...t_ci (") or keys[0].startswith("Bearer ... (")
    assert keys[0][-14:] == keys[1][-14:]
    assert len({one[-14:] for one in keys[1:4]}) == 3
    assert (keys[3][:12], keys[4]) == ("Bearer ... (", " ")


@given(most=st.integers(1, 5), count=st.integers(0, 12))
def test_the_ring(most: int, count: int) -> None:
    """The journal keeps the newest exchanges with their numbers and counts the dropped ones."""
    zof = reset_emulator(journal=most)
    for number in range(count):
        zof.get("/runs", limit=number + 1)
    page = zof.tell("GET", "/journal").json
    kept = min(most, count)
    assert [one["number"] for one in page["data"]] == list(range(count - kept + 1, count + 1))
    assert [one["request"]["query"] for one in page["data"]] == [
        [["limit", str(one["number"])]] for one in page["data"]
    ]
    assert page["dropped"] == count - kept
    assert zof.tell("GET", "/worlds/default").json["exchanges"] == kept


@pytest.mark.parametrize("size", [KIB_64 - 1, KIB_64, KIB_64 + 1, 200_000])
@pytest.mark.parametrize("byte", [b"x", b"\xff"])
def test_long_bodies(size: int, byte: bytes) -> None:
    """The journal keeps 64 KiB of a body, base64 if it is no text, and the size and digest of all of it."""
    zof = reset_emulator()
    zof.send("POST", "/v1/runs", headers=[("content-type", "application/json")], body=byte * size)
    asked = read_newest(zof)["request"]
    kept = asked["body"].encode() if byte == b"x" else b64decode(asked["body"])
    assert asked["encoding"] == ("text" if byte == b"x" else "base64")
    assert kept == byte * min(size, KIB_64)
    assert (asked["size"], asked["truncated"]) == (size, size > KIB_64)
    assert asked["sha256"] == sha256(byte * size).hexdigest()


@pytest.mark.parametrize("said", [True, False])
def test_a_body_that_was_not_read(said: bool) -> None:  # noqa: FBT001
    """A body that is too large to be read is empty in the journal, with its announced or least size."""
    zof = reset_emulator()
    answer_story(zof, ["too much" if said else "too much, unsaid"])
    one = read_newest(zof)
    assert (one["refused"], one["response"]["status"]) == ("body_too_large", 413)
    asked = one["request"]
    assert (asked["body"], asked["size"], asked["truncated"], asked["sha256"]) == ("", (1 << 20) + 1, True, "")


def test_a_long_answer() -> None:
    """An answer is cut at 64 KiB like a request, also a streamed export."""
    zof = reset_emulator()
    zof.complete_run(*(f"tc_{number}_fail" for number in range(300)))
    for kind in ("json", "csv"):
        answer = zof.post("/results/export", {"format": kind})
        got = read_newest(zof)["response"]
        assert (got["size"], got["truncated"], len(got["body"])) == (len(answer.content), True, KIB_64)
        assert got["sha256"] == sha256(answer.content).hexdigest()


FILTERS: Final[dict[str, Any]] = {
    "operation": lambda one: one["operation"],
    "organization": lambda one: one["organization"],
    "method": lambda one: one["request"]["method"],
    "path": lambda one: one["request"]["path"],
    "status": lambda one: one["response"]["status"],
    "refused": lambda one: one["refused"],
}


@given(story=stories, limit=st.integers(1, 4))
def test_query(story: list[str], limit: int) -> None:
    """Each filter finds exactly the matching exchanges, oldest first, in pages of any size."""
    zof = reset_emulator(scenario="default", rate=Rate(limit=15))
    answer_story(zof, story)
    everything = exchanges(zof, limit=1000)
    assert exchanges(zof, limit=limit) == everything
    for name, read in FILTERS.items():
        for value in {read(one) for one in everything} - {None}:
            expected = [one for one in everything if read(one) == value]
            assert exchanges(zof, **{name: value}, limit=limit) == expected
    for run in {run for one in everything for run in one["run_ids"]}:
        assert exchanges(zof, run_id=run) == [one for one in everything if run in one["run_ids"]]
    for at in {one["at"] for one in everything}:
        assert exchanges(zof, after=at) == [one for one in everything if one["at"] >= at]
        assert exchanges(zof, before=at) == [one for one in everything if one["at"] < at]


def test_filters_together() -> None:
    """Filters that are given together must all hold."""
    zof = reset_emulator()
    answer_story(zof, ["start", "runs", "nothing", "a stranger"])
    assert [one["number"] for one in exchanges(zof, operation="listRuns", status=200)] == [2]
    assert exchanges(zof, operation="listRuns", status=201) == []


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("status=99", "status"), ("status=x", "status"),
     ("after=x", "after"),
     ("starting_after=-1", "starting_after"), ("x=1", "x"), ("limit=1&limit=2", "limit"), ("before=2026", "before")],
)  # fmt: skip
def test_query_refused(query: str, param: str) -> None:
    """An invalid filter is refused, and `param` names it."""
    assert reset_emulator().tell("GET", f"/journal?{query}").error == (400, "invalid_request", param)


def test_clear() -> None:
    """A cleared journal is empty and numbers from 1 again; the world does not change."""
    zof = reset_emulator(journal=2)
    answer_story(zof, ["start", "start", "start"])
    assert zof.tell("DELETE", "/journal").json == {"cleared": 2}
    assert zof.tell("GET", "/journal").json == {"data": [], "has_more": False, "next_cursor": None, "dropped": 0}
    answer_story(zof, ["runs"])
    assert [one["number"] for one in exchanges(zof)] == [1]
    assert zof.tell("GET", "/worlds/default").json["runs"] == 3


@pytest.mark.parametrize("begin", ["reset", "restore"])
def test_begins_with_its_world(begin: str) -> None:
    """A reset of the world clears its journal."""
    zof = reset_emulator()
    answer_story(zof, ["start"])
    if begin == "reset":
        zof.control("/reset")
    else:
        zof.tell("PUT", "/snapshot", zof.tell("GET", "/snapshot").json)
    assert exchanges(zof) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/journal"),
        ("DELETE", "/journal"),
        ("POST", "/journal/verify"),
        *(("GET", path) for path in OUTPUTS[1:]),
    ],
)
def test_no_journal(method: str, path: str) -> None:
    """Without a journal, the operations are refused, and the message names the option."""
    answer = reset_emulator(journal=0).tell(method, path, {} if method == "POST" else None)
    assert answer.error == (409, "conflict", None)
    assert "--journal" in answer.json["error"]["message"]


def test_ndjson() -> None:
    """The export has a line for the world, then one line for each exchange as the query shows it."""
    zof = Zof(seed=5, rate=Rate(limit=9, burst=1), environments=("qa",))
    answer_story(zof, sorted(REQUESTS))
    answer = zof.tell("GET", "/journal.ndjson")
    about, *lines = (json.loads(line) for line in answer.content.splitlines())
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines == exchanges(zof, limit=1000)
    expected = {"format": "zof-emulator-journal", "version": 1, "world": "default", "seed": 5, "clock": "manual"}
    expected |= {"began": "2026-01-01T00:00:00.000Z", "began_ms": EPOCH, "rate": [9, 60_000, "key", 1], "dropped": 0}
    assert about.items() >= (expected | {"environments": ["qa"], "scenario": "default"}).items()


def test_har() -> None:
    """The archive is valid HAR 1.2 with URLs below the world's base and the original bodies."""
    zof = every_kind()
    for kind in sorted({*SUCCESSES, *FILES, *JUDGED, *STRANGERS} - {"too often"}):
        ALL[kind](zof)
    answer = zof.tell("GET", "/journal.har")
    assert answer.headers["content-disposition"] == 'attachment; filename="default.har"'
    log = answer.json["log"]
    assert log["version"] == "1.2"
    assert log["creator"].keys() >= {"name", "version"}
    shown = exchanges(zof, limit=1000)
    assert len(log["entries"]) == len(shown) > LIMIT / 3
    for entry, one in zip(log["entries"], shown, strict=True):
        assert entry.keys() >= {"startedDateTime", "time", "request", "response", "cache", "timings"}
        assert (entry["startedDateTime"], entry["timings"]) == (one["at"], {"send": 0, "wait": 0, "receive": 0})
        asked, got = entry["request"], entry["response"]
        common = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
        assert asked.keys() >= common | {"method", "url", "queryString"}
        assert got.keys() >= common | {"status", "statusText", "content", "redirectURL"}
        assert asked["url"] == "http://127.0.0.1:9630" + one["request"]["target"]
        assert [[pair["name"], pair["value"]] for pair in asked["queryString"]] == one["request"]["query"]
        assert ("postData" in asked) == bool(one["request"]["size"])
        assert asked.get("postData", {"mimeType": "", "text": "", "params": []}).keys() >= {"mimeType", "text"}
        assert got["content"].keys() >= {"size", "mimeType"}
        assert got["content"].get("encoding") == ("base64" if one["response"]["encoding"] == "base64" else None)
        assert (got["status"], got["content"]["size"]) == (one["response"]["status"], one["response"]["size"])


def test_har_of_a_world() -> None:
    """The URLs in another world's archive lead to that world."""
    zof = Zof().select_world("a")
    zof.get("/projects")
    (entry,) = zof.tell("GET", "/journal.har").json["log"]["entries"]
    assert zof.follow(entry["request"]["url"]).json == json.loads(entry["response"]["content"]["text"])
