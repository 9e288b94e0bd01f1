"""Moving: the emulator's own operations on the clock of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_emulator.control.advance import Advance
from zof_emulator.core.instants import rfc3339_ms
from zof_emulator.core.refusal import Refused
from zof_emulator.core.world import EventKind
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Document, Item, Reply, Request, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_emulator.core.world import Event, World
    from zof_emulator.http.hosted_world import HostedWorld

_MOST_TOLD: Final = 1_000
"""How many of the things that happened an answer tells; the others are counted."""


class _Witness:
    """Sees what happens in a world while its clock moves."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.count = 0
        self.run_ended = False

    def __call__(self, event: Event) -> None:
        self.count += 1
        self.run_ended = self.run_ended or event.event is EventKind.RUN_ENDED
        if len(self.told) < _MOST_TOLD:
            self.told.append(event)


def clock(world: World) -> dict[str, Any]:
    """A world's clock, in the words of the wire."""
    return {"mode": world.clock.mode, "now": rfc3339_ms(world.now), "now_ms": world.now}


def get_clock(hosted: HostedWorld, _call: Request) -> Reply:
    """Read the clock."""
    return Reply(200, Document(clock(hosted.world)))


def advance_clock(hosted: HostedWorld, call: Request) -> Reply | Waiting:
    """Move the clock, and tell what happened on the way."""
    world, witness, asked = hosted.world, _Witness(), call.body
    before = world.now

    def finish() -> Reply:
        happened = [{**one._asdict(), "at": rfc3339_ms(one.at)} for one in witness.told]
        moved = {"moved_ms": world.now - before, "happened": happened, "happened_count": witness.count}
        return Reply(200, Document(clock(world) | moved))

    if "run_id" in asked and asked.get("until") != "run_ended":
        raise Refused("run_id_alone", "run_id")
    if "until" in asked and asked["until"] != "window_reset":
        kind = asked["until"]
        awaits = kind in _OF_DELIVERIES
        has_come = _UNTIL[kind](world, asked, witness)
        if not awaits:
            world.check_moving()
        return _step(world, witness, Advance(hosted, finish, has_come=has_come, awaits_deliveries=awaits))
    target, param = _target(world, asked)
    world.check_reachable(target, param)
    return _step(world, witness, Advance(hosted, finish, target=target))


def advance_run(hosted: HostedWorld, call: Request) -> Reply | Waiting:
    """Move the clock until a run has come further."""
    world = hosted.world
    run = world.any_run(call.id)
    has_come = world.run_progress(run, to_end=call.body.get("to") == "end")
    world.check_moving()

    def finish() -> Reply:
        return Reply(200, Item(world.runs[run.number], views.run_detail))

    return Advance(hosted, finish, has_come=has_come).step()


def _step(world: World, witness: _Witness, advance: Advance) -> Reply | Waiting:
    """One step of an advance, of which the witness sees what happens."""
    world.on_event = witness
    try:
        found = advance.step()
    finally:
        world.on_event = None
    return Waiting(lambda: _step(world, witness, advance)) if isinstance(found, Waiting) else found


def _target(world: World, asked: Mapping[str, Any]) -> tuple[int, str]:
    """The instant to move to, and the field that names it."""
    if "to" in asked:
        return asked["to"], "to"
    if "by_ms" in asked:
        return world.now + asked["by_ms"], "by_ms"
    return _instant(world.limiter.next_reset(world.now)), "until"


def _instant(found: int | None) -> int:
    if found is None:
        raise Refused("nothing_due")
    return found


def _run_ended(world: World, asked: Mapping[str, Any], witness: _Witness) -> Callable[[], bool]:
    if "run_id" not in asked:
        return lambda: witness.run_ended
    run = world.any_run(asked["run_id"])
    if run.has_ended:
        raise Refused("run_ended", status=run.status.value)
    return lambda: run.number not in world.runs or world.runs[run.number].has_ended


_UNTIL: Final[Mapping[str, Callable[[World, Mapping[str, Any], _Witness], Callable[[], bool]]]] = {
    "next": lambda _world, _asked, witness: lambda: witness.count > 0,
    "run_ended": _run_ended,
    "webhook_due": lambda world, _asked, _witness: _count_later_attempts(world),
    "delivered": lambda world, _asked, _witness: lambda: world.outbox.open_count == 0,
}
_OF_DELIVERIES: Final = frozenset({"webhook_due", "delivered"})
"""What ends with the result of a delivery."""


def _count_later_attempts(world: World) -> Callable[[], bool]:
    """Whether an attempt was made at a later instant than the present one."""
    began, count = world.now, [world.outbox.attempt_count]

    def has_come() -> bool:
        if world.now <= began:
            count[0] = world.outbox.attempt_count
        return world.outbox.attempt_count > count[0]

    return has_come
