"""The header `Prefer` (RFC 7240), by which a request asks for an error, a delay, or the name of the fault it met.

`code=429` asks for the documented error with this status, `wait=2` for a delay in seconds, and `show-fault` for the
header `X-Zof-Fault`. Other preferences are ignored, as the RFC demands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core.faults import LONGEST_MS
from zof_emulator.core.instants import SECOND
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.fault_rules import FIRST_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zof_emulator.spec.operation import Operation

PREFER: Final = b"prefer"
INVALID_PREFERENCE: Final = "invalid_preference"
"""Why a request with a wrong preference is refused; `x-elsewhere` in `control.yaml` gives the text."""
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE: Final = rf'(?:{_NAME}|"(?:[^"\\]|\\.)*")'
_PARAMETER: Final = rf"{_NAME}(?:[ \t]*=[ \t]*{_VALUE}?)?"
_PREFERENCE: Final = re.compile(
    rf"[ \t]*({_NAME})(?:[ \t]*=[ \t]*({_VALUE})?)?((?:[ \t]*;[ \t]*(?:{_PARAMETER})?)*)[ \t]*(?:,|$)"
)
_EMPTY: Final = re.compile(r"[ \t]*,|[ \t]+$")
_LONGEST_WAIT: Final = LONGEST_MS // SECOND


class Preferences(NamedTuple):
    """The fault that a request asks for itself."""

    error: str = ""
    """The name of a documented error; empty if none is asked for."""
    wait_ms: int = 0
    shows_fault: bool = False
    applied: tuple[str, ...] = ()
    """The preferences that are honored, as `Preference-Applied` lists them."""


NO_PREFERENCES: Final = Preferences()


def read_preferences(headers: Iterable[tuple[bytes, bytes]], operation: Operation) -> Preferences:
    """The preferences of a request for an operation; the first of those with the same name counts.

    Raises:
        Refused: `invalid_preference`, if the header is malformed, or a value is not allowed.
    """
    text = ",".join(value.decode("latin-1") for name, value in headers if name == PREFER)
    found: dict[str, str] = {}
    for name, value in _parse(text):
        found.setdefault(name.lower(), value)
    applied, error, wait_ms = [], "", 0
    if "code" in found:
        error = _find_error(found["code"], operation)
        applied.append(f"code={found['code']}")
    if "wait" in found:
        wait_ms = _read_wait(found["wait"])
        applied.append(f"wait={found['wait']}")
    if "show-fault" in found:
        applied.append("show-fault")
    return Preferences(error, wait_ms, "show-fault" in found, tuple(applied))


def _parse(text: str) -> Iterable[tuple[str, str]]:
    """The names and the values of the preferences in a header."""
    place = 0
    while place < len(text):
        empty = _EMPTY.match(text, place)
        if empty is not None:
            place = empty.end()
            continue
        found = _PREFERENCE.match(text, place)
        if found is None:
            raise Refused(INVALID_PREFERENCE, "Prefer", expected="a list of preferences, as in code=429, wait=2")
        value = found[2] or ""
        yield found[1], re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        place = found.end()


def _find_error(value: str, operation: Operation) -> str:
    """The first documented error of an operation with this status."""
    errors: dict[str, str] = {}
    for name, text in operation.reasons.items():
        errors.setdefault(str(text.status), name)
    if value not in errors:
        statuses = ", ".join(sorted(str(status) for status in operation.answers if status >= FIRST_ERROR))
        expected = f"code with an error of this operation: {statuses}; a fault rule gives any other status"
        raise Refused(INVALID_PREFERENCE, "Prefer", expected=expected)
    return errors[value]


def _read_wait(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10 and int(value) <= _LONGEST_WAIT):  # noqa: PLR2004
        raise Refused(INVALID_PREFERENCE, "Prefer", expected=f"wait with whole seconds, at most {_LONGEST_WAIT}")
    return int(value) * SECOND
