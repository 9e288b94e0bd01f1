"""The registry of the worlds of a process: creates, finds and deletes them by name."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import SECOND
from zof_emulator.core.refusal import Refused
from zof_emulator.core.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld

    Make = Callable[[str, WorldConfig | None], HostedWorld]

DEFAULT: Final = "default"
_LOG: Final = logging.getLogger("zof_emulator")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_world_name(name: str) -> bool:
    """Whether a world can have this name."""
    return _NAME.fullmatch(name) is not None


class WorldRegistry:
    """The worlds of a process. The default world always exists."""

    def __init__(self, make: Make, system: Callable[[], int], *, most: int, idle_ms: int) -> None:
        """Make a registry with the default world.

        Args:
            make: makes a hosted world from a name, empty for the default world, and a configuration.
            system: reads the system's clock, in ms.
            most: the largest number of worlds.
            idle_ms: the time in ms after which an unused world may be deleted to make room for another.
        """
        self.default = make("", None)
        self._make = make
        self._system = system
        self._most = most
        self._idle_ms = idle_ms
        self._by_name = {DEFAULT: self.default}
        self._pending: set[str] = set()
        """The names of the worlds that are being created in slices."""
        self._makings = 0
        """How many worlds are being made in slices."""
        self._refusing: HostedWorld | None = None
        self._refusing_for: WorldConfig | None = None
        self._previews = 0

    def __iter__(self) -> Iterator[HostedWorld]:
        return iter(tuple(self._by_name.values()))

    def get(self, name: str) -> HostedWorld | None:
        """The world with this name, None when there is none; `Refused` when there can be none."""
        found = self._by_name.get(name)
        if found is None and not is_world_name(name):
            raise Refused("invalid_world", "name")
        return found

    @property
    def is_busy(self) -> bool:
        """Whether a world like the default one should not be made now, since another one is being made in slices."""
        return self._makings > 0 and bool(self.default.config.scenario.runs)

    def preview_in_slices(self, name: str) -> Generator[None, None, HostedWorld]:
        """Make a world as one with this name would begin, to answer one request; it is not added."""
        self._previews += 1
        number = self._previews  # another preview may begin meanwhile
        hosted = yield from self._make_in_slices(name, self.default.config)
        return hosted.set_number(number)

    def stand_in(self, name: str) -> HostedWorld:
        """A world without the runs of its scenario, to refuse one request for a world that is not there."""
        config = self.default.config
        if self._refusing is None or self._refusing_for is not config:
            self._refusing = self._make("", replace(config, scenario=replace(config.scenario, runs=())))
            self._refusing_for = config
        self._previews += 1
        return self._refusing.rename(name).set_number(self._previews)

    def find(self, name: str) -> HostedWorld:
        """The world with this name.

        Raises:
            Refused: no world has this name.
        """
        hosted = self._by_name.get(name)
        if hosted is None:
            raise Refused("world_not_found", name=name[:64])
        return hosted

    def create(self, name: str, config: WorldConfig | None) -> HostedWorld:
        """Create a world, with the configuration of the default world unless another one is given.

        Raises:
            Refused: the name is malformed or in use, or there are too many worlds.
        """
        self.check_new(name)
        hosted = self._by_name[name] = self._make(name, config or self.default.config)
        return hosted

    def create_in_slices(self, name: str, config: WorldConfig) -> Generator[None, None, HostedWorld]:
        """Do what `create` does; yields between slices of work, and the world is there when it is complete.

        Raises:
            Refused: the name is malformed or in use, or there are too many worlds.
        """
        if not config.scenario.runs:  # there is little to make
            return self.create(name, config)
        self.check_new(name)
        self._pending.add(name)
        try:
            hosted = yield from self._make_in_slices(name, config)
        finally:
            self._pending.discard(name)
        self.check_new(name)
        self._by_name[name] = hosted
        return hosted

    def create_copy(self, name: str, parent: HostedWorld, world: World) -> HostedWorld:
        """Create a world that holds a copy of its parent's world, and begins as its parent does after a reset.

        Raises:
            Refused: the name is malformed or in use, or there are too many worlds.
        """
        self.check_new(name)
        hosted = self._make(name, replace(parent.config, scenario=Scenario.EMPTY))
        hosted.config = parent.config
        hosted.restore(world)
        self._by_name[name] = hosted
        return hosted

    def _make_in_slices(self, name: str, config: WorldConfig) -> Generator[None, None, HostedWorld]:
        if not config.scenario.runs:
            return self._make(name, config)
        self._makings += 1
        try:
            hosted = self._make(name, replace(config, scenario=Scenario.EMPTY))
            yield from hosted.reset_in_slices(config)
        finally:
            self._makings -= 1
        return hosted

    def check_new(self, name: str) -> None:
        """Check that a world with this name can be created.

        Raises:
            Refused: the name is malformed or in use, or there are too many worlds.
        """
        if not is_world_name(name):
            raise Refused("invalid_world", "name")
        if name in self._by_name or name in self._pending:
            raise Refused("world_exists", "name", name=name)
        self._drop_idle()
        if len(self._by_name) + len(self._pending) >= self._most:
            _LOG.warning("the limit of %d worlds is reached; raise it with --max-worlds", self._most)
            raise Refused("too_many_worlds", most=self._most)

    def delete(self, name: str) -> None:
        """Delete a world.

        Raises:
            Refused: no world has this name, or it is the default world.
        """
        hosted = self.find(name)
        if hosted is self.default:
            raise Refused("world_needed")
        hosted.pauses.release_all()
        hosted.end_journal()
        del self._by_name[name]

    def _drop_idle(self) -> None:
        before = self._system() - self._idle_ms
        idle = [name for name, one in self._by_name.items() if one.used_at < before and one is not self.default]
        for name in idle:
            self._by_name[name].end_journal()
            del self._by_name[name]
        if idle:
            _LOG.warning(
                "deleted %d worlds that were unused for %d s, the first is %s; keep them longer with --world-idle",
                len(idle),
                self._idle_ms // SECOND,
                idle[0],
            )
