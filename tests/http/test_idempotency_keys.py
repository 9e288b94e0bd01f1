"""Idempotency: valid keys, equality of bodies, and the answers that are stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate

from tests.http.histories import reset_emulator
from tests.http.replays import START, lasting, was_replayed
from tests.zof import ADMIN, VIEWER

JSON = [("content-type", "application/json")]
REUSED = (409, "conflict", "Idempotency-Key")
cases = st.lists(st.sampled_from(["tc_a", "tc_b", "tc_c"]), min_size=1, unique=True)
orders = st.fixed_dictionaries(
    {
        "project_id": st.sampled_from(["proj_abc", "proj_abc123"]),
        "environment": st.sampled_from(["staging", "production"]),
    }
).flatmap(
    lambda what: (
        cases.map(lambda found: {**what, "test_case_ids": found}) | st.just({**what, "test_suite_id": "suite_pr_smoke"})
    )
)


@given(one=orders, other=orders)
def test_other_body(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The same key with another JSON value is refused, has no effect, and keeps the first answer."""
    assume(one != other)
    zof = reset_emulator()
    first = zof.post("/runs", one, idempotency_key="k")
    assert zof.post("/runs", other, idempotency_key="k").error == REUSED
    assert len(zof.walk("/runs")) == 1
    assert lasting(zof.post("/runs", one, idempotency_key="k")) == lasting(first)


@pytest.mark.parametrize("other", ["2026-01-01T00:00:00.000Z", "2026-01-01t00:00:00z", "2026-01-01T01:00:00+01:00"])
def test_other_text_of_the_same_instant(other: str) -> None:
    """Another JSON value is another body, even if its meaning is the same."""
    zof = reset_emulator()
    body = {"format": "json", "created_after": "2026-01-01T00:00:00Z"}
    assert zof.post("/results/export", body, idempotency_key="k").status == 200
    assert zof.post("/results/export", body | {"created_after": other}, idempotency_key="k").error == REUSED


def escape_all(text: str) -> str:
    """A JSON string with each character escaped."""
    return '"' + "".join(f"\\u{ord(one):04x}" for one in text) + '"'


@given(order=orders, data=st.data())
def test_other_spelling(order: dict[str, Any], data: st.DataObject) -> None:
    """The same JSON value with other spacing, order or escapes is the same body."""
    zof = reset_emulator()
    first = zof.post("/runs", order, idempotency_key="k")
    turned = {name: order[name] for name in data.draw(st.permutations(sorted(order)))}
    spaced = json.dumps(turned, indent=data.draw(st.sampled_from([None, 0, 3, "\t"])), separators=(" ,", ":\r\n "))
    body = spaced.replace('"staging"', data.draw(st.sampled_from(['"staging"', escape_all("staging")])))
    headers = [("content-type", "Application/JSON; charset=utf-8"), ("idempotency-key", "k")]
    again = zof.send("POST", "/v1/runs", headers=headers, body=f"\n {body} ".encode())
    assert was_replayed(again)
    assert lasting(again) == lasting(first)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"why": "no longer needed"}', b"not JSON"])
def test_ignored_body(body: bytes) -> None:
    """The body of a cancel is ignored, also by the replay."""
    zof = reset_emulator()
    path = f"/runs/{zof.start()['id']}/cancel"
    first = zof.post(path, idempotency_key="k")
    again = zof.send("POST", f"/v1{path}", headers=[*JSON, ("idempotency-key", "k")], body=body)
    assert lasting(again) == lasting(first)


REFUSALS: dict[str, tuple[int, str, object]] = {
    "invalid value": (400, ADMIN, {**START, "environment": "moon"}),
    "unknown field": (400, ADMIN, {**START, "name": "x"}),
    "no body": (400, ADMIN, None),
    "no key": (401, "nobody", START),
    "no permission": (403, VIEWER, START),
    "unknown case": (404, ADMIN, {**START, "test_case_ids": ["tc_missing"]}),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_refused(why: str) -> None:
    """The answer to a refused request is not stored, so the corrected request may use the same key."""
    status, key, body = REFUSALS[why]
    zof = reset_emulator()
    refused = zof.post("/runs", body, key=key, idempotency_key="k")
    assert (refused.status, was_replayed(refused)) == (status, False)
    mended = zof.post("/runs", START, idempotency_key="k")
    assert (mended.status, was_replayed(mended)) == (201, False)
    assert was_replayed(zof.post("/runs", START, idempotency_key="k"))


def test_refused_conflict() -> None:
    """The answer to a late cancel is not stored, and every repetition is refused again."""
    zof = reset_emulator()
    path = f"/runs/{zof.complete_run('tc_login')['id']}/cancel"
    assert [zof.post(path, idempotency_key="k").error for _ in range(2)] == [(409, "conflict", None)] * 2


def test_refused_by_limit() -> None:
    """The answer 429 is not stored, so a later request with the same key starts the run."""
    zof = reset_emulator(rate=Rate(limit=1))
    zof.get("/runs")
    assert zof.post("/runs", START, idempotency_key="k").status == 429
    zof.advance(60_000)
    answer = zof.post("/runs", START, idempotency_key="k")
    assert (answer.status, was_replayed(answer)) == (201, False)


INNER = "".join(map(chr, range(0x20, 0x7F)))
OUTER = INNER[1:]
good_keys = st.builds("{}{}{}".format, st.sampled_from(OUTER), st.text(INNER, max_size=253), st.sampled_from(OUTER))


@settings(max_examples=30)
@given(key=good_keys | st.sampled_from(["x", "x" * 255]))
def test_key(key: str) -> None:
    """A key is 1 to 255 printable ASCII characters, all of which are significant."""
    zof = reset_emulator()
    first = zof.post("/runs", START, idempotency_key=key)
    assert lasting(zof.post("/runs", START, idempotency_key=key)) == lasting(first)
    other = key[:-1] + ("y" if key[-1] != "y" else "z")
    assert not was_replayed(zof.post("/runs", START, idempotency_key=other))


@pytest.mark.parametrize("path", ["/runs", "/runs/{run}/cancel", "/results/export"])
@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb", "a\x7fb", "\xff"])
def test_key_refused(path: str, key: str) -> None:
    """A key that is empty, too long or not printable ASCII is refused, and `param` names it."""
    zof = reset_emulator()
    run = zof.start()["id"]
    body = {"/runs": START, "/results/export": {"format": "csv"}}.get(path)
    answer = zof.post(path.format(run=run), body, idempotency_key=key)
    assert answer.error == (400, "invalid_request", "Idempotency-Key")
    assert [one["status"] for one in zof.walk("/runs")] == ["running"]


def test_key_twice() -> None:
    """Two keys on one request are refused."""
    headers = [*JSON, ("idempotency-key", "k"), ("idempotency-key", "k")]
    answer = reset_emulator().send("POST", "/v1/runs", headers=headers, body=json.dumps(START).encode())
    assert answer.error == (400, "invalid_request", "Idempotency-Key")
