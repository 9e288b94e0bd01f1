"""The auto clock: a client that polls a run that has not ended moves the clock to the next change of that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST
from zof_emulator.core.timeline import SLICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.core.lifecycle import Status
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


def move_on_poll(world: World, runs: Sequence[Run]) -> bool:
    """Record that an answer shows these runs, and move the clock if the client waits for them.

    The clock moves in the mode `auto` only, and only if earlier answers showed the current status of each run that has
    not ended. It moves until one of these runs starts or ends.

    Raises:
        SliceEnded: there is more to carry out than one slice has; the same poll goes on where this one has ended.

    Returns:
        Whether the clock moved. The runs are then out of date, and the caller looks them up again.
    """
    if world.clock.mode is not ClockMode.AUTO:
        return False
    waiting = {run.number: run.status for run in runs if not run.has_ended}
    known = all(world.seen.get(number) is status for number, status in waiting.items())
    moves = bool(waiting) and known and world.now + world.most_work_ms() <= LAST
    if moves:

        def has_come() -> bool:
            return any(not _has_status(world, number, status) for number, status in waiting.items())

        world.move_until(has_come, SLICE)
    world.seen |= {
        number: world.runs[number].status
        for number in waiting
        if number in world.runs and not world.runs[number].has_ended
    }
    return moves


def _has_status(world: World, number: int, status: Status) -> bool:
    run = world.runs.get(number)
    return run is not None and run.status is status
