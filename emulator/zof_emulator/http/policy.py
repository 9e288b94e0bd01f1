"""How the two documents differ: what their operations act on, how their answers are numbered, what is journaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.spec.operation import Operation

JOURNALED_CONTROL_OPERATIONS: Final = frozenset(
    {"advanceClock", "advanceRun", "clearDeliveryRules", "createDeliveryRule", "disturbDelivery", "sendEvent"}
)
"""The control operations that change what the API answers or sends next, so that a replay needs them."""


RESTORE: Final = "restoreSnapshot"
_LARGEST_RUN: Final = 50_000
"""How many bytes a run of 500 cases takes in a snapshot at most."""


class Policy(Protocol):
    """What `OpenApiApp` asks about the operations of its document."""

    has_cursors: bool
    """Whether `starting_after` is a sealed cursor of a list."""

    def subject(self, hosted: HostedWorld) -> World | HostedWorld:
        """Return what the operations act on: the first argument of a handler."""

    def next_id(self, hosted: HostedWorld) -> str:
        """Return the request ID of the next answer."""

    def newest_id(self, hosted: HostedWorld) -> str:
        """Return the request ID of the newest answer."""

    def journal_id(self, hosted: HostedWorld) -> str:
        """Return the request ID that the journal stores; empty when the journal derives it from the world."""

    def is_journaled(self, operation: Operation | None) -> bool:
        """Whether the journal records an exchange of this operation; None when the request reached none."""

    def most_body_bytes(self, operation: Operation, hosted: HostedWorld) -> int:
        """Return how many bytes the body of an operation may have, which has one."""


class ApiPolicy:
    """The API: its operations act on the world, which numbers and journals every answer."""

    has_cursors = True

    @staticmethod
    def subject(hosted: HostedWorld) -> World:
        """Return the world."""
        return hosted.world

    @staticmethod
    def next_id(hosted: HostedWorld) -> str:
        """Return the ID of the world's next answer."""
        return hosted.request_id()

    @staticmethod
    def newest_id(hosted: HostedWorld) -> str:
        """Return the ID of the world's newest answer."""
        return hosted.newest_id(of_world=True)

    @staticmethod
    def journal_id(_hosted: HostedWorld) -> str:
        """Return nothing: the world's answers are numbered without a gap."""
        return ""

    @staticmethod
    def is_journaled(_operation: Operation | None) -> bool:
        """Every exchange is journaled."""
        return True

    @staticmethod
    def most_body_bytes(operation: Operation, _hosted: HostedWorld) -> int:
        """Return the bound of the document."""
        return 0 if operation.body is None else operation.body.most_bytes


class ControlPolicy:
    """The control operations: they act on the hosted world, and their answers leave the world's numbering alone."""

    has_cursors = False

    @staticmethod
    def subject(hosted: HostedWorld) -> HostedWorld:
        """Return the hosted world."""
        return hosted

    @staticmethod
    def next_id(hosted: HostedWorld) -> str:
        """Return the ID of the next answer that belongs to no world."""
        return hosted.outside_id()

    @staticmethod
    def newest_id(hosted: HostedWorld) -> str:
        """Return the ID of the newest answer that belongs to no world."""
        return hosted.newest_id(of_world=False)

    @staticmethod
    def journal_id(hosted: HostedWorld) -> str:
        """Return the ID of the newest answer that belongs to no world."""
        return hosted.newest_id(of_world=False)

    @staticmethod
    def is_journaled(operation: Operation | None) -> bool:
        """Whether the operation changes what the API answers or sends next."""
        return operation is not None and operation.id in JOURNALED_CONTROL_OPERATIONS

    @staticmethod
    def most_body_bytes(operation: Operation, hosted: HostedWorld) -> int:
        """Return the bound of the document; for a snapshot what the largest world like this one takes beyond it."""
        most = 0 if operation.body is None else operation.body.most_bytes
        if operation.id != RESTORE:
            return most
        world = hosted.world
        runs = 2 * world.config.max_runs * len(world.organizations) + len(world.runs)
        return most + world.retention.answers_bytes * 2 + runs * _LARGEST_RUN
