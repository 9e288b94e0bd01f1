"""A hosted world: a world with its configuration, its journal, its encoder and its listeners."""

from __future__ import annotations

import logging
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core.timeline import NEVER, SLICE, SliceEnded
from zof_emulator.http.auth import mark_digest
from zof_emulator.http.encode import Encoder
from zof_emulator.http.evolve import EvolvingEncoder
from zof_emulator.http.pauses import Pauses
from zof_emulator.journal.ring import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.tenants import Key, Organization
    from zof_emulator.core.world import World

_LOG: Final = logging.getLogger("zof_emulator")
_OUTSIDE: Final = 1 << 60
"""The first number of answers that belong to no world, so that a health check does not change the world's numbering."""


class Exchange(NamedTuple):
    """A request and its answer, as listeners receive them. `at` is the world's time in ms."""

    at: int
    method: str
    path: str
    status: int
    request_id: str
    organization: str
    reason: str
    """Why it was refused; empty if it was not."""
    fault: str = ""
    """The ID of the fault that answered; empty if none did."""


class Listeners(NamedTuple):
    """Callbacks for the exchanges of the hosted worlds."""

    on_exchange: Callable[[Exchange], None] | None = None
    """Called after every exchange."""
    on_rate_limited: Callable[[], None] | None = None
    """Called for every request that the rate limit refuses."""
    on_journal_end: Callable[[HostedWorld], None] | None = None
    """Called before the exchanges of a world are dropped."""
    on_world_start: Callable[[HostedWorld], None] | None = None
    """Called when a world has been made, and when it has been reset."""


