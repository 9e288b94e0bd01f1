"""Replays: the differences between an original answer and its replay, and their common part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.zof import STAGING

if TYPE_CHECKING:
    from tests.zof import Answer

START = {**STAGING, "test_case_ids": ["tc_login", "tc_pay_fail"]}
"""A body that starts a run."""
OF_THIS_ANSWER = {"x-request-id", "date", "x-ratelimit-remaining", "x-ratelimit-reset", "idempotency-replayed"}
"""The headers in which a replay differs from the original."""


def was_replayed(answer: Answer) -> bool:
    """Whether an answer says that it is a replay."""
    assert answer.headers.get("idempotency-replayed") in {None, "true"}
    return "idempotency-replayed" in answer.headers


def lasting(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """The common part of an answer and its replay."""
    headers = {name: value for name, value in answer.headers.items() if name not in OF_THIS_ANSWER}
    return answer.status, headers, answer.content
