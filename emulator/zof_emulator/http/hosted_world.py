"""A hosted world: a world as it stands, how to make it anew, its journal, and whom to tell what happened."""

from __future__ import annotations

import logging
from copy import copy
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core.timeline import NEVER
from zof_emulator.http.encode import Encoder
from zof_emulator.journal.ring import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.tenants import Key, Organization
    from zof_emulator.core.world import World

_LOG: Final = logging.getLogger("zof_emulator")
_OUTSIDE: Final = 1 << 60
"""Answers that belong to no world are numbered from here, so that asking for health changes no byte of a world."""


class Exchange(NamedTuple):
    """A request and its answer, as listeners receive them; `at` is the world's time in ms."""

    at: int
    method: str
    path: str
    status: int
    request_id: str
    organization: str
    reason: str
    """Why it was refused; empty when it was not."""


class Listeners(NamedTuple):
    """Callbacks for what happens in the hosted worlds."""

    on_exchange: Callable[[Exchange], None] | None = None
    """Called after every exchange."""
    on_rate_limited: Callable[[], None] | None = None
    """Called for every request that the rate limit refuses."""


class HostedWorld:
    """Holds a world; the one thing of it that outlives a reset."""

    __slots__ = (
        "__weakref__",
        "_access",
        "_forgotten",
        "_fresh",
        "_labels",
        "_outside",
        "_system",
        "authorizations",
        "began",
        "config",
        "encoder",
        "from_snapshot",
        "journal",
        "listeners",
        "mount",
        "name",
        "used_at",
        "world",
    )

    def __init__(  # noqa: PLR0913  what a world needs around it
        self,
        config: WorldConfig,
        fresh: Callable[[WorldConfig, int], World],
        system: Callable[[], int],
        access: Callable[[World], Access],
        listeners: Listeners,
        *,
        name: str = "",
        most_exchanges: int = 0,
    ) -> None:
        """`fresh` makes a world that begins at an instant in ms; `system` reads the system's clock.

        `access` says who may enter; `name` is empty for the default world. The journal keeps `most_exchanges`.
        """
        self.name = name
        self.mount = f"/w/{name}" if name else ""
        """What stands between the host and the API's own path."""
        self.config = config
        """How the world begins, and begins again after a reset."""
        self.listeners = listeners
        self.journal = Journal(most_exchanges) if most_exchanges else None
        self._fresh = fresh
        self._system = system
        self._access = access
        self._outside = 0
        self.reset()

    def reset(self) -> None:
        """Begin again, as at the start."""
        self.used_at = self._system()
        """When a request last came, by the system's clock."""
        self.from_snapshot = False
        self._show(self._fresh(self.config, self.used_at))
        self.began = self.world.now
        """When the world began, by its own clock."""

    def restore(self, world: World) -> None:
        """Go on with another world; the journal of the one before is none of its."""
        self.from_snapshot = True
        world.clock = world.clock.catch_up(self._system(), world.now)
        self._show(world)

    def rename(self, name: str) -> HostedWorld:
        """The same world under another name, with no journal."""
        found = copy(self)
        found.name, found.mount, found.journal = name, f"/w/{name}", None
        return found

    def number_from(self, number: int) -> HostedWorld:
        """This hosted world, whose answers that belong to no world are numbered from `number` on."""
        self._outside = number
        return self

    def _show(self, world: World) -> None:
        self._forgotten = world.forgotten  # with more, it is news, once
        self.world = world
        self.encoder = Encoder(world)
        access = self._access(world)
        self.authorizations, self._labels = access.authorizations, access.labels
        if self.journal is not None:
            self.journal.begin()

    def settle(self) -> World:
        """The world, at the instant that it is."""
        world = self.world
        self.used_at = now = self._system()
        world.reach(now)
        if world.forgotten > self._forgotten:
            _LOG.warning("ended runs were forgotten to make room; to keep more: --max-runs")
            self._forgotten = NEVER
        return world

    def settle_without_use(self) -> World:
        """The world, at the instant that it is, without its having been used."""
        before = self.used_at
        world = self.settle()
        self.used_at = before
        return world

    def labels(self, organization: str) -> Mapping[str, Sequence[str]]:
        """An organization's own labels, by what the spec calls them."""
        return self._labels.get(organization, _NO_LABELS)

    def request_id(self) -> str:
        """The ID of the world's next answer."""
        self.world.answered += 1
        return self.world.names.request(self.world.answered)

    def newest_id(self, *, of_world: bool) -> str:
        """The ID that was given last, to an answer of the world or to one of none."""
        return self.world.names.request(self.world.answered if of_world else _OUTSIDE + self._outside)

    def outside_id(self) -> str:
        """The ID of the next answer that belongs to no world."""
        self._outside += 1
        return self.world.names.request(_OUTSIDE + self._outside)


class Access(NamedTuple):
    """Who may enter a world, and the labels that each organization has of its own."""

    authorizations: Mapping[bytes, Key]
    """The keys, by the whole `Authorization` header."""
    labels: Mapping[str, Mapping[str, Sequence[str]]]
    keys: Mapping[str, Key]
    organizations: Mapping[str, Organization]

    def fits(self, world: World) -> bool:
        """Whether another world is entered like this."""
        return world.keys == self.keys and world.organizations == self.organizations


_NO_LABELS: Final[Mapping[str, Sequence[str]]] = {}


def access_to(world: World) -> Access:
    """Who may enter a world."""
    return Access(
        {f"Bearer {secret}".encode(): key for secret, key in world.keys.items()},
        {name: {"environments": one.environments} for name, one in world.organizations.items()},
        world.keys,
        world.organizations,
    )
