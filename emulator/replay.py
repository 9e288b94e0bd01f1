"""Replay: a journal sent to a fresh world, request by request, each at its own instant; what differs is told."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from emulator.app import create_app
from emulator.core.limits import Rate
from emulator.core.tenants import DEFAULT
from emulator.http.exchanges import digest, message
from emulator.http.reading import FORMAT, VERSION
from emulator.http.stage import Origin
from emulator.http.worlds import DEFAULT as DEFAULT_WORLD
from emulator.keeping import CannotKeep
from emulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emulator.http.entrance import Entrance

_LONGEST: Final = 200
_KEYS: Final = {digest(f"Bearer {key.secret}".encode()): f"Bearer {key.secret}".encode() for key in DEFAULT.keys}


@dataclass(frozen=True, slots=True)
class Difference:
    """Where an answer is another than the journal's."""

    number: int
    request: str
    what: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay."""

    exchanges: int
    differing: tuple[Difference, ...]

    def as_text(self) -> str:
        """For a person."""
        lines = [
            f"number {one.number}, {one.request}: {one.what} differs\n"
            f"  journal: {one.expected[:_LONGEST]}\n  now:     {one.got[:_LONGEST]}"
            for one in self.differing
        ]
        same = self.exchanges - len({one.number for one in self.differing})
        return "\n".join((*lines, f"{same} of {self.exchanges} answers are the same, byte for byte"))

    def as_json(self) -> str:
        """For a machine."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2).decode()


def replay(journal: bytes) -> Replayed:
    """Send a journal (NDJSON) to a fresh world; `CannotKeep` when it is none, or not a whole one."""
    about, exchanges = _read(journal)
    now = [about["began_ms"]]
    rate = about["rate"]
    settings = Settings(
        seed=about["seed"],
        clock=about["clock"],
        rate=Rate(*rate),
        capacity=about["capacity"],
        references=about["references"],
        samples=about["scenario"] == "default",
        environments=tuple(about["environments"]),
        journal=0,
    )
    app = create_app(settings, system=lambda: now[0])
    if about["world"] != DEFAULT_WORLD:
        app.worlds.create(about["world"], Origin(about["seed"], about["clock"], about["scenario"]))
    differing: list[Difference] = []
    for one in exchanges:
        stage = app.worlds.find(about["world"])
        now[0] = one["at_ms"] - stage.world.clock.offset
        differing += _differences(one, _sent(app, one, stage.mount))
    return Replayed(len(exchanges), tuple(differing))


def _read(journal: bytes) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    try:
        about, *exchanges = (orjson.loads(line) for line in journal.splitlines() if line)
    except ValueError as error:
        raise CannotKeep("this is no journal: a line is not valid JSON, or there is none") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CannotKeep("this is no journal: its first line is not that of one (GET /_emulator/journal.ndjson)")
    if about.get("version") != VERSION:
        raise CannotKeep(f"this journal has version {about.get('version')}, and this emulator reads {VERSION}")
    if about["dropped"]:
        raise CannotKeep(f"the first {about['dropped']} exchanges are gone; keep more of them with --journal")
    if about["from_snapshot"]:
        raise CannotKeep("this journal begins with a snapshot or a fork, not with a fresh world")
    for one in exchanges:
        if one["request"]["truncated"]:
            raise CannotKeep(f"the request of exchange {one['number']} is cut, so it cannot be sent again")
    return about, exchanges


def _sent(app: Entrance, one: Mapping[str, Any], mount: str) -> Mapping[str, Any]:
    """The answer to a request of the journal, as the journal would show it."""
    asked = one["request"]
    raw, _, query = asked["target"].partition("?")
    headers = [(name.encode("latin-1"), _unmasked(name, value)) for name, value in asked["headers"]]
    body = b64decode(asked["body"]) if asked["encoding"] == "base64" else asked["body"].encode()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": asked["method"],
        "scheme": "http",
        "path": mount + asked["path"],
        "raw_path": (mount + raw).encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9630),
    }
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(told: Mapping[str, Any]) -> None:
        messages.append(told)

    coroutine = app(scope, receive, send)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass
    head, *rest = messages
    return message(head["status"], head["headers"], b"".join(part.get("body", b"") for part in rest))


def _unmasked(name: str, value: str) -> bytes:
    """A header as it was sent; a key that is none of the default data's is as good as any other."""
    if name != "authorization":
        return value.encode("latin-1")
    return next((key for mark, key in _KEYS.items() if f"({mark})" in value), value.encode("latin-1"))


def _differences(one: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[Difference]:
    before, request = one["response"], f"{one['request']['method']} {one['request']['target']}"
    own = one["request"]["path"].startswith("/_emulator/")
    for what in ("status", "headers", "body", "sha256"):
        expected, found = before[what], got[what]
        if what == "headers" and own:  # answers that belong to no world are numbered by themselves
            continue
        if expected != found:
            yield Difference(one["number"], request, what, str(expected), str(found))
            if what == "body":
                return
