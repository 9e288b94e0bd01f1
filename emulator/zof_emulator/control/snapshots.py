"""Snapshots: save a world as a JSON document, and restore it. An unreadable document changes nothing."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.control.snapshot_reader import SavedWorld
from zof_emulator.core.refusal import Refused
from zof_emulator.core.snapshot import restore_world, save_world
from zof_emulator.core.snapshot_check import InvalidPart, check_state
from zof_emulator.handlers.messages import Document, Encoded, File, Reply, Request
from zof_emulator.http.world_registry import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Slices
    from zof_emulator.http.hosted_world import HostedWorld

FORMAT: Final = "zof-emulator-world"
VERSION: Final = 4
_RUNS_IN_PIECE: Final = 500
_ANSWERS_IN_PIECE: Final = 10
"""The number of kept answers in a piece of a snapshot; an answer about a run of 500 cases takes 60 KB."""


def get_snapshot(hosted: HostedWorld, _request: Request) -> Reply:
    """The world as a document to keep."""
    pieces = prepare_document(hosted)
    sample = {"format": FORMAT, "version": VERSION, "sha256": "", "world": {}}
    return Reply(200, File("application/json", f"{hosted.name or DEFAULT}.json", pieces, sample=sample))


def restore_snapshot(hosted: HostedWorld, request: Request) -> Slices:
    """Replace the world by the one in a document."""
    yield from restore(hosted, request.body)
    world = hosted.world
    return Reply(200, Document({"seed": world.seed, "runs": len(world.runs), "requests": world.answered}))


def prepare_document(hosted: HostedWorld) -> Callable[[], Iterator[bytes]]:
    """A hosted world as it stands, as a JSON document in pieces, which are the same whenever they are made.

    Runs and kept answers never change, so that a snapshot of many takes little memory beyond the world's own, and is
    made while it is sent.
    """
    world = hosted.settle_wholly()
    state = save_world(world, _share_answer, runs=())
    answers, runs = state.pop("answers"), tuple(world.runs.values())
    del state["runs"]
    beginning = orjson.dumps(state)[:-1]

    def pieces() -> Iterator[bytes]:
        digest = sha256()

        def note(piece: bytes) -> bytes:
            digest.update(piece)
            return piece

        yield orjson.dumps({"format": FORMAT, "version": VERSION})[:-1] + b',"world":' + note(beginning)
        yield note(b',"answers":[')
        yield from map(note, _write_rows(answers, _ANSWERS_IN_PIECE, _write_answer_of_row))
        yield note(b'],"runs":[')
        yield from map(note, _write_rows(runs, _RUNS_IN_PIECE, list))
        yield note(b"]}") + b',"sha256":"' + digest.hexdigest().encode() + b'"}'

    return pieces


def _write_rows(rows: Sequence[Any], count: int, write: Callable[[Any], list[Any]]) -> Iterator[bytes]:
    """The items of a JSON array in pieces of `count` rows."""
    for start in range(0, len(rows), count):
        items = orjson.dumps([write(row) for row in rows[start : start + count]])
        yield (b"," if start else b"") + items[1:-1]


def restore(hosted: HostedWorld, snapshot: Mapping[str, Any]) -> Generator[None, None, None]:
    """Replace a hosted world by the one in a snapshot whose `world` is a `SavedWorld`; yields between slices of work.

    Raises:
        Refused: the document is no snapshot, has another version, or is damaged. Nothing changes then.
    """
    if snapshot.get("format") != FORMAT or type(snapshot.get("version")) is not int:
        raise Refused("snapshot_unreadable", why="it is no snapshot of a world")
    if snapshot["version"] != VERSION:
        raise Refused(
            "snapshot_unreadable", why=f"it has version {snapshot['version']}, and this emulator reads {VERSION}"
        )
    saved = snapshot.get("world")
    if not isinstance(saved, SavedWorld) or saved.digest not in {"", snapshot.get("sha256")}:
        raise Refused("snapshot_unreadable", why="it is damaged: its sha256 does not match")
    if saved.fault:
        raise Refused("snapshot_unreadable", why=saved.fault)
    try:
        yield from check_state(saved.state, saved.runs)
        world = yield from restore_world(saved.state, saved.runs, hosted.world.keys.values(), _read_answer)
        _check_sizes(saved.state["answers"])
    except InvalidPart as error:
        raise Refused("snapshot_unreadable", why=str(error)) from error
    hosted.restore(world)


def _check_sizes(answers: Iterable[Any]) -> None:
    """Raise `InvalidPart` when a kept answer takes another size than the one that is noted."""
    for index, (*_, fingerprint, row, size, _) in enumerate(answers):
        if _read_answer(row).size + len(fingerprint.encode()) != size:
            raise InvalidPart(f"answers[{index}]")


def copy_world(hosted: HostedWorld) -> Generator[None, None, World]:
    """Make a copy of a world as it stands, which shares no state with it; yields between slices of work."""
    world = hosted.world
    state, runs = save_world(world, _share_answer, runs=()), dict(world.runs)  # answers and runs never change
    return restore_world(state, runs, world.keys.values(), _share_answer)


def _write_answer_of_row(row: Sequence[Any]) -> list[Any]:
    """A row of the kept answers as JSON."""
    *scope, fingerprint, answer, size, expires_at = row
    return [*scope, fingerprint, _write_answer(answer), size, expires_at]


def _share_answer(answer: Encoded) -> Encoded:
    return answer


def _write_answer(answer: Encoded) -> list[Any]:
    """A stored answer as JSON."""
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers]
    content = b"".join(answer.pieces())
    whole = isinstance(answer.content, bytes)
    return [answer.status, headers, b64encode(content).decode(), whole]


def _read_answer(row: Any) -> Encoded:  # noqa: ANN401  JSON
    status, headers, content, whole = row
    heads = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    found = b64decode(content, validate=True)
    given = dict(heads)
    length = given.get(b"content-length", b"%d" % len(found))
    if len(given) != len(heads) or length != b"%d" % len(found) or (whole and b"content-length" not in given):
        raise ValueError("answers")
    if given.get(b"content-type") == b"application/json":
        orjson.loads(found)
    return Encoded(status, heads, found if whole else lambda: (found,))
