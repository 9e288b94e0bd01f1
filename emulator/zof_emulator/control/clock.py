"""The control operations on the clock of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_emulator.control.advance import Advance
from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.core.refusal import Refused
from zof_emulator.core.world import EventKind
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Document, Item, Reply, Request, Waiting

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


def show_clock(world: World) -> dict[str, Any]:
    """A world's clock as JSON."""
    return {"mode": world.clock.mode, "now": format_rfc3339_ms(world.now), "now_ms": world.now}


def get_clock(hosted: HostedWorld, _request: Request) -> Reply:
    """Read the clock."""
    return Reply(200, Document(show_clock(hosted.world)))


def advance_clock(hosted: HostedWorld, request: Request) -> Reply | Waiting:
    """Move the clock; the answer holds the events on the way."""
    world, recorder, body = hosted.world, _EventRecorder(), request.body
    before = world.now

    def finish() -> Reply:
        happened = [{**one._asdict(), "at": format_rfc3339_ms(one.at)} for one in recorder.events]
        moved = {"moved_ms": world.now - before, "happened": happened, "happened_count": recorder.count}
        return Reply(200, Document(show_clock(world) | moved))

    if "run_id" in body and body.get("until") != "run_ended":
        raise Refused("run_id_alone", "run_id")
    if "until" in body and body["until"] != "window_reset":
        kind = body["until"]
        awaits = kind in _OF_DELIVERIES
        is_reached = _UNTIL[kind](world, body, recorder)
        if not awaits:
            world.check_moving("until")
        return _step(
            world, recorder, Advance(hosted, finish, is_reached=is_reached, awaits_deliveries=awaits, param="until")
        )
    target, param = _find_target(world, body)
    world.check_reachable(target, param)
    return _step(world, recorder, Advance(hosted, finish, target=target))


def advance_run(hosted: HostedWorld, request: Request) -> Reply | Waiting:
    """Move the clock until the next case of a run has ended, or the whole run."""
    world = hosted.world
    run = world.any_run(request.id)
    is_reached = world.watch_progress(run, to_end=request.body.get("to") == "end")
    world.check_moving()

    def finish() -> Reply:
        return Reply(200, Item(world.runs[run.number], views.build_run_detail))

    return Advance(hosted, finish, is_reached=is_reached).step()


def _step(world: World, recorder: _EventRecorder, advance: Advance) -> Reply | Waiting:
    """One step of an advance, whose events the recorder records."""
    world.on_event = recorder
    try:
        outcome = advance.step()
    finally:
        world.on_event = None
    if isinstance(outcome, Waiting):
        return outcome._replace(resume=lambda: _step(world, recorder, advance))
    return outcome


def _find_target(world: World, body: Mapping[str, Any]) -> tuple[int, str]:
    """The instant to move to, and the field that names it."""
    if "to" in body:
        return body["to"], "to"
    if "by_ms" in body:
        return world.now + body["by_ms"], "by_ms"
    return _require_instant(world.limiter.next_reset(world.now)), "until"


def _require_instant(instant: int | None) -> int:
    if instant is None:
        raise Refused("nothing_due")
    return instant


def _watch_run_end(world: World, body: Mapping[str, Any], recorder: _EventRecorder) -> Callable[[], bool]:
    if "run_id" not in body:
        return lambda: recorder.run_ended
    run = world.any_run(body["run_id"])
    if run.has_ended:
        raise Refused("run_ended", status=run.status.value)
    return lambda: run.number not in world.runs or world.runs[run.number].has_ended


_UNTIL: Final[Mapping[str, Callable[[World, Mapping[str, Any], _EventRecorder], Callable[[], bool]]]] = {
    "next": lambda _world, _body, recorder: lambda: recorder.count > 0,
    "run_ended": _watch_run_end,
    "webhook_due": lambda world, _body, _recorder: _count_later_attempts(world),
    "delivered": lambda world, _body, _recorder: lambda: world.outbox.open_count == 0,
}
_OF_DELIVERIES: Final = frozenset({"webhook_due", "delivered"})
"""The conditions that end with the result of a delivery."""


def _count_later_attempts(world: World) -> Callable[[], bool]:
    """The condition that an attempt was made at an instant after the current one."""
    began, count = world.now, [world.outbox.attempt_count]

    def is_reached() -> bool:
        if world.now <= began:
            count[0] = world.outbox.attempt_count
        return world.outbox.attempt_count > count[0]

    return is_reached
