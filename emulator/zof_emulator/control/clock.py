"""The control operations on the clock of a world."""

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

_MOST_EVENTS: Final = 1_000
"""The largest number of events in an answer; further events are only counted."""


class _EventRecorder:
    """Records the events of a world while its clock moves."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.count = 0
        self.run_ended = False

    def __call__(self, event: Event) -> None:
        self.count += 1
        self.run_ended = self.run_ended or event.event is EventKind.RUN_ENDED
        if len(self.events) < _MOST_EVENTS:
            self.events.append(event)


def clock(world: World) -> dict[str, Any]:
    """A world's clock as JSON."""
    return {"mode": world.clock.mode, "now": rfc3339_ms(world.now), "now_ms": world.now}


def get_clock(hosted: HostedWorld, _call: Request) -> Reply:
    """Read the clock."""
    return Reply(200, Document(clock(hosted.world)))


def advance_clock(hosted: HostedWorld, call: Request) -> Reply:
    """Move the clock, and answer with the events until then."""
    world, recorder = hosted.world, _EventRecorder()
    before = world.now
    world.on_event = recorder
    try:
        _move(world, call.body, recorder)
    finally:
        world.on_event = None
    happened = [{**event._asdict(), "at": rfc3339_ms(event.at)} for event in recorder.events]
    moved = {"moved_ms": world.now - before, "happened": happened, "happened_count": recorder.count}
    return Reply(200, Document(clock(world) | moved))


def advance_run(hosted: HostedWorld, call: Request) -> Reply:
    """Move the clock until the next case of a run, or the run, has ended."""
    run = hosted.world.move_run(hosted.world.any_run(call.id), to_end=call.body.get("to") == "end")
    return Reply(200, Item(run, views.run_detail))


def _move(world: World, body: Mapping[str, Any], recorder: _EventRecorder) -> None:
    if "run_id" in body and body.get("until") != "run_ended":
        raise Refused("run_id_alone", "run_id")
    if "to" in body:
        world.move_to(body["to"], "to")
    elif "by_ms" in body:
        world.move_to(world.now + body["by_ms"], "by_ms")
    elif body["until"] == "window_reset":
        world.move_to(_require_instant(world.limiter.next_reset(world.now)), "until")
    else:
        world.move_until(_UNTIL[body["until"]](world, body, recorder))


def _require_instant(instant: int | None) -> int:
    if instant is None:
        raise Refused("nothing_due")
    return instant


def _run_ended(world: World, body: Mapping[str, Any], recorder: _EventRecorder) -> Callable[[], bool]:
    if "run_id" not in body:
        return lambda: recorder.run_ended
    run = world.any_run(body["run_id"])
    if run.has_ended:
        raise Refused("run_ended", status=run.status.value)
    return lambda: run.number not in world.runs or world.runs[run.number].has_ended


_UNTIL: Final[Mapping[str, Callable[[World, Mapping[str, Any], _EventRecorder], Callable[[], bool]]]] = {
    "next": lambda _world, _body, recorder: lambda: recorder.count > 0,
    "run_ended": _run_ended,
}
