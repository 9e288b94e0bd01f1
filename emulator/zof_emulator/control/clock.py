"""Moving: the emulator's own operations on the clock of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.instants import rfc3339_ms
from zof_emulator.core.refusal import Refused
from zof_emulator.core.world import EventKind
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Document, Item, Reply, Request

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


def advance_clock(hosted: HostedWorld, call: Request) -> Reply:
    """Move the clock, and tell what happened on the way."""
    world, witness = hosted.world, _Witness()
    before = world.now
    world.on_event = witness
    try:
        _move(world, call.body, witness)
    finally:
        world.on_event = None
    happened = [{**one._asdict(), "at": rfc3339_ms(one.at)} for one in witness.told]
    moved = {"moved_ms": world.now - before, "happened": happened, "happened_count": witness.count}
    return Reply(200, Document(clock(world) | moved))


def advance_run(hosted: HostedWorld, call: Request) -> Reply:
    """Move the clock until a run has come further."""
    run = hosted.world.move_run(hosted.world.any_run(call.id), to_end=call.body.get("to") == "end")
    return Reply(200, Item(run, views.run_detail))


def _move(world: World, asked: Mapping[str, Any], witness: _Witness) -> None:
    if "run_id" in asked and asked.get("until") != "run_ended":
        raise Refused("run_id_alone", "run_id")
    if "to" in asked:
        world.move_to(asked["to"], "to")
    elif "by_ms" in asked:
        world.move_to(world.now + asked["by_ms"], "by_ms")
    elif asked["until"] == "window_reset":
        world.move_to(_instant(world.limiter.next_reset(world.now)), "until")
    else:
        world.move_until(_UNTIL[asked["until"]](world, asked, witness))


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
}