class HostedWorld:
    """Holds a world; it stays the same object when the world is reset or restored."""

    __slots__ = (
        "__weakref__",
        "_access",
        "_forgotten",
        "_labels",
        "_make_world",
        "_numbers",
        "_outside",
        "_system",
        "authorizations",
        "began",
        "began_with",
        "config",
        "encoder",
        "from_snapshot",
        "is_settling",
        "journal",
        "listeners",
        "mount",
        "name",
        "number",
        "pauses",
        "plain_encoder",
        "used_at",
        "world",
    )

    def __init__(  # noqa: PLR0913  the parts that surround a world
        self,
        config: WorldConfig,
        make_world: Callable[[WorldConfig, int], Generator[None, None, World]],
        system: Callable[[], int],
        access: Callable[[World], Access],
        listeners: Listeners,
        *,
        numbers: Iterator[int],
        name: str = "",
        most_exchanges: int = 0,
    ) -> None:
        """Make a hosted world.

        Args:
            config: the configuration of the world, which a reset uses again.
            make_world: makes a world in slices, given the system's time in ms.
            system: reads the system's clock, in ms.
            access: makes the lookup tables for the keys and labels of a world.
            listeners: the callbacks.
            numbers: the numbers of worlds; each is given once.
            name: the world's name; empty for the default world.
            most_exchanges: the number of exchanges that the journal keeps; 0 for no journal.
        """
        self.name = name
        self.mount = f"/w/{name}" if name else ""
        """The path between the host and the path of the API."""
        self.config = config
        """The configuration with which the world begins, also after a reset."""
        self.listeners = listeners
        self.journal = Journal(most_exchanges) if most_exchanges else None
        self._make_world = make_world
        self._system = system
        self._access = access
        self._numbers = numbers
        self._outside = 0
        self.pauses = Pauses()
        """The requests that wait because of a fault."""
        self.is_settling = False
        """Whether an advance is carried out in slices; nothing else moves the world until it has ended."""
        self.reset()

    def reset(self, config: WorldConfig | None = None) -> None:
        """Replace the world by a new one, which begins with another configuration from now on if one is given."""
        for _ in self.reset_in_slices(config):
            pass  # nobody else is served

    def reset_in_slices(self, config: WorldConfig | None = None) -> Generator[None, None, None]:
        """Do what `reset` does; yields between slices of work. The old world stays until the new one is complete."""
        config = config or self.config
        world = yield from self._make_world(config, self._system())
        self.end_journal()
        self.config = config
        self.used_at = self._system()
        """When the last request came, in ms by the system's clock."""
        self.from_snapshot = False
        self._show(world)
        self.began = self.world.now
        """When the world began, in ms by its own clock."""
        if self.listeners.on_world_start is not None:
            self.listeners.on_world_start(self)

    def restore(self, world: World) -> None:
        """Replace the world by another one, and clear the journal."""
        self.end_journal()
        self.from_snapshot = True
        world.clock = world.clock.catch_up(self._system(), world.now)
        self._show(world)

    def rename(self, name: str) -> HostedWorld:
        """The same world under another name, with no journal."""
        found = copy(self)
        found.name, found.mount, found.journal = name, f"/w/{name}", None
        return found

    def set_number(self, number: int) -> HostedWorld:
        """This hosted world, whose answers that belong to no world are numbered from `number` on."""
        self._outside = number
        return self

    def _show(self, world: World) -> None:
        self.pauses.release_all()
        self._forgotten = world.forgotten  # a greater number is reported once
        self.world = world
        self.number = next(self._numbers)
        """The number of the world among all worlds of the process."""
        self.began_with = world.config
        """The configuration of the world when it began here; a request may change it later."""
        self.plain_encoder = Encoder(world)
        self.choose_encoder()
        access = self._access(world)
        self.authorizations, self._labels = access.authorizations, access.labels
        if self.journal is not None:
            self.journal.begin()

    def end_journal(self) -> None:
        """Report that the exchanges of the world are about to be dropped, if there are any."""
        if self.listeners.on_journal_end is not None and self.journal is not None and self.journal.count:
            self.listeners.on_journal_end(self)

    def choose_encoder(self) -> None:
        """Encode answers as the configuration of the world says; to be called when that has changed."""
        self.encoder = EvolvingEncoder(self.world) if self.world.config.evolve else self.plain_encoder

    def settle(self) -> World:
        """The world, settled at the current instant; it counts as used.

        Raises:
            SliceEnded: more actions are due than one slice has.
        """
        world = self.world
        self.used_at = now = self._system()
        if self.is_settling:
            return world
        world.reach(now, SLICE)
        self._report_forgotten()
        return world

    def _report_forgotten(self) -> None:
        if self.world.forgotten > self._forgotten:
            _LOG.warning("ended runs were deleted to make room; keep more of them with --max-runs")
            self._forgotten = NEVER

    def settle_wholly(self) -> World:
        """The world, settled at the current instant, however long that takes."""
        for _ in self.settle_in_slices():
            pass  # nobody else is served
        return self.world

    def settle_in_slices(self) -> Generator[None, None, None]:
        """Settle the world at the current instant; yields between slices of work."""
        while True:
            with suppress(SliceEnded):
                self.settle()
                return
            yield

    def settle_slice(self) -> World:
        """The world, at most one slice of actions nearer to the current instant."""
        with suppress(SliceEnded):
            self.settle()
        return self.world

    def settle_without_use(self) -> World:
        """The world, at most one slice of actions nearer to the current instant; it does not count as used."""
        self.settle_partly(SLICE)
        return self.world

    def settle_partly(self, most: int) -> int:
        """Carry out at most `most` due actions, which does not count as use.

        Returns:
            How many more actions there could have been.
        """
        if self.is_settling:
            return most
        try:
            left = self.world.reach(self._system(), most)
        except SliceEnded:
            left = 0
        self._report_forgotten()
        return left

    def find_labels(self, organization: str) -> Mapping[str, Sequence[str]]:
        """The labels of an organization, by the name that the document uses in `x-extended-by`."""
        return self._labels.get(organization, _NO_LABELS)

    def make_request_id(self) -> str:
        """The request ID of the world's next answer."""
        self.world.answered += 1
        return self.world.names.request(self.world.answered)

    def find_newest_id(self, *, of_world: bool) -> str:
        """The newest request ID: that of an answer of the world, or that of an answer that belongs to no world."""
        return self.world.names.request(self.world.answered if of_world else _OUTSIDE + self._outside)

    def make_outside_id(self) -> str:
        """The request ID of the next answer that belongs to no world."""
        self._outside += 1
        return self.world.names.request(_OUTSIDE + self._outside)


class Access(NamedTuple):
    """Lookup tables for the requests to a world: its keys and the labels of its organizations."""

    authorizations: Mapping[bytes, Key]
    """The keys by the whole `Authorization` header; those whose secrets are not known, as `mark_digest` says."""
    labels: Mapping[str, Mapping[str, Sequence[str]]]
    keys: Mapping[str, Key]
    organizations: Mapping[str, Organization]

    def fits(self, world: World) -> bool:
        """Whether the tables are valid for a world."""
        return world.keys == self.keys and world.organizations == self.organizations


_NO_LABELS: Final[Mapping[str, Sequence[str]]] = {}


def build_access(world: World) -> Access:
    """The lookup tables for the requests to a world."""
    return Access(
        {f"Bearer {key.secret}".encode(): key for key in world.keys.values() if key.secret}
        | {mark_digest(key.digest): key for key in world.keys.values() if not key.secret},
        {name: {"environments": one.environments} for name, one in world.organizations.items()},
        world.keys,
        world.organizations,
    )


class AccessCache:
    """Makes the lookup tables of worlds; consecutive worlds with the same keys and organizations share them."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Access | None = None

    def __call__(self, world: World) -> Access:
        """The lookup tables for the requests to a world."""
        if self._last is None or not self._last.fits(world):
            self._last = build_access(world)
        return self._last
