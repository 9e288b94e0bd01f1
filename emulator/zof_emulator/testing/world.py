"""One world of a running emulator, as a test uses it: addresses, a client, the clock, the journal, snapshots.

Clients use HTTP, so a test sees what a program sees. Control operations use no socket, so that they cost little. Times
are in ms; instants are datetimes in UTC.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from zof_emulator.scenarios.load import read_source
from zof_emulator.scenarios.situations import extend_scenario
from zof_emulator.testing.client_check import check_client
from zof_emulator.testing.control import Control, ControlError
from zof_emulator.testing.faults import Faults
from zof_emulator.testing.in_process import Transport, WorldApp
from zof_emulator.testing.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from zof_emulator.scenarios.situations import Situation
    from zof_emulator.testing.client_check import ClientCheck

ADMIN_KEY: Final = "zof_test_admin"
"""The key of the default data that holds every permission."""
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of `http` addresses; to read the authorities of the system for each would take most of a test."""


class Clock:
    """The clock of a world."""

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def mode(self) -> str:
        """The mode of the clock: `real`, `manual` or `auto`."""
        mode: str = self._control.read("GET", "clock")["mode"]
        return mode

    @property
    def now(self) -> datetime:
        """The current instant of the world, in UTC."""
        return datetime.fromtimestamp(self._control.read("GET", "clock")["now_ms"] / 1000, UTC)

    def advance(
        self,
        *,
        ms: int | None = None,
        to: datetime | str | None = None,
        until: str | None = None,
        run_id: str | None = None,
    ) -> dict[str, Any]:
        """Move the clock forward. Exactly one of `ms`, `to` and `until` is required.

        Args:
            ms: the distance, in ms.
            to: the instant to move to: an aware datetime, or an RFC 3339 timestamp.
            until: the event to wait for, such as `next`, `run_ended` or `window_reset`.
            run_id: with `until="run_ended"`, the run to wait for; without it, any run.

        Returns:
            The clock, the distance that it moved (`moved_ms`) and the events on the way (`happened`).

        Raises:
            ControlError: the clock cannot make this move.
            ValueError: `to` is a datetime without a time zone.
        """
        if isinstance(to, datetime):
            if to.tzinfo is None:
                raise ValueError("invalid to: use a datetime with a time zone, such as datetime.now(UTC)")
            to = to.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"by_ms": ms, "to": to, "until": until, "run_id": run_id}
        body = {name: value for name, value in fields.items() if value is not None}
        moved: dict[str, Any] = self._control.read("POST", "clock/advance", body=body)
        return moved


