"""The differences between the two documents: the subject of operations, the request IDs, and what is journaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.spec.operation import Operation

JOURNALED_CONTROL_OPERATIONS: Final = frozenset(
    {
        "advanceClock",
        "advanceRun",
        "changeConfig",
        "clearDeliveryRules",
        "createDeliveryRule",
        "createFault",
        "deleteFault",
        "disturbDelivery",
        "sendEvent",
    }
)
"""The control operations that change what the API answers or sends next, so that a replay needs them."""


OPERATIONS_OF_NO_WORLD: Final = frozenset(
    {
        "getHealth",
        "getReady",
        "getVersion",
        "getOpenapi",
        "listWorlds",
        "createWorld",
        "getWorld",
        "deleteWorld",
        "resetWorld",
        "putScenario",
        "getScenarioSchema",
    }
)
"""The control operations that are answered while an advance of their world is carried out; a reset ends the advance."""
RESTORE: Final = "restoreSnapshot"
_LARGEST_RUN: Final = 50_000
"""How many bytes a run of 500 cases takes in a snapshot at most."""


class Policy(Protocol):
    """The decisions of `OpenApiApp` that differ between the documents."""

    has_cursors: bool
    """Whether `starting_after` is a sealed cursor of a list."""
    encoder: str
    """The attribute of a hosted world that is the encoder of the answers."""

    def choose_subject(self, hosted: HostedWorld) -> World | HostedWorld:
        """Return what the operations act on: the first argument of a handler."""

    def make_next_id(self, hosted: HostedWorld) -> str:
        """Return the request ID of the next answer."""

    def find_newest_id(self, hosted: HostedWorld) -> str:
        """Return the request ID of the newest answer."""

    def choose_journal_id(self, operation: Operation | None, hosted: HostedWorld) -> str | None:
        """Return the request ID that the journal stores; empty when the journal derives it from the world.

        None when the journal does not record exchanges of this operation. `operation` is None when the request
        reached none.
        """

    def needs_settled_world(self, operation: Operation | None) -> bool:
        """Whether the operation waits while an advance of its world is carried out."""

    def limit_body_bytes(self, operation: Operation, hosted: HostedWorld) -> int:
        """Return how many bytes the body of an operation may have, which has one."""


class ApiPolicy:
    """The API: its operations act on the world, which numbers and journals every answer."""

    has_cursors = True
    encoder = "encoder"

    @staticmethod
    def choose_subject(hosted: HostedWorld) -> World:
        """Return the world."""
        return hosted.world

    @staticmethod
    def make_next_id(hosted: HostedWorld) -> str:
        """Return the ID of the world's next answer."""
        return hosted.make_request_id()

    @staticmethod
    def find_newest_id(hosted: HostedWorld) -> str:
        """Return the ID of the world's newest answer."""
        return hosted.find_newest_id(of_world=True)

    @staticmethod
    def choose_journal_id(_operation: Operation | None, _hosted: HostedWorld) -> str:
        """Return an empty text: every exchange is journaled, and the world numbers its answers without a gap."""
        return ""

    @staticmethod
    def needs_settled_world(_operation: Operation | None) -> bool:
        """Every operation waits."""
        return True

    @staticmethod
    def limit_body_bytes(operation: Operation, _hosted: HostedWorld) -> int:
        """Return the bound of the document."""
        return 0 if operation.body is None else operation.body.most_bytes


class ControlPolicy:
    """The control operations: they act on the hosted world, and their answers leave the world's numbering alone."""

    has_cursors = False
    encoder = "plain_encoder"

    @staticmethod
    def choose_subject(hosted: HostedWorld) -> HostedWorld:
        """Return the hosted world."""
        return hosted

    @staticmethod
    def make_next_id(hosted: HostedWorld) -> str:
        """Return the ID of the next answer that belongs to no world."""
        return hosted.make_outside_id()

    @staticmethod
    def find_newest_id(hosted: HostedWorld) -> str:
        """Return the ID of the newest answer that belongs to no world."""
        return hosted.find_newest_id(of_world=False)

    @staticmethod
    def choose_journal_id(operation: Operation | None, hosted: HostedWorld) -> str | None:
        """Return the ID of the newest answer that belongs to no world if the operation changes what the API does."""
        is_journaled = operation is not None and operation.id in JOURNALED_CONTROL_OPERATIONS
        return hosted.find_newest_id(of_world=False) if is_journaled else None

    @staticmethod
    def needs_settled_world(operation: Operation | None) -> bool:
        """Whether the operation is about a world, and does not reset it."""
        return operation is not None and operation.id not in OPERATIONS_OF_NO_WORLD

    @staticmethod
    def limit_body_bytes(operation: Operation, hosted: HostedWorld) -> int:
        """Return the bound of the document; for a snapshot what the largest world like this one takes beyond it."""
        most = 0 if operation.body is None else operation.body.most_bytes
        if operation.id != RESTORE:
            return most
        world = hosted.world
        runs = 2 * world.config.max_runs * len(world.organizations) + len(world.runs)
        return most + world.retention.answers_bytes * 2 + runs * _LARGEST_RUN
