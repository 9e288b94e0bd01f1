"""Recordings are read from journals and HAR files of every kind; what cannot be judged is counted."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import (
    Clock,
    RecordedDelivery,
    RecordedExchange,
    RecordingStarted,
    Skips,
    UnusableRecording,
)
from zof_contracts.traffic.sources import read_source

from tests.zof import ADMIN, STAGING, Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

URL: Final = "https://api.zof.ai/v1/projects?limit=5"


def make_entry(**changes: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    """An entry of a HAR file; changes are made to the members with these names."""
    entry: dict[str, Any] = {
        "startedDateTime": "2026-01-01T00:00:01.500Z",
        "time": 20,
        "request": {
            "method": "GET",
            "url": URL,
            "headers": [{"name": "Authorization", "value": "Bearer key_0123456789"}],
        },
        "response": {"status": 200, "headers": [], "content": {"size": 2, "text": "{}"}},
    }
    for name, value in changes.items():
        entry[name] = {**entry[name], **value} if isinstance(value, dict) else value
    return entry


def make_har(*entries: object) -> bytes:
    """A HAR file."""
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "browser"}, "entries": entries}}).encode()


def read(content: bytes, base_url: str = "") -> tuple[list[RecordedExchange], Skips]:
    """The exchanges of a recording, and what was left out."""
    skips = Skips()
    recorded = list(read_source(io.BytesIO(content), KeyNames(), skips, name="x", base_url=base_url))
    assert isinstance(recorded[0], RecordingStarted)
    return [each for each in recorded if isinstance(each, RecordedExchange)], skips


def record() -> Zof:
    """An emulator that has answered a few requests."""
    zof = Zof()
    run = zof.post("/runs", {**STAGING, "test_case_ids": ["tc_a"]}, idempotency_key="once").json
    zof.get(f"/runs/{run['id']}")
    zof.get("/nothing", key=None)
    return zof


@pytest.mark.parametrize(("path", "clock"), [("journal.ndjson", Clock.VIRTUAL), ("journal.har", Clock.VIRTUAL)])
def test_the_two_journals_of_the_emulator_tell_the_same(path: str, clock: Clock) -> None:
    """A journal as NDJSON and as HAR gives the same exchanges, without the key."""
    content = record().send("GET", f"/_emulator/{path}").content
    skips = Skips()
    first, *recorded = read_source(io.BytesIO(content), KeyNames(), skips, name="x")
    assert first == RecordingStarted("x", clock)
    exchanges = [each for each in recorded if isinstance(each, RecordedExchange)]
    assert [each.exchange.operation for each in exchanges] == ["startRun", "getRun", ""]
    assert [each.exchange.response.status for each in exchanges] == [201, 200, 404]
    assert [each.exchange.request.key for each in exchanges] == ["main", "main", ""]
    assert exchanges[0].exchange.request.header("idempotency-key") == "once"
    assert exchanges[1].exchange.response.fields["status"] == "running"
    assert {each.base for each in exchanges} == {"http://127.0.0.1:9630"}
    assert ADMIN not in repr(recorded)


def test_a_world_is_a_base_of_its_own() -> None:
    """The journal of a world gives the address of the world."""
    zof = Zof()
    zof.select_world("beta").get("/projects")
    content = zof.send("GET", "/w/beta/_emulator/journal.ndjson").content
    exchanges, _ = read(content)
    assert [each.base for each in exchanges] == ["http://127.0.0.1:9630/w/beta"]


def test_times_and_bodies_of_a_har() -> None:
    """Start and end come from startedDateTime and time; the body from text, base 64 and a content coding."""
    packed = base64.b64encode(gzip.compress(b'{"data": []}')).decode()
    coded = {
        "headers": [{"name": "Content-Encoding", "value": "gzip"}],
        "content": {"text": packed, "encoding": "base64"},
    }
    plain = {"content": {"text": base64.b64encode(b"[]").decode(), "encoding": "base64"}}
    decoded = {"headers": [{"name": "Content-Encoding", "value": "gzip"}], "content": {"text": "{}"}}
    exchanges, skips = read(make_har(*(make_entry(response=each) for each in (coded, plain, decoded))))
    assert [each.exchange.response.body for each in exchanges] == [b'{"data": []}', b"[]", b"{}"]
    assert (exchanges[0].began, exchanges[0].ended) == (1767225601.5, 1767225601.52)
    assert not skips.counts


@pytest.mark.parametrize(
    "changes", [{"startedDateTime": None}, {"startedDateTime": "yesterday"}, {"time": -1}, {"time": None}]
)
def test_missing_timings_are_unknown(changes: dict[str, Any]) -> None:
    """An entry without a time is read, and its time is unknown."""
    (exchange,), _ = read(make_har(make_entry(**changes)))
    assert exchange.ended is None


@pytest.mark.parametrize(
    "entry",
    [
        make_entry(request={"url": "https://example.com/v1/projects"}),
        make_entry(request={"url": "https://api.zof.ai/docs"}),
        make_entry(request={"method": "OPTIONS"}),
        make_entry(request={"url": "wss://api.zof.ai/v1/runs"}),
        make_entry(response={"status": 101}),
        make_entry(_resourceType="websocket"),
        make_entry(request={"url": "data:text/plain,x"}),
        make_entry(response=None),
        make_entry(request={"headers": "none"}),
        {},
        17,
        None,
        "text",
    ],
)
def test_what_is_not_of_the_api_is_counted(entry: object) -> None:
    """Entries of other hosts, WebSockets and broken entries are left out and counted."""
    exchanges, skips = read(make_har(make_entry(), entry, make_entry()))
    assert len(exchanges) == 2
    assert skips.counts.total() == 1
    assert len(skips.describe()) == 1


@pytest.mark.parametrize("path", ["/_emulator/clock", "/w/beta/_emulator/journal.ndjson", "/_emulator"])
@pytest.mark.parametrize("address", ["", "http://127.0.0.1:9630"])
def test_requests_that_control_the_emulator_are_counted_as_such(path: str, address: str) -> None:
    """A request below /_emulator went to the host of the API, and the note says what it was."""
    control = make_entry(request={"url": f"http://127.0.0.1:9630{path}"})
    run = make_entry(request={"url": "http://127.0.0.1:9630/v1/runs"})
    exchanges, skips = read(make_har(control, run, control), address)
    assert len(exchanges) == 1
    assert skips.describe() == ("2 entries were left out: sent to control the emulator, below /_emulator",)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_an_entry_that_is_nested_too_deeply_is_counted(opening: bytes) -> None:
    """A few thousand brackets take no memory to speak of, and the entries beside them are read."""
    closing = {b"[": b"]", b'{"a":': b"}"}[opening]
    deep = opening * 3_000 + b"1" + closing * 3_000
    good = json.dumps(make_entry()).encode()
    tracemalloc.start()
    exchanges, skips = read(b'{"log": {"entries": [' + b", ".join([good, deep, good]) + b"]}}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(exchanges) == 2
    assert dict(skips.counts) == {"nested too deeply": 1}
    assert peak < 4 << 20


def test_only_the_entries_of_the_log_are_read() -> None:
    """Arrays of the same name elsewhere in the file hold no exchanges."""
    har = {
        "entries": [make_entry()],
        "x": [{"log": {"entries": [make_entry()]}}],
        "log": {"pages": {"entries": [make_entry()]}, "entries": [[], make_entry(), 1, {}], "y": [make_entry()]},
    }
    exchanges, skips = read(json.dumps(har).encode())
    assert len(exchanges) == 1
    assert skips.counts.total() == 3


def test_base64_that_is_damaged_is_not_judged() -> None:
    """A body that cannot be decoded counts as one that was not recorded; line breaks in base 64 do no harm."""
    damaged, broken_up = ({"encoding": "base64", "text": text} for text in ("***", "e\r\n30="))
    (exchange,), _ = read(make_har(make_entry(response={"content": damaged})))
    assert not exchange.is_answer_whole
    (exchange,), _ = read(make_har(make_entry(response={"content": broken_up})))
    assert (exchange.is_answer_whole, exchange.exchange.response.body) == (True, b"{}")


def test_a_named_address_is_the_api() -> None:
    """With the address of the API, entries for other addresses are left out."""
    entries = [make_entry(), make_entry(request={"url": "https://staging.example/zof/v1/runs"})]
    exchanges, _ = read(make_har(*entries), "https://staging.example/zof")
    assert [each.exchange.operation for each in exchanges] == ["listRuns"]


def test_entries_are_sorted_by_their_start() -> None:
    """A program may write entries in the order in which they ended."""
    times = ["2026-01-01T00:00:03Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]
    exchanges, _ = read(make_har(*(make_entry(startedDateTime=time) for time in times)))
    assert [each.began for each in exchanges] == sorted(each.began or 0 for each in exchanges)


def test_a_file_that_ends_early_is_read_as_far_as_it_goes() -> None:
    """Every whole entry of a broken file is read, and the break is counted."""
    content = make_har(make_entry(), make_entry(), make_entry())
    exchanges, skips = read(content[:-60])
    assert len(exchanges) == 2
    assert skips.counts == {"the file is broken or ends in the middle of an entry": 1}


def test_broken_lines_of_a_journal_are_counted() -> None:
    """A line that is no exchange is left out and counted."""
    header, *lines = record().send("GET", "/_emulator/journal.ndjson").content.splitlines()
    exchanges, skips = read(
        b"\n".join([header, b"{", b"[]", b'{"at_ms": 1}', b'{"delivery": {}}', *lines, lines[0][:50]])
    )
    assert len(exchanges) == 3
    assert skips.counts.total() == 5


@pytest.mark.parametrize(
    "content",
    [b"", b" \n ", b"\xff\xfe\x00", b"hello", b"{}", b"[]", b'{"log": {}}', make_har(), b"<html></html>", b"PK\x03\x04",
     b'{"format":"zof-emulator-journal","version":99}\n', b'{"format":"zof-emulator-journal"'],
)  # fmt: skip
def test_a_foreign_file_is_refused_in_one_line(content: bytes) -> None:
    """A file that is no recording is named in a message of one line."""
    with pytest.raises(UnusableRecording) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("cannot read x: ")


@given(st.data())
def test_no_damage_ends_in_a_traceback(data: st.DataObject) -> None:
    """A recording with any changed bytes is read or refused."""
    whole = make_har(make_entry(), make_entry()) if data.draw(st.booleans()) else _JOURNAL
    start = data.draw(st.integers(0, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=8)) + whole[data.draw(st.integers(start, len(whole))) :]
    try:
        read(damaged)
    except UnusableRecording as error:
        assert "\n" not in str(error)  # noqa: PT017  either end is right


_JOURNAL: Final = record().send("GET", "/_emulator/journal.ndjson").content


class Endless:
    """A HAR file of any number of entries, made while it is read."""

    def __init__(self, entries: int, body: int) -> None:
        one = make_entry(response={"content": {"text": json.dumps({"data": "x" * body})}})
        self.pieces: Iterator[bytes] = iter(self._make(json.dumps(one).encode(), entries))
        self.rest = b""
        self.size = 0

    def _make(self, entry: bytes, count: int) -> Iterator[bytes]:
        yield b'\xef\xbb\xbf{"log": {"entries": ['
        for _ in range(count - 1):
            yield entry + b","
        yield entry + b"]}}"

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        self.rest = self.rest or next(self.pieces, b"")
        size = len(self.rest) if size < 0 else size
        piece, self.rest = self.rest[:size], self.rest[size:]
        self.size += len(piece)
        return piece


def test_a_large_file_is_read_in_bounded_memory() -> None:
    """The memory that reading takes does not grow with the file."""

    def measure(entries: int) -> tuple[int, int]:
        source = Endless(entries, 50_000)
        tracemalloc.start()
        count = sum(1 for _ in read_source(source, KeyNames(), Skips(), name="x"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == entries + 1
        return source.size, peak

    (_, few), (size, many) = measure(100), measure(1_000)
    assert size > 50_000_000
    assert many < 2 * few


def test_secrets_are_masked_when_they_are_read() -> None:
    """A key in a query, a header or a body is named as a place, and its text is not kept."""
    secret = "sk_live_0123456789"  # noqa: S105  of the test alone
    request = {
        "method": "POST",
        "url": f"https://api.zof.ai/v1/webhooks?api_key={secret}&limit=1",
        "headers": [{"name": "X-Api-Key", "value": secret}],
        "postData": {"text": json.dumps({"token": secret, "secret": secret, "url": "https://x"})},
    }
    (exchange,), _ = read(make_har(make_entry(request=request)))
    assert exchange.secrets == ("header x-api-key", "query parameter api_key", "body field token")
    assert secret not in repr(exchange)


def test_deliveries_are_read() -> None:
    """A delivery of a webhook is read with its attempts."""
    attempt = {"started_at": "2026-01-01T00:00:00.000Z", "ended_at": "2026-01-01T00:00:01.000Z"}
    line = {
        "number": 1,
        "webhook_id": "wh_1",
        "event_id": "evt_1",
        "type": "run.completed",
        "kind": "event",
        "tampering": None,
        "attempts": [{**attempt, "status": 204, "error": None}],
    }
    content = _JOURNAL + json.dumps({"delivery": line}).encode()
    *_, delivery = read_source(io.BytesIO(content), KeyNames(), Skips(), name="x")
    assert isinstance(delivery, RecordedDelivery)
    assert (delivery.attempts[0].ended - delivery.attempts[0].began, delivery.attempts[0].status) == (1, 204)


def test_a_source_may_drip() -> None:
    """A recording that is given in small pieces is read as a whole one is."""

    class Dripping(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            return super().read(7)

    whole, _ = read(_JOURNAL)
    recorded = read_source(Dripping(_JOURNAL), KeyNames(), Skips(), name="x")
    assert [each for each in recorded if isinstance(each, RecordedExchange)] == whole