class Journal:
    """The journal of a world: its exchanges."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def exchanges(self, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401  values of query parameters
        """The exchanges that match, the oldest first; `filters` are those of `GET /_emulator/journal`."""
        exchanges: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = self._control.read("GET", "journal", query={"limit": 100, **filters, **cursor})
            exchanges += page["data"]
            if not page["has_more"]:
                return exchanges
            cursor = {"starting_after": page["next_cursor"]}

    def count(self, **filters: Any) -> int:  # noqa: ANN401  values of query parameters
        """How many exchanges match."""
        return len(self.exchanges(**filters))

    def verify(self, **expected: Any) -> int:  # noqa: ANN401  fields of POST /_emulator/journal/verify
        """Check that the exchanges are as expected, such as `operation="startRun", exactly=1`.

        Args:
            expected: the fields of `POST /_emulator/journal/verify`.

        Returns:
            How many exchanges match.

        Raises:
            AssertionError: they are not; the message names the exchange that comes nearest, and what differs in it.
            ControlError: an operation, a field or a value in `expected` does not exist or is not allowed.
        """
        try:
            return int(self._control.read("POST", "journal/verify", body=expected)["count"])
        except ControlError as error:
            if error.status == HTTPStatus.CONFLICT:
                raise AssertionError(str(error)) from None
            raise

    def clear(self) -> None:
        """Delete all exchanges."""
        self._control.call("DELETE", "journal")

    def har(self) -> bytes:
        """The journal as an HTTP archive (HAR 1.2)."""
        return self._control.call("GET", "journal.har")

    def ndjson(self) -> bytes:
        """The journal as lines of JSON, which `zof-emulator replay` reads."""
        return self._control.call("GET", "journal.ndjson")

    def describe_tail(self, count: int = 10) -> str:
        """The last exchanges, one line each: number, method, target, status, and the rule that refused it."""
        lines = [
            f"{one['number']:>4}  {one['request']['method']} {one['request']['target']} -> {one['response']['status']}"
            + (f" ({one['refused']})" if one["refused"] else "")
            for one in self.exchanges()[-count:]
        ]
        return "\n".join(lines) or "no request reached the emulator"


class World:
    """One world of a running emulator."""

    def __init__(
        self,
        control: Control,
        root: str,
        name: str = "",
        *,
        api_key: str = ADMIN_KEY,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe a world of a running emulator.

        Args:
            control: the control operations of the emulator.
            root: the emulator's address without a path.
            name: the name of the world; empty for the default world.
            api_key: a key that holds every permission.
            config: the fields of `POST /_emulator/worlds` with which it was created.
        """
        self.name = name
        self.url = f"{root}/w/{name}" if name else root
        """The address of the world, without `/v1`."""
        self.base_url = f"{self.url}/v1"
        """The base URL to give to a client."""
        self.api_key = api_key
        """A key that holds every permission."""
        self.control_url = f"{self.url}/_emulator"
        """The address of the world's control operations."""
        self.app = WorldApp(control.served, name)
        """The world as an ASGI application, as for `httpx.ASGITransport` and Starlette's `TestClient`."""
        self.transport = Transport(self.app)
        """A transport of `httpx.Client` and `httpx.AsyncClient` that leads here without a socket, for any host."""
        self._root = root
        self._config = dict(config or {})
        self._control_of_emulator = control
        self._control = control.select(self.url)
        self._close = ExitStack()
        self._client: httpx.Client | None = None
        self.clock = Clock(self._control)
        """The world's clock."""
        self.journal = Journal(self._control)
        """The exchanges of the world."""
        self.faults = Faults(self._control)
        """The rules by which requests fail on purpose."""
        self.webhooks = Webhooks(self._control, lambda: self.client)
        """The world's webhooks and their deliveries."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def client(self) -> httpx.Client:
        """A client of the API with the world's base URL and key; closed with the world."""
        if self._client is None:
            self._client = self._close.enter_context(self.make_client())
        return self._client

    def make_client(self, api_key: str | None = None) -> httpx.Client:
        """A new client of the API, with another key if one is given. The caller closes it."""
        return httpx.Client(
            base_url=self.base_url, headers=self._authorize(api_key), trust_env=False, verify=_NO_AUTHORITIES
        )

    def make_async_client(self, api_key: str | None = None) -> httpx.AsyncClient:
        """A new asynchronous client of the API, with another key if one is given. The caller closes it."""
        return httpx.AsyncClient(
            base_url=self.base_url, headers=self._authorize(api_key), trust_env=False, verify=_NO_AUTHORITIES
        )

    def snapshot(self) -> bytes:
        """A snapshot of the world: a JSON document, in bytes."""
        return self._control.call("GET", "snapshot")

    def restore(self, snapshot: bytes) -> None:
        """Replace the world by the one in a snapshot.

        Raises:
            ControlError: the snapshot cannot be used.
        """
        self._control.call("PUT", "snapshot", body=snapshot)

    @property
    def scenario(self) -> dict[str, Any]:
        """The scenario and the settings with which the world began, as `GET /_emulator/scenario` returns them."""
        found: dict[str, Any] = self._control.read("GET", "scenario")
        return found

    def start_scenario(self, scenario: str | Path | Mapping[str, Any]) -> None:
        """Restart the world with a scenario: the name of a built-in one, the path of a file, or an object.

        `api_key` and `client` then have a key of that scenario.

        Raises:
            ControlError: the scenario has a mistake, which the message names; nothing is changed.
            UnusableScenario: the file has mistakes, or there is no scenario of this name.
        """
        source, api_key = read_source(scenario)
        self._control.call("PUT", "scenario", body={"scenario": source})
        self.close()
        self._config["scenario"] = source
        self.api_key = api_key

    def configure(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  fields of PATCH /_emulator/config
        """Change the configuration of the running world: the fields of `PATCH /_emulator/config`; returns all of them.

        Raises:
            ControlError: a value is not allowed; nothing is changed.
        """
        found: dict[str, Any] = self._control.read("PATCH", "config", body=changes)
        return found

    def reset(self) -> None:
        """Reset the clock, the data and the journal."""
        self._control.call("POST", "reset")

    def fork(self, name: str) -> World:
        """Create a copy of the world with this name.

        Raises:
            ControlError: the name is in use.
        """
        path = f"worlds/{self.name or 'default'}/fork"
        self._control_of_emulator.call("POST", path, body={"name": name})
        return World(self._control_of_emulator, self._root, name, api_key=self.api_key, config=self._config)

    def check_client(
        self,
        client: Callable[[World], object],
        *,
        situations: Collection[str] | None = None,
        exclude: Sequence[str] = (),
        strict: bool = False,
    ) -> ClientCheck:
        """Run a client in ten situations, such as a 429, a lost answer or a forged webhook, and judge what it sends.

        Args:
            client: a function that uses the API of the world that it is given. Where something is provoked, it may
                raise an exception.
            situations: the names of the situations to try; all by default. Each has a world of its own, which begins as
                this one began.
            exclude: rules for clients that are not judged, or patterns such as `client.poll.*`.
            strict: whether the client must keep the rules that are assumptions too.

        Returns:
            What the client did in each situation, and the verdict on each rule.

        Raises:
            BrokenClientRules: the client broke rules. It is an `AssertionError`.
            UnjudgedClient: the client sent nothing, or the packages of the extra `contracts` are not installed.
            ValueError: there is no situation of this name.
        """
        return check_client(client, self._create_for, situations=situations, exclude=exclude, strict=strict)

    def _create_for(self, name: str, situation: Situation) -> World:
        """Create a world that begins as this one began, with what a situation adds."""
        fields = {name: value for name, value in self._config.items() if name not in situation.scenario}
        if situation.scenario:
            own = fields.get("scenario") or self.scenario["scenario"]
            fields["scenario"] = extend_scenario(own, situation)
        self._control_of_emulator.call("POST", "worlds", body={"name": name, **fields})
        return World(self._control_of_emulator, self._root, name, api_key=self.api_key, config=fields)

    def delete(self) -> None:
        """Delete the world and close its client.

        Raises:
            ControlError: this is the default world.
        """
        self.close()
        self._control_of_emulator.call("DELETE", f"worlds/{self.name or 'default'}")

    def close(self) -> None:
        """Close the world's client; the world continues to exist."""
        self._close.close()
        self._client = None

    def _authorize(self, api_key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key if api_key is None else api_key}"}
