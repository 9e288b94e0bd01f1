"""Reading a snapshot piece by piece: runs become values of the world as they arrive, and their text is not kept.

A snapshot of a large world is mostly runs, and they come last in its world. So reading it takes little memory beyond
what the world itself takes, and other requests are served between two pieces.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.control.json_pieces import JsonPieces, MalformedError, TooLongError
from zof_emulator.control.snapshot_schema import find_invalid_value, is_run, write_path
from zof_emulator.core.refusal import Refused
from zof_emulator.core.snapshot import read_run
from zof_emulator.core.snapshot_check import InvalidPart, check_run
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
_DEPTH: Final = 3
"""The depth to which the fields of objects in a part are read one by one; below it no object of a world is large."""
_MOST_PART: Final = 1 << 62
"""Parts of a world have no bound of their own; that of the whole document holds."""


class SavedWorld:
    """The world in a snapshot."""

    __slots__ = ("_count", "_hash", "_is_writable", "_pieces", "_place", "fault", "runs", "state")

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
        self._place = ""
        """The part that is read."""
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
            self._blame("world.runs is missing")

    def _read_part(self, name: str) -> Parsing:
        self._place = write_path([name])
        if name in self.state:
            self._blame(f"{self._place} is given twice")
        elif _RUNS in self.state:  # the other parts decide whether a run is valid
            self._blame("world.runs is not its last part")
        self._note_next(name)
        self._hash.update(b":")
        if name == _RUNS and (yield from self._pieces.peek()) == "[":
            self.state[_RUNS] = []
            if not self.fault:
                self._blame(find_invalid_value(self.state))
            if not self.fault and not is_saved_scenario(self.state["config"]["scenario"]):
                self._blame("the value of world.config.scenario is invalid")
            self._hash.update(b"[")
            self._count = 0
            yield from self._pieces.read_array(self._read_run)
            self._hash.update(b"]")
            self._count = len(self.state)
            return
        self.state[name] = yield from self._read_nested(_DEPTH)
        if name == _RUNS:
            self._blame("the value of world.runs is invalid")

    def _read_nested(self, depth: int) -> Parsing:
        """Read a value; the elements of a list or an object are read one by one, so that reading takes many steps."""
        mark = yield from self._pieces.peek()
        if depth and mark == "[":
            return (yield from self._read_list())
        if depth and mark == "{":
            return (yield from self._read_table(depth))
        value = yield from self._pieces.read_value(_MOST_PART)
        self._note(value)
        return value

    def _read_list(self) -> Parsing:
        found: list[Any] = []

        def read_element() -> Parsing:
            if found:
                self._hash.update(b",")
            found.append((yield from self._pieces.read_value(_MOST_PART)))
            self._note(found[-1])

        self._hash.update(b"[")
        yield from self._pieces.read_array(read_element)
        self._hash.update(b"]")
        return found

    def _read_table(self, depth: int) -> Parsing:
        found: dict[str, Any] = {}

        def read_field(name: str) -> Parsing:
            if found:
                self._hash.update(b",")
            if name in found:
                self._blame(f"{self._place} has a field that is given twice")
            self._note(name)
            self._hash.update(b":")
            found[name] = yield from self._read_nested(depth - 1)

        self._hash.update(b"{")
        yield from self._pieces.read_object(read_field)
        self._hash.update(b"}")
        return found

    def _read_run(self) -> Parsing:
        row = yield from self._pieces.read_value(_MOST_RUN)
        self._note_next(row)
        if self.fault:
            return
        place = f"world.runs[{len(self.runs)}]"
        if not is_run(row):
            self._blame(f"the value of {place} is invalid")
            return
        run = read_run(row)
        try:
            check_run(run, self.state, next(reversed(self.runs.values()), None))
        except InvalidPart:
            self._blame(f"{place} does not agree with the other parts of the world")
        self.runs[run.number] = run

    def _blame(self, fault: str) -> None:
        """Note why this can be no world, unless there was another reason before."""
        self.fault = self.fault or fault

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
            self._is_writable = False
            self._blame(f"{self._place} has a number with a fraction, or is nested too deeply")


class SnapshotReader:
    """Reads the JSON document of a snapshot."""

    def __init__(self) -> None:
        self.parts: dict[str, SavedWorld] = {}
        """The world, by the name of its field."""
        self._decoder = getincrementaldecoder("utf-8")()
        self._pieces = JsonPieces()
        self._value: Any = None
        self._repeated: dict[str, None] = {}
        self._refusal: Refused | None = None
        """Why the document is refused by what was read so far; None if it is not."""
        self._parsing = self._parse()
        next(self._parsing)

    @property
    def is_refused(self) -> bool:
        """Whether what was read so far begins no snapshot, so that nothing more is read."""
        return self._refusal is not None

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the document."""
        self._feed(piece, is_last=False)

    def finish(self) -> tuple[Any, Sequence[str]]:
        """The value of the document, with an empty object as its world, and the names that it repeats.

        Raises:
            Refused: the document is no JSON, or holds a value that is too long.
        """
        self._feed(b"", is_last=True)
        if self._refusal is not None:
            raise self._refusal
        return self._value, tuple(self._repeated)

    def _feed(self, piece: bytes, *, is_last: bool) -> None:
        if self._refusal is not None:
            return
        self._pieces.is_whole = is_last
        try:
            if self._pieces.add(self._decoder.decode(piece, final=is_last)) or is_last:
                next(self._parsing)
        except StopIteration:
            pass
        except TooLongError:
            self._refuse(Refused("snapshot_unreadable", why="a value in it is longer than in any snapshot"))
        except (ValueError, RecursionError):
            self._refuse(Refused("body_malformed"))

    def _refuse(self, refusal: Refused) -> None:
        """Refuse the document. Nothing of it is kept, and nothing more is read."""
        self._refusal = refusal
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
            self._repeated[name] = None
        if name == _WORLD and (yield from self._pieces.peek()) == "{":
            self._value[name] = {}
            self.parts[name] = SavedWorld(self._pieces)
            yield from self.parts[name].read()
        else:
            self._value[name] = yield from self._pieces.read_value(_MOST_FIELD)
