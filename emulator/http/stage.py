"""The stage: the world as it stands, how to make it anew, and whom to tell what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emulator.core.tenants import Key
    from emulator.core.world import World

_OUTSIDE: Final = 1 << 60
"""Answers that belong to no world are numbered from here, so that asking for health changes no byte of a world."""


class Exchange(NamedTuple):
    """What is told of a request and its answer; `at` is the world's time in ms."""

    at: int
    method: str
    path: str
    status: int
    request_id: str
    organization: str
    reason: str
    """Why it was refused; empty when it was not."""


class Stage:
    """Holds the world; the one thing that outlives a reset."""

    __slots__ = ("_fresh", "_labels", "_outside", "_system", "authorizations", "limited", "public_url", "told", "world")

    def __init__(
        self,
        fresh: Callable[[int], World],
        system: Callable[[], int],
        *,
        public_url: str = "",
        told: Callable[[Exchange], None] | None = None,
        limited: Callable[[], None] | None = None,
    ) -> None:
        """`fresh` makes a world that begins at an instant in ms; `system` reads the system's clock.

        Links in answers begin with `public_url`, or with what the client called us; `told` hears of every exchange,
        `limited` of each that the rate limit refused.
        """
        self.public_url = public_url
        self._fresh = fresh
        self._system = system
        self._outside = 0
        self.told = told
        self.limited = limited
        self.reset()

    def reset(self) -> None:
        """Begin again, as at the start."""
        self.world = self._fresh(self._system())
        self.authorizations: Mapping[bytes, Key] = {
            f"Bearer {secret}".encode(): key for secret, key in self.world.keys.items()
        }
        self._labels = {name: {"environments": one.environments} for name, one in self.world.organizations.items()}

    def settled(self) -> World:
        """The world, at the instant that it is."""
        world = self.world
        world.settle(world.clock.read(self._system(), world.now))
        return world

    def labels(self, organization: str) -> Mapping[str, Sequence[str]]:
        """An organization's own labels, by what the spec calls them."""
        return self._labels.get(organization, {})

    def request_id(self) -> str:
        """The ID of the world's next answer."""
        self.world.answered += 1
        return self.world.names.request(self.world.answered)

    def outside_id(self) -> str:
        """The ID of the next answer that belongs to no world."""
        self._outside += 1
        return self.world.names.request(_OUTSIDE + self._outside)
