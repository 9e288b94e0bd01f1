"""Snapshots: save a world as a JSON document, and restore it. An unreadable document changes nothing."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.control.snapshot_schema import is_world
from zof_emulator.core.refusal import Refused
from zof_emulator.core.snapshot import restore_world, save_world
from zof_emulator.handlers.messages import Document, Encoded, File, Reply, Request
from zof_emulator.http.world_registry import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld

FORMAT: Final = "zof-emulator-world"
VERSION: Final = 2


def get_snapshot(hosted: HostedWorld, _call: Request) -> Reply:
    """The world as a JSON document to download."""
    content = document(hosted)
    name = f"{hosted.name or DEFAULT}.json"
    return Reply(200, File("application/json", name, lambda: (content,), len(content)))


def restore_snapshot(hosted: HostedWorld, call: Request) -> Reply:
    """Replace the world by the one in a document."""
    restore(hosted, call.body)
    world = hosted.world
    return Reply(200, Document({"seed": world.seed, "runs": len(world.runs), "requests": world.answered}))


def document(hosted: HostedWorld) -> bytes:
    """A hosted world as a JSON document, in bytes."""
    state = orjson.dumps(save_world(hosted.settle(), _write_answer))
    head = orjson.dumps({"format": FORMAT, "version": VERSION, "sha256": sha256(state).hexdigest()})
    return head[:-1] + b',"world":' + state + b"}"


def restore(hosted: HostedWorld, snapshot: Mapping[str, Any]) -> None:
    """Replace a hosted world by the one in a parsed document.

    Raises:
        Refused: the document is no snapshot, has another version, or is damaged. Nothing changes then.
    """
    if snapshot.get("format") != FORMAT or type(snapshot.get("version")) is not int:
        raise Refused("snapshot_unreadable", why="it is no snapshot of a world")
    if snapshot["version"] != VERSION:
        raise Refused(
            "snapshot_unreadable", why=f"it has version {snapshot['version']}, and this emulator reads {VERSION}"
        )
    state: Any = snapshot.get("world")
    if _digest(state) != snapshot.get("sha256"):
        raise Refused("snapshot_unreadable", why="it is damaged: its sha256 is another")
    if not is_world(state):
        raise Refused("snapshot_unreadable", why="it holds what no world does")
    try:
        world = restore_world(state, hosted.world.keys.values(), _read_answer)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Refused("snapshot_unreadable", why=f"it holds what no world does ({error!r})") from error
    hosted.restore(world)


def _digest(state: Any) -> str | None:  # noqa: ANN401  JSON
    """The SHA-256 of a JSON value; None if the value is nested too deeply to be a world."""
    try:
        return sha256(orjson.dumps(state)).hexdigest()
    except orjson.JSONEncodeError:
        return None


def copy_world(hosted: HostedWorld) -> World:
    """A copy of a world, which shares no state with it."""
    return restore_world(save_world(hosted.world, _write_answer), hosted.world.keys.values(), _read_answer)


def _write_answer(answer: Encoded) -> list[Any]:
    """A stored answer as JSON."""
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers]
    content = b"".join(answer.pieces())
    whole = isinstance(answer.content, bytes)
    return [answer.status, headers, b64encode(content).decode(), whole]


def _read_answer(row: Any) -> Encoded:  # noqa: ANN401  JSON
    status, headers, content, whole = row
    heads = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    decoded = b64decode(content, validate=True)
    return Encoded(status, heads, decoded if whole else lambda: (decoded,))
