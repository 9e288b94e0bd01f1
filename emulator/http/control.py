"""Control: the emulator's own operations, which act on the stage."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from emulator.core.instants import rfc3339_ms
from emulator.handlers import words
from emulator.messages import Call, Document, Item, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emulator.core.world import World
    from emulator.http.stage import Stage
    from emulator.spec.document import Node

PREFIX: Final = "/_emulator"


def installed_version() -> str:
    """The version of the installed distribution; in a checkout that is not installed, `0+checkout`."""
    try:
        return version("zof-emulator")
    except PackageNotFoundError:
        return "0+checkout"


def table(contract: Node) -> Mapping[str, Callable[[Stage, Call], Reply]]:
    """Which function answers which operation; `contract` is the document of the API."""
    about = {"name": "zof-emulator", "version": installed_version(), "contract": contract["info"]["version"]}
    return MappingProxyType(
        {
            "getHealth": lambda _stage, _call: Reply(200, Document({"status": "ok"})),
            "getReady": lambda _stage, _call: Reply(200, Document({"status": "ready"})),
            "getVersion": lambda stage, _call: Reply(200, Document({**about, "seed": stage.world.seed})),
            "getOpenapi": lambda stage, call: Reply(200, Document(_served(contract, stage.world, call.base))),
            "getClock": lambda stage, _call: Reply(200, Document(_clock(stage.world))),
            "resetWorld": _reset,
            "advanceClock": _advance_clock,
            "advanceRun": _advance_run,
        },
    )


def _reset(stage: Stage, _call: Call) -> Reply:
    stage.reset()
    return Reply(200, Document(_clock(stage.world)))


def _advance_clock(stage: Stage, call: Call) -> Reply:
    world = stage.world
    param = "to" if "to" in call.body else "by_ms"
    instant = call.body["to"] if param == "to" else world.now + call.body["by_ms"]
    world.move_to(instant, param)
    return Reply(200, Document(_clock(world)))


def _advance_run(stage: Stage, call: Call) -> Reply:
    run = stage.world.move_run(stage.world.any_run(call.id), to_end=call.body.get("to") == "end")
    return Reply(200, Item(run, words.run_detail))


def _clock(world: World) -> dict[str, Any]:
    return {"mode": world.clock.mode, "now": rfc3339_ms(world.now), "now_ms": world.now}


def _served(contract: Node, world: World, base: str) -> Node:
    """The contract with this server as its server, and the labels of this world's organizations."""
    labels = dict.fromkeys(label for one in world.organizations.values() for label in one.environments)
    return {
        **_extended(contract, {"environments": list(labels)}),
        "servers": [{"url": base + words.PREFIX, "description": "This emulator"}],
    }


def _extended(node: Any, labels: Mapping[str, list[str]]) -> Any:  # noqa: ANN401  a JSON value
    if isinstance(node, list):
        return [_extended(one, labels) for one in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _extended(value, labels) for key, value in node.items()}
    return copy | {"enum": labels[node["x-extended-by"]]} if "x-extended-by" in node else copy
