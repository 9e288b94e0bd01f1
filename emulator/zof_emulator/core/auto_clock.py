"""The auto clock: a client that polls or retries moves the clock to what it waits for.

A poll of a run that has not ended moves it to the next change of that run, and a retry after a 429 moves it to the end
of the rate-limit window. On the way the clock stops at each instant at which a webhook delivery is due, so that the
attempt is made at that instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST
from zof_emulator.core.timeline import NEVER, SLICE, MustWait, SliceEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.core.lifecycle import Status
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


class DeliveryDue(MustWait):
    """The clock has stopped at a webhook delivery. The caller waits for the attempt and repeats its call."""


def move_on_poll(world: World, runs: Sequence[Run]) -> bool:
    """Record that an answer shows these runs, and move the clock if the client waits for them.

    The clock moves in the mode `auto` only, and only if earlier answers showed the current status of each run that has
    not ended. It moves until one of these runs starts or ends.

    Returns:
        Whether the clock moved. The runs are then out of date, and the caller looks them up again.

    Raises:
        DeliveryDue: an attempt to send a webhook must end first.
        SliceEnded: more actions are due on the way than one slice has.
    """
    if world.clock.mode is not ClockMode.AUTO:
        return False
    waiting = {run.number: run.status for run in runs if not run.has_ended}
    known = all(world.seen.get(number) is status for number, status in waiting.items())
    moves = bool(waiting) and known and world.now + world.most_work_ms() <= LAST
    left = SLICE
    while moves and all(_has_status(world, number, status) for number, status in waiting.items()):
        left = _step(world, world.agenda.first, left)
    world.seen |= {
        number: world.runs[number].status
        for number in waiting
        if number in world.runs and not world.runs[number].has_ended
    }
    return moves


def move_to_end_of_window(world: World, end: int) -> None:
    """Move the clock to the end of a rate-limit window (ms), in the mode `auto`.

    Raises:
        DeliveryDue: an attempt to send a webhook must end first.
        SliceEnded: more actions are due on the way than one slice has.
    """
    left = SLICE
    while world.now < end:
        left = _step(world, min(end, world.agenda.first), left)


def _step(world: World, instant: int, left: int) -> int:
    """Move the clock to an instant (ms) if no delivery is due now, and actions are `left` of the slice.

    Returns:
        How many actions are left after that; the actions of one instant are not divided.

    Raises:
        DeliveryDue, SliceEnded: the clock may not move now.
    """
    if world.outbox.has_due(world.now):
        raise DeliveryDue
    if left <= 0:
        raise SliceEnded
    return left - NEVER + world.move_to(max(world.now, instant))


def _has_status(world: World, number: int, status: Status) -> bool:
    run = world.runs.get(number)
    return run is not None and run.status is status
