"""The control operations on the fault rules of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zof_emulator.core.faults import FaultRule
from zof_emulator.core.fields import InvalidField
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Document, Reply, Request

if TYPE_CHECKING:
    from zof_emulator.core.fault_store import CountedRule
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.spec.fault_rules import FaultJudge


def list_faults(hosted: HostedWorld, _request: Request) -> Reply:
    """List the rules."""
    return Reply(200, Document({"data": show_faults(hosted.world)}))


def create_fault(hosted: HostedWorld, request: Request, judge: FaultJudge) -> Reply:
    """Create a rule."""
    world = hosted.world
    return Reply(201, Document(show_fault(world.faults.add(read_rule(world, dict(request.body), judge)))))


def get_fault(hosted: HostedWorld, request: Request) -> Reply:
    """Retrieve a rule."""
    return Reply(200, Document(show_fault(hosted.world.faults.get(request.id))))


def delete_fault(hosted: HostedWorld, request: Request) -> Reply:
    """Delete a rule; what waits because of it waits no longer."""
    gone = hosted.world.faults.remove(request.id)
    hosted.pauses.release(gone.id)
    return Reply(200, Document(show_fault(gone)))


def read_rule(world: World, value: object, judge: FaultJudge, path: str = "") -> FaultRule:
    """The rule in a JSON value.

    Raises:
        Refused: a field is wrong; its path begins with `path`.
    """
    try:
        return judge.judge(FaultRule.from_json(value), world.organizations, (key.digest for key in world.keys.values()))
    except InvalidField as error:
        param = f"{path}.{error.path}" if path else error.path
        raise Refused("invalid_rule", param, expected=error.expected) from error


def show_fault(found: CountedRule) -> dict[str, Any]:
    """A rule as an object of the control API."""
    return {"id": found.id, **found.rule.to_json(), "calls": found.calls, "hits": found.hits}


def show_faults(world: World) -> list[dict[str, Any]]:
    """All rules of a world as objects of the control API."""
    return [show_fault(one) for one in world.faults.rules()]
