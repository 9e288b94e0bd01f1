"""Queries: the runs, results and artifacts of a world by their IDs. No query changes the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core import artifacts
from zof_emulator.core.instants import LAST
from zof_emulator.core.refusal import Refused
from zof_emulator.core.results import Result
from zof_emulator.core.world_state import WorldState

if TYPE_CHECKING:
    from zof_emulator.core.artifacts import Artifact
    from zof_emulator.core.runs import Run


class WorldQueries(WorldState):
    """The queries of a world."""

    __slots__ = ()

    def run(self, organization: str, name: str) -> Run:
        """The organization's run with this ID.

        Raises:
            Refused: the organization has no run with this ID.
        """
        run = self._run(organization, self.names.read_run(name))
        if run is None:
            raise Refused("run_not_found")
        return run

    def find_run(self, organization: str, name: str) -> Run | None:
        """The organization's run with this ID, or None."""
        return self._run(organization, self.names.read_run(name))

    def any_run(self, name: str) -> Run:
        """The run with this ID, in any organization.

        Raises:
            Refused: no run has this ID.
        """
        number = self.names.read_run(name)
        run = None if number is None else self.runs.get(number)
        if run is None:
            raise Refused("run_not_found")
        return run

    def _run(self, organization: str, number: int | None) -> Run | None:
        run = None if number is None else self.runs.get(number)
        return run if run is not None and run.organization == organization else None

    def result_run(self, organization: str, name: str) -> tuple[Run, int]:
        """The run and the case's index of the visible result with this ID.

        Raises:
            Refused: the organization has no visible result with this ID.
        """
        number, index = self.names.read_result(name) or (None, 0)
        run = self._run(organization, number)
        if run is None or not run.has_ended or index >= len(run.cases):
            raise Refused("result_not_found")
        return run, index

    def result(self, run: Run, index: int) -> Result:
        """The result of the case at `index`. It is visible once the run has ended."""
        case, status = run.cases[index], run.case_status(index)
        return Result(
            id=self.names.result(run.number, index),
            run_id=self.names.run(run.number),
            project_id=run.project_id,
            test_case_id=case,
            environment=run.environment,
            status=status.value,
            created_at=run.completed_at,
            started_at=run.case_started_at(index),
            completed_at=run.case_ended_at(index),
            failure=self.outcome_rules.failure(run, index),
        )

    def result_at_rank(self, organization: str, rank: int) -> tuple[Run, int]:
        """The run and the case's index of the organization's result with this rank."""
        number, offset = self.tenancies[organization].results.find(rank)
        run = self.runs[number]
        return run, len(run.cases) - 1 - offset

    def artifact(self, organization: str, name: str) -> tuple[Run, Artifact]:
        """The run and the artifact with this ID.

        Raises:
            Refused: the organization has no artifact with this ID, or the artifact has expired.
        """
        number, slot = self.names.read_artifact(name) or (None, 0)
        run = self._run(organization, number)
        artifact = artifacts.find_artifact(run, slot, self.outcome_rules) if run is not None else None
        if run is None or artifact is None or self.expires_at(artifact) <= self.now:
            raise Refused("artifact_not_found")
        return run, artifact

    def filter_unexpired(self, run: Run, slots: list[int]) -> list[int]:
        """The slots among these filled slots of a run whose artifacts have not expired."""
        found = (artifacts.find_artifact(run, slot, self.outcome_rules) for slot in slots)
        return [one.slot for one in found if one is not None and self.expires_at(one) > self.now]

    def expires_at(self, artifact: Artifact) -> int:
        """When an artifact expires, in ms."""
        return min(LAST, artifact.created_at + self.retention.artifacts_ms)
