"""A running emulator in a thread of this process, for tests in any framework."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from zof_emulator.app import create_app
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.scenarios.load import load_scenario, read_source
from zof_emulator.server.run import listen, serve_in_thread
from zof_emulator.settings import Settings
from zof_emulator.testing.control import Control, ControlError
from zof_emulator.testing.in_process import ServedApp
from zof_emulator.testing.world import ADMIN_KEY, World

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ControlError", "Emulator", "World", "running"]


class Emulator:
    """A running emulator. Its default world has the same addresses as the emulator."""

    def __init__(self, root: str, control: Control, api_key: str = ADMIN_KEY) -> None:
        """Describe a running emulator.

        Args:
            root: the URL without a path.
            control: the control operations.
            api_key: a key of the default world.
        """
        self.url = root
        """The address without a path, such as `http://127.0.0.1:40123`."""
        self.default = World(control, root, api_key=api_key)
        """The default world."""
        self.base_url = self.default.base_url
        """The base URL of the API in the default world."""
        self.api_key = self.default.api_key
        """A key that holds every permission."""
        self._control = control
        self._worlds = ExitStack()
        self._worlds.callback(self.default.close)
        self._numbers = count(1)

    def create_world(self, name: str = "", **config: Any) -> World:  # noqa: ANN401  fields of POST /_emulator/worlds
        """Create a world.

        Args:
            name: the name of the world; if empty, a new name.
            config: the fields of `POST /_emulator/worlds`, such as `seed` and `clock`. `scenario` may also be the path
                of a file.

        Raises:
            ControlError: the name is in use, or a value is not allowed.
            UnusableScenario: the scenario has mistakes, or there is none of this name.
        """
        chosen, api_key = name or f"test-{next(self._numbers)}", self.api_key
        if "scenario" in config:
            config["scenario"], api_key = read_source(config["scenario"])
        self._control.call("POST", "worlds", body={"name": chosen, **config})
        world = World(self._control, self.url, chosen, api_key=api_key, config=config)
        self._worlds.callback(world.close)
        return world

    def close(self) -> None:
        """Close the clients of all worlds."""
        self._worlds.close()


@contextmanager
def running(settings: Settings | None = None, **changes: Any) -> Iterator[Emulator]:  # noqa: ANN401  the fields of Settings
    """Run an emulator on a free port of a loopback address, in a thread of this process, until the block ends.

    Args:
        settings: the configuration; by default `Settings()` with a free port.
        changes: fields of `Settings` to change, such as `clock="manual"`. `scenario` may be the name of a built-in
            scenario, the path of a file, or an object; its settings apply where `changes` has none.

    Raises:
        OSError: the emulator cannot listen on the address.
        UnusableScenario: the scenario has mistakes, or there is none of this name.
        ValueError: a setting is not allowed.

    Example:
        with running(clock="manual") as emulator:
            emulator.default.client.get("/runs")
    """
    chosen = settings or Settings(port=0)
    if "scenario" in changes and not isinstance(changes["scenario"], Scenario):
        chosen = load_scenario(changes.pop("scenario")).apply(chosen)
    chosen = replace(chosen, **changes)
    listeners = listen(chosen.host, chosen.port)
    host, port = listeners[0].getsockname()[:2]
    app = create_app(chosen)
    with serve_in_thread(app, listeners, answer_unreadable=app.answer_unreadable) as loop:
        address = f"[{host}]" if ":" in host else host
        root = f"http://{address}:{port}"
        control = Control(ServedApp(app, loop), root, chosen.token)
        emulator = Emulator(root, control, chosen.scenario.choose_key(DEFAULT).secret)
        try:
            yield emulator
        finally:
            emulator.close()
            app.close()
