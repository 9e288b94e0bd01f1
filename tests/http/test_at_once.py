"""Requests at once: many clients on one event loop, whose requests arrive in pieces that interleave."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.histories import reset_emulator
from tests.zof import ADMIN, STAGING, Answer, Zof, make_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message

START = json.dumps({**STAGING, "test_case_ids": ["tc_login"]}).encode()


async def post_slowly(zof: Zof, path: str, body: bytes, key: str, pauses: Sequence[int]) -> Answer:
    """The answer to a POST whose body arrives in one piece per pause, each after that many loop turns."""
    headers = {
        "host": "127.0.0.1:9630",
        "authorization": f"Bearer {ADMIN}",
        "content-type": "application/json",
        "idempotency-key": key,
    }
    scope = make_scope("POST", path, headers.items())
    sent: list[Message] = []
    left = list(pauses)

    async def receive() -> Message:
        for _ in range(left.pop(0)):
            await asyncio.sleep(0)
        start, end = (len(body) * (len(pauses) - rest) // len(pauses) for rest in (len(left) + 1, len(left)))
        return {"type": "http.request", "body": body[start:end], "more_body": bool(left)}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await zof.app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], tuple(sent[0]["headers"]), content)


def post_at_once(
    zof: Zof, path: str, body: bytes, keys: Sequence[str], pauses: Sequence[Sequence[int]]
) -> list[Answer]:
    """The answers to concurrent POSTs."""

    async def all_of_them() -> list[Answer]:
        waiting = (post_slowly(zof, path, body, key, each) for key, each in zip(keys, pauses, strict=True))
        return list(await asyncio.gather(*waiting))

    return asyncio.run(all_of_them())


arrivals = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=2, max_size=30)


@settings(max_examples=40)
@given(pauses=arrivals)
def test_one_key(pauses: list[list[int]]) -> None:
    """Concurrent starts with one idempotency key start one run, and all get the same answer."""
    zof = reset_emulator()
    answers = post_at_once(zof, "/v1/runs", START, ["k"] * len(pauses), pauses)
    assert {(answer.status, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert [run["id"] for run in zof.walk("/runs")] == [answers[0].json["id"]]


@settings(max_examples=40)
@given(pauses=arrivals)
def test_keys_of_their_own(pauses: list[list[int]]) -> None:
    """Concurrent starts with different idempotency keys start one run each; every answer has its own ID."""
    zof = reset_emulator()
    answers = post_at_once(zof, "/v1/runs", START, [f"k{number}" for number in range(len(pauses))], pauses)
    made = {answer.json["id"] for answer in answers}
    assert made == {run["id"] for run in zof.walk("/runs")}
    assert len(made) == len({answer.headers["x-request-id"] for answer in answers}) == len(pauses)


@settings(max_examples=40)
@given(pauses=arrivals)
def test_cancels(pauses: list[list[int]]) -> None:
    """Of concurrent cancels of one run without a common key, one succeeds and the others are refused."""
    zof = reset_emulator()
    run = zof.start()["id"]
    keys = [f"k{number}" for number in range(len(pauses))]
    answers = post_at_once(zof, f"/v1/runs/{run}/cancel", b"{}", keys, pauses)
    assert sorted(answer.status for answer in answers) == [200] + [409] * (len(pauses) - 1)
    assert zof.run(run)["status"] == "canceled"


@settings(max_examples=20)
@given(pauses=arrivals)
def test_exports(pauses: list[list[int]]) -> None:
    """Concurrently streamed exports do not mix."""
    zof = reset_emulator()
    for _ in range(12):
        zof.complete_run("tc_login", "tc_pay_fail", "tc_load_error")
    body = b'{"format": "csv"}'
    alone = zof.post("/results/export", {"format": "csv"}).content
    answers = post_at_once(zof, "/v1/results/export", body, [f"k{number}" for number in range(len(pauses))], pauses)
    assert {answer.content for answer in answers} == {alone}
