"""Results: what one case of one run came to, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a case failed: a sentence, and `assertion`, `timeout` or `platform`."""

    message: str
    category: str


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one case of one run; instants in ms since the epoch, null where nothing happened."""

    id: str
    run_id: str
    project_id: str
    test_case_id: str
    environment: str
    status: str
    created_at: int | None
    """When the result became visible: the end of its run; null before."""
    started_at: int | None
    completed_at: int | None
    failure: Failure | None

    @property
    def duration_ms(self) -> int | None:
        """How long the case ran, in ms; null when it never started."""
        if self.started_at is None or self.completed_at is None:
            return None
        return self.completed_at - self.started_at
