"""Fault rules, requests that may fail, and pauses that take no time, for the tests of several modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.zof import ADMIN, STAGING

if TYPE_CHECKING:
    from tests.zof import Answer, Zof

START: Final = {**STAGING, "test_case_ids": ["tc_login_001"]}
RESET: Final = {"reset": True}


class RecordedPauses:
    """Stands in for the pauses of a world: records them, and takes no time."""

    def __init__(self) -> None:
        self.pauses: list[tuple[str, int]] = []
        self.delayed = 0

    async def pause(self, name: str, ms: int, receive: object = None) -> bool:  # noqa: ARG002  as the real one has it
        """Record a pause."""
        self.pauses.append((name, ms))
        return True

    def release(self, name: str) -> None:
        """Do nothing: nothing waits."""

    def release_all(self) -> None:
        """Do nothing: nothing waits."""


def add(zof: Zof, effect: dict[str, Any], operation: str = "listRuns", **rule: object) -> str:
    """Add a fault rule; its ID."""
    answer = zof.tell("POST", "/faults", {"match": {"operation": operation}, "effect": effect, **rule})
    assert answer.status == 201, answer.content
    name: str = answer.json["id"]
    return name


def start(zof: Zof, *headers: tuple[str, str], key: str = ADMIN, **fields: object) -> Answer | None:
    """The answer to a request for a run; None if the connection broke."""
    try:
        return zof.send(
            "POST",
            "/v1/runs",
            key=key,
            headers=[("content-type", "application/json"), *headers],
            body=json.dumps({**START, **fields}).encode(),
        )
    except ConnectionError:
        return None


def prefer(zof: Zof, text: str, path: str = "/v1/runs") -> Answer:
    """The answer to a request with preferences."""
    return zof.send("GET", path, headers=[("prefer", text)])
