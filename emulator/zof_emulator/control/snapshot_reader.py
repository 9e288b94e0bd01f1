"""Reading a snapshot piece by piece: runs become values of the world as they arrive, and their text is not kept.

A snapshot of a large world is mostly runs, and they come last in its world. So reading it takes little memory beyond
what the world itself takes, and other requests are served between two pieces.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.control.json_pieces import JsonPieces, MalformedError
from zof_emulator.control.snapshot_schema import is_run, is_world
from zof_emulator.core.refusal import Refused
from zof_emulator.core.snapshot import read_run
from zof_emulator.core.snapshot_check import check_run
from zof_emulator.scenarios.schema import is_saved_scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.control.json_pieces import Parsing
    from zof_emulator.core.runs import Run

_RUNS: Final = "runs"
_WORLD: Final = "world"
_MOST_RUN: Final = 1 << 20
"""The largest number of characters of one run; the largest run takes 50,000 without spaces."""
_MOST_FIELD: Final = 1 << 16
"""The largest number of characters of a field that is not the world."""
_MOST_PART: Final = 1 << 62
"""Parts of a world have no bound of their own; that of the whole document holds."""
_NO_WORLD: Final = "its content is no valid world"
_LONGEST_WHY: Final = 200


class SavedWorld:
    """The world in a snapshot."""

    __slots__ = ("_count", "_hash", "_is_writable", "_pieces", "fault", "runs", "state")

    def __init__(self, pieces: JsonPieces) -> None:
        """`pieces` holds the text, in which the next character begins the object of the world."""
        self.state: dict[str, Any] = {}
        """All of it but the runs."""
        self.runs: dict[int, Run] = {}
        """By number, in the order in which they stand."""
        self.fault = ""
        """Why it can be no world, judged by the parts one by one; empty if they have no fault."""
        self._pieces = pieces
        self._hash = sha256()
        self._count = 0
        """The number of parts or runs read so far."""
        self._is_writable = True

    @property
    def digest(self) -> str:
        """The SHA-256 of the world as a snapshot has it; empty if no snapshot can have it."""
        return self._hash.hexdigest() if self._is_writable else ""

    def read(self) -> Parsing:
        """Read the world."""
        self._hash.update(b"{")
        yield from self._pieces.read_object(self._read_part)
        self._hash.update(b"}")
        if _RUNS not in self.state:
            self.fault = _NO_WORLD

    def _read_part(self, name: str) -> Parsing:
        if name in self.state or _RUNS in self.state:  # the other parts decide whether a run is valid
            self.fault = _NO_WORLD
        self._note_next(name)
        self._hash.update(b":")
        if name == _RUNS and (yield from self._pieces.peek()) == "[":
            self.state[_RUNS] = []
            if not self.fault and not (is_world(self.state) and is_saved_scenario(self.state["config"]["scenario"])):
                self.fault = _NO_WORLD
            self._hash.update(b"[")
            self._count = 0
            yield from self._pieces.read_array(self._read_run)
            self._hash.update(b"]")
            self._count = len(self.state)
            return
        value = yield from self._pieces.read_value(_MOST_PART)
        self._note(value)
        if name == _RUNS:
            self.fault = _NO_WORLD
        self.state[name] = value

    def _read_run(self) -> Parsing:
        row = yield from self._pieces.read_value(_MOST_RUN)
        self._note_next(row)
        if self.fault:
            return
        if not is_run(row):
            self.fault = _NO_WORLD
            return
        run = read_run(row)
        try:
            check_run(run, self.state, next(reversed(self.runs.values()), None))
        except ValueError as error:
            self.fault = explain(error)
        self.runs[run.number] = run

    def _note_next(self, value: Any) -> None:  # noqa: ANN401  JSON
        """Add the next part or run to the digest."""
        if self._count:
            self._hash.update(b",")
        self._count += 1
        self._note(value)

    def _note(self, value: Any) -> None:  # noqa: ANN401  JSON
        try:
            self._hash.update(orjson.dumps(value))
        except orjson.JSONEncodeError:  # it is nested too deeply, or has a fraction
            self.fault, self._is_writable = _NO_WORLD, False


class SnapshotReader:
    """Reads the JSON document of a snapshot."""

    def __init__(self) -> None:
        self.parts: dict[str, SavedWorld] = {}
        """The world, by the name of its field."""
        self._decoder = getincrementaldecoder("utf-8")()
        self._pieces = JsonPieces()
        self._value: Any = None
        self._repeated: list[str] = []
        self.is_malformed = False
        """Whether what was read so far begins no JSON document."""
        self._parsing = self._parse()
        next(self._parsing)

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the document."""
        self._feed(piece, is_last=False)

    def finish(self) -> tuple[Any, Sequence[str]]:
        """The value of the document, with an empty object as its world, and the names that it repeats.

        Raises:
            Refused: the document is no JSON.
        """
        self._feed(b"", is_last=True)
        if self.is_malformed:
            raise Refused("body_malformed")
        return self._value, tuple(self._repeated)

    def _feed(self, piece: bytes, *, is_last: bool) -> None:
        if self.is_malformed:
            return
        self._pieces.is_whole = is_last
        try:
            if self._pieces.add(self._decoder.decode(piece, final=is_last)) or is_last:
                next(self._parsing)
        except StopIteration:
            pass
        except (ValueError, RecursionError):  # nothing of it is kept, and nothing more is read
            self.is_malformed = True
            self._parsing.close()
            self._pieces = JsonPieces()
            self.parts.clear()

    def _parse(self) -> Parsing:
        if (yield from self._pieces.peek()) == "{":
            self._value = {}
            yield from self._pieces.read_object(self._read_field)
        else:
            self._value = yield from self._pieces.read_value(_MOST_FIELD)
        if (yield from self._pieces.peek()):
            raise MalformedError("more than one value")

    def _read_field(self, name: str) -> Parsing:
        if name in self._value:
            self._repeated.append(name)
        if name == _WORLD and (yield from self._pieces.peek()) == "{":
            self._value[name] = {}
            self.parts[name] = SavedWorld(self._pieces)
            yield from self.parts[name].read()
        else:
            self._value[name] = yield from self._pieces.read_value(_MOST_FIELD)


def explain(error: Exception) -> str:
    """Why a world with this error is refused, in one line."""
    return f"{_NO_WORLD} ({error!r})"[:_LONGEST_WHY]
