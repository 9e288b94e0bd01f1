"""Results: the outcome of a case of a run, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a case failed."""

    message: str
    category: str
    """`assertion`, `timeout` or `platform`."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a case of a run. Instants are in ms since the Unix epoch; None if the event did not happen."""

    id: str
    run_id: str
    project_id: str
    test_case_id: str
    environment: str
    status: str
    created_at: int | None
    """When the result became visible, which is the end of its run; None before."""
    started_at: int | None
    completed_at: int | None
    failure: Failure | None

    @property
    def duration_ms(self) -> int | None:
        """The duration of the case, in ms; None if it never started."""
        if self.started_at is None or self.completed_at is None:
            return None
        return self.completed_at - self.started_at
