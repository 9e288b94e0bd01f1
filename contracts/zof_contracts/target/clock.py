"""Loads an application that is called in process, and finds the clock of a target that lets its clock be moved.

`load_application("zof_emulator:create_app")` makes what `Target(app=…)` takes. `find_clock_control(client)` makes
`Target.advance`; `zof_contracts.run` calls it. A deployment shows that its clock can be moved by answering
`GET /_emulator/clock` with JSON, as zof-emulator does. These requests go through the client, so that they count.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from zof_contracts.target.budget import Stopped
from zof_contracts.target.transport import NoAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response
    from zof_contracts.target.client import Client
    from zof_contracts.target.transport import App

_CLOCK: Final = "/_emulator/clock"
_OK: Final = 200
_TRIES: Final = 4
_PAUSE: Final = 0.2
"""Seconds before the second try to move the clock; each later pause is twice as long."""
_TOLERANCE: Final = 5
"""Milliseconds that a move of a clock may lack."""


def load_application(name: str) -> App:
    """The application that `module:factory` makes; `ValueError` says why there is none."""
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise ValueError(f"{name!r} is not module:factory")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as python -m does, for a module in the current folder
    try:
        made: Any = importlib.import_module(module)
        for part in path.split("."):
            made = getattr(made, part)
        application = made()
    except Exception as error:
        raise ValueError(f"{name} gives no application: {type(error).__name__}: {error}") from error
    if not _is_application(application):
        raise ValueError(f"{name} gives no ASGI application, but a value of the type {type(application).__name__}")
    return cast("App", application)


def _is_application(value: Any) -> bool:  # noqa: ANN401  whatever a factory returns
    """Whether a value can be called with the three arguments of ASGI."""
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind({}, None, None)
    except TypeError:
        return False
    except ValueError:  # a callable of C, which shows no signature
        return True
    return True


def find_clock_control(client: Client) -> Callable[[int], None] | None:
    """A function that moves the target's clock by milliseconds; None if there is none. Only loopback is asked."""
    if not client.target.is_loopback:
        return None
    try:
        answer = client.send_unrecorded("GET", _CLOCK)
    except (Unreachable, NoAnswer, Stopped):
        return None  # the first request of the verification says so
    if answer.status != _OK or not answer.fields:
        return None
    return _ClockControl(client, answer).advance


class _ClockControl:
    """Moves the clock of an emulator. A move whose answer is lost is made again, unless the clock shows that it was."""

    def __init__(self, client: Client, clock: Response) -> None:
        self._client = client
        self._is_running = clock.fields.get("mode") == "real"
        self._now: int | None = None
        """Milliseconds that the clock showed last."""
        self._read_at = 0.0
        """When it showed them, by our timer."""
        self._read(clock)

    def advance(self, milliseconds: int) -> None:
        """Move the clock by milliseconds.

        Raises:
            Unreachable: it could not be moved.
            Stopped: the budget permits no more requests.
        """
        left, is_known, why = milliseconds, True, ""
        for attempt in range(_TRIES):
            if attempt:
                self._client.turns.sleep(_PAUSE * 2 ** (attempt - 1))
            try:
                if not is_known:
                    left, is_known = left - self._measure_move(), True
                    if left <= _TOLERANCE:
                        return
                is_known = False
                self._read(self._send("POST", f"{_CLOCK}/advance", {"by_ms": left}))
            except (NoAnswer, Unreachable) as error:
                why = str(error)
            else:
                return
        raise Unreachable(f"{self._client.target.base} did not move its clock: {why}")

    def _send(self, method: str, path: str, body: object = None) -> Response:
        """Send a request and return its successful answer.

        Raises:
            NoAnswer: there is none.
            Unreachable: there is no connection.
        """
        answer = self._client.send_unrecorded(method, path, body)
        if answer.status != _OK:
            raise NoAnswer(f"it answered {answer.status}")
        return answer

    def _read(self, clock: Response) -> None:
        now = clock.fields.get("now_ms")
        self._now, self._read_at = (now if type(now) is int else None), self._client.timer.now()

    def _measure_move(self) -> int:
        """The milliseconds by which the clock was moved since it was read last; 0 if it does not show them.

        Raises:
            NoAnswer, Unreachable: the clock could not be read.
        """
        before, read_at = self._now, self._read_at
        self._read(self._send("GET", _CLOCK))
        if before is None or self._now is None:
            return 0
        elapsed = round((self._read_at - read_at) * 1000) if self._is_running else 0
        return max(0, self._now - before - elapsed)
