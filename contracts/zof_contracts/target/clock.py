"""Loads an application that is called in process, and finds the clock of a target that lets its clock be moved.

`load_application("zof_emulator:create_app")` makes what `Target(app=…)` takes. `find_clock_control(target)` makes
`Target.advance`; `zof_contracts.run` calls it. A deployment shows that its clock can be moved by answering
`GET /_emulator/clock` with JSON, as zof-emulator does.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from zof_contracts.target.transport import NoAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.target.target import Target
    from zof_contracts.target.transport import App

_CLOCK: Final = "/_emulator/clock"
_JSON: Final = (("Content-Type", "application/json"),)
_OK: Final = 200


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


def find_clock_control(target: Target) -> Callable[[int], None] | None:
    """A function that moves the target's clock by milliseconds; None if there is none. Only loopback is asked."""
    if not target.is_loopback:
        return None
    transport = target.make_transport()
    try:
        answer = transport.carry("GET", _CLOCK, (), b"", fresh=True)
    except (Unreachable, NoAnswer):
        return None  # the first request of the verification says so
    if answer.status != _OK or not answer.fields:
        return None

    def advance(milliseconds: int) -> None:
        body = json.dumps({"by_ms": milliseconds}).encode()
        try:
            moved = transport.carry("POST", f"{_CLOCK}/advance", _JSON, body, fresh=True)
        except NoAnswer as error:
            raise Unreachable(f"{target.base} did not move its clock: {error}") from error
        if moved.status != _OK:
            raise Unreachable(f"{target.base} did not move its clock: it answered {moved.status}")

    return advance
