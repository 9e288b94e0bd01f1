"""Advancing a clock past webhook deliveries: each attempt is made at the instant at which it is due.

The clock stops at every instant at which a delivery is due, and the operation waits until the attempts have ended.
So the same requests lead to the same attempts at the same instants, however long receivers take in real time.
A long advance is carried out in slices, between which other worlds are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core.refusal import Refused
from zof_emulator.core.timeline import NEVER
from zof_emulator.handlers.messages import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_emulator.handlers.messages import Reply
    from zof_emulator.http.hosted_world import HostedWorld


_SLICE: Final = 1_000
"""The number of actions in one slice: about ten milliseconds of work."""


class Advance:
    """One advance of a world's clock, in as many steps as deliveries need."""

    __slots__ = ("_awaits_deliveries", "_finish", "_hosted", "_is_reached", "_param", "_target", "_world")

    def __init__(  # noqa: PLR0913  what an advance depends on
        self,
        hosted: HostedWorld,
        finish: Callable[[], Reply],
        *,
        target: int | None = None,
        is_reached: Callable[[], bool] | None = None,
        awaits_deliveries: bool = False,
        param: str | None = None,
    ) -> None:
        """Advance to the instant `target` (ms), or until `is_reached` is true; then `finish` makes the answer.

        `awaits_deliveries` says whether `is_reached` depends on the result of a delivery. `param` names the field
        to blame if the clock would pass the year 9999.
        """
        self._hosted = hosted
        self._world = hosted.world
        self._finish = finish
        self._target = target
        self._is_reached = is_reached
        self._awaits_deliveries = awaits_deliveries
        self._param = param

    def step(self) -> Reply | Waiting:
        """Move the clock until it has to wait for a delivery or another slice, or the advance has ended.

        Raises:
            Refused: `is_reached` can never be true, or the world was replaced.
        """
        world, target, left = self._world, self._target, _SLICE
        while True:
            if self._hosted.world is not world:  # it was reset or replaced while this advance waited
                raise Refused("nothing_due")
            if not left:
                return Waiting(self.step, is_slice=True)
            if world.agenda.first <= world.now:  # the slice before ended in the middle of an instant
                left = world.move_to(world.now, most=left)
                continue
            is_busy = world.outbox.has_due(world.now)
            if is_busy and self._awaits_deliveries:
                return Waiting(self.step)
            if self._has_ended():
                return self._finish()
            if is_busy:
                return Waiting(self.step)
            following = world.agenda.first if target is None else min(world.agenda.first, target)
            if following == NEVER:
                raise Refused("nothing_due")
            left = world.move_to(max(world.now, following), self._param, left)

    def _has_ended(self) -> bool:
        if self._target is not None:
            return self._world.now >= self._target and self._world.agenda.first > self._world.now
        return self._is_reached is not None and self._is_reached()
