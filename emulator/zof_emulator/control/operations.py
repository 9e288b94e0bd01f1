"""The control operations by operation ID, with those on the server and its worlds."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.control import clock, config, deliveries, faults, journal, scenarios, snapshots
from zof_emulator.control.snapshot_reader import SnapshotReader
from zof_emulator.core.timeline import SLICE
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Document, Reply, Request, Waiting
from zof_emulator.http.world_registry import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_emulator.control.journal_filters import KnownNames
    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Slices
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.world_registry import WorldRegistry
    from zof_emulator.spec.document import Node
    from zof_emulator.spec.fault_rules import FaultJudge


BODY_READERS: Final = MappingProxyType({"restoreSnapshot": SnapshotReader})
"""The readers that read the body of an operation as it arrives, by operation ID."""


def read_version() -> str:
    """The version of the installed distribution; in a checkout that is not installed, `0+checkout`."""
    try:
        return version("zof-emulator")
    except PackageNotFoundError:
        return "0+checkout"


def build_table(
    contract: Node, names: KnownNames, worlds: WorldRegistry, judge: FaultJudge, public_url: str = ""
) -> Mapping[str, Callable[[HostedWorld, Request], Reply | Waiting | Slices]]:
    """Which function answers which operation.

    `contract` is the document of the API, `names` are those that filters of the journal may use, `judge` judges fault
    rules, and links begin with `public_url`.
    """
    about = {"name": "zof-emulator", "version": read_version(), "contract": contract["info"]["version"]}
    return MappingProxyType(
        {
            "getHealth": lambda _hosted, _request: Reply(200, Document({"status": "ok"})),
            "getReady": lambda _hosted, _request: Reply(200, Document({"status": "ready"})),
            "getVersion": lambda hosted, _request: Reply(200, Document({**about, "seed": hosted.world.seed})),
            "getOpenapi": lambda hosted, request: Reply(
                200, Document(_serve_contract(contract, hosted.world, request.base))
            ),
            "getClock": clock.get_clock,
            "advanceClock": clock.advance_clock,
            "advanceRun": clock.advance_run,
            "resetWorld": _reset,
            "listWorlds": lambda hosted, request: _list_worlds(worlds, hosted, request),
            "createWorld": lambda hosted, request: _create_world(worlds, hosted, request),
            "getWorld": lambda hosted, request: Reply(
                200, Document(_show_settled_world(worlds.find(request.id), _find_root(hosted, request)))
            ),
            "deleteWorld": lambda hosted, request: _delete_world(worlds, hosted, request),
            "forkWorld": lambda hosted, request: _fork_world(worlds, hosted, request),
            "listExchanges": lambda hosted, request: journal.list_exchanges(hosted, request, names),
            "clearJournal": journal.clear_journal,
            "verifyJournal": lambda hosted, request: journal.verify_journal(hosted, request, names),
            "exportJournal": lambda hosted, _request: journal.export_journal(hosted, public_url),
            "exportHar": journal.export_har,
            "getScenario": scenarios.get_scenario,
            "putScenario": scenarios.put_scenario,
            "getScenarioSchema": lambda _hosted, _request: scenarios.get_schema(),
            "getSnapshot": snapshots.get_snapshot,
            "listDeliveries": deliveries.list_deliveries,
            "getDelivery": deliveries.get_delivery,
            "disturbDelivery": deliveries.disturb_delivery,
            "listDeliveryRules": deliveries.list_rules,
            "createDeliveryRule": deliveries.create_rule,
            "clearDeliveryRules": deliveries.clear_rules,
            "sendEvent": lambda hosted, request: deliveries.send_event(hosted, request, contract),
            "listFaults": faults.list_faults,
            "createFault": lambda hosted, request: faults.create_fault(hosted, request, judge),
            "getFault": faults.get_fault,
            "deleteFault": faults.delete_fault,
            "getConfig": config.get_config,
            "changeConfig": lambda hosted, request: config.change_config(hosted, request, judge),
            "restoreSnapshot": snapshots.restore_snapshot,
        },
    )


def _reset(hosted: HostedWorld, request: Request) -> Slices:
    yield from hosted.reset_in_slices()
    return clock.get_clock(hosted, request)


def _list_worlds(worlds: WorldRegistry, hosted: HostedWorld, request: Request) -> Reply:
    """All worlds, which are together at most one slice of actions nearer to the current instant."""
    root, left, shown = _find_root(hosted, request), SLICE, []
    for one in worlds:
        left = one.settle_partly(left)
        shown.append(_show_world(one, root))
    return Reply(200, Document({"data": shown}))


def _create_world(worlds: WorldRegistry, hosted: HostedWorld, request: Request) -> Slices:
    """A world is made in slices, and is there when it is complete."""
    given = dict(request.body)
    name = given.pop("name")
    chosen = scenarios.choose_config(worlds.default.config, given)
    created = yield from worlds.create_in_slices(name, chosen)
    return Reply(201, Document(_show_world(created, _find_root(hosted, request))))


def _fork_world(worlds: WorldRegistry, hosted: HostedWorld, request: Request) -> Slices:
    """A fork is made in slices, and is there when it is complete."""
    parent, name = worlds.find(request.id), request.body["name"]
    yield from parent.settle_in_slices()
    worlds.check_new(name)
    copy = yield from snapshots.copy_world(parent)
    created = worlds.create_copy(name, parent, copy)
    return Reply(201, Document(_show_world(created, _find_root(hosted, request))))


def _delete_world(worlds: WorldRegistry, hosted: HostedWorld, request: Request) -> Reply:
    gone = _show_settled_world(worlds.find(request.id), _find_root(hosted, request))
    worlds.delete(request.id)
    return Reply(200, Document(gone))


def _show_settled_world(hosted: HostedWorld, root: str) -> dict[str, Any]:
    """A world as JSON, at most one slice of actions nearer to the current instant."""
    hosted.settle_without_use()
    return _show_world(hosted, root)


def _show_world(hosted: HostedWorld, root: str) -> dict[str, Any]:
    world, journal = hosted.world, hosted.journal
    return {
        "name": hosted.name or DEFAULT,
        "base_url": f"{root}{hosted.mount}{views.PREFIX}",
        "seed": world.seed,
        "scenario": hosted.config.scenario.name,
        "from_snapshot": hosted.from_snapshot,
        "clock": clock.show_clock(world),
        "runs": len(world.runs),
        "forgotten_runs": world.forgotten,
        "requests": world.answered,
        "exchanges": 0 if journal is None else journal.count - journal.dropped_count,
    }


def _find_root(hosted: HostedWorld, request: Request) -> str:
    """The URL below which the client reaches the emulator; `hosted` is the world that the request was sent to."""
    return request.base.removesuffix(hosted.mount)


def _serve_contract(contract: Node, world: World, base: str) -> Node:
    """The contract with the URL of this server and the environment labels of this world's organizations."""
    labels = dict.fromkeys(label for one in world.organizations.values() for label in one.environments)
    return {
        **_extend_labels(contract, {"environments": list(labels)}),
        "servers": [{"url": base + views.PREFIX, "description": "This emulator"}],
    }


def _extend_labels(node: Any, labels: Mapping[str, list[str]]) -> Any:  # noqa: ANN401  a JSON value
    if isinstance(node, list):
        return [_extend_labels(one, labels) for one in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _extend_labels(value, labels) for key, value in node.items()}
    if "x-extended-by" in copy:
        del copy["x-extensible-enum"]
        copy["enum"] = labels[copy["x-extended-by"]]
    return copy
