"""An application in process, and the clock of a target that lets its clock be moved.

`application("zof_emulator:create_app")` makes what `Target(app=…)` takes; `mover(target)` gives `Target.advance`,
and `zof_contracts.run` asks it by itself. A deployment shows that its clock can be moved by answering
`GET /_emulator/clock` with JSON, as zof-emulator does.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from zof_contracts.evidence.exchange import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import App
    from zof_contracts.target.target import Target

_CLOCK: Final = "/_emulator/clock"
_CLOSE: Final = (("Connection", "close"),)
_JSON: Final = (("Content-Type", "application/json"), *_CLOSE)
_FINE: Final = 200


def application(name: str) -> App:
    """The application that `module:factory` makes; `ValueError` says why there is none."""
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise ValueError(f"{name!r} is not module:factory")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as python -m would, for a module in the folder that we are in
    try:
        made: Any = importlib.import_module(module)
        for part in path.split("."):
            made = getattr(made, part)
        return cast("App", made())
    except Exception as error:
        raise ValueError(f"{name} gives no application: {type(error).__name__}: {error}") from error


def mover(target: Target) -> Callable[[int], None] | None:
    """What moves the target's clock by milliseconds; None where nothing does. Only a loopback target is asked."""
    if not target.loopback:
        return None
    transport = target.transport()
    try:
        answer = transport.carry("GET", _CLOCK, _CLOSE, b"")
    except Unreachable:
        return None  # whoever sends the first real request says so
    if answer.status != _FINE or not answer.fields:
        return None

    def advance(milliseconds: int) -> None:
        moved = transport.carry("POST", f"{_CLOCK}/advance", _JSON, json.dumps({"by_ms": milliseconds}).encode())
        if moved.status != _FINE:
            raise Unreachable(f"{target.base} did not move its clock: {moved.status}")

    return advance
