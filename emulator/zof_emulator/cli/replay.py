"""`zof-emulator replay`: sends the requests of a journal to a new world, each at its recorded instant."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
import orjson

from zof_emulator.app import create_app
from zof_emulator.cli.output import print_line
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.cli.replayed_requests import OWN, ReplayedRequests
from zof_emulator.cli.snapshot_files import UnusableFile, read_file
from zof_emulator.control.journal import FORMAT, VERSION
from zof_emulator.core import config
from zof_emulator.core.config import WorldConfig
from zof_emulator.core.instants import LAST
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.http.world_registry import DEFAULT as DEFAULT_WORLD
from zof_emulator.journal.masking import digest_header, has_mask
from zof_emulator.scenarios.schema import is_saved_scenario
from zof_emulator.settings import Settings
from zof_emulator.spec.schema import compile_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def _object_schema(**properties: Any) -> dict[str, Any]:  # noqa: ANN401  a JSON Schema
    return {"type": "object", "required": list(properties), "properties": properties}


_LONGEST: Final = 200
_SHOWN: Final = 12
"""The digits of a key's digest that a journal shows."""
_WHOLE: Final = {"type": "integer", "minimum": 0, "maximum": LAST}
_TEXT: Final = {"type": "string"}
_IS_ABOUT: Final = compile_schema(
    _object_schema(
        world=_TEXT | {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
        **config.build_schema()["properties"],
        began_ms=_WHOLE,
        from_snapshot={"type": "boolean"},
        public_url=_TEXT,
        dropped=_WHOLE,
    )
)
_HEADERS: Final = {"type": "array", "items": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}}
_MESSAGE: Final = {"headers": _HEADERS, "body": _TEXT, "size": _WHOLE, "sha256": _TEXT}
_EXCHANGE: Final = _object_schema(
    number=_WHOLE,
    at_ms=_WHOLE,
    request=_object_schema(
        **_MESSAGE,
        method=_TEXT,
        path=_TEXT,
        target=_TEXT,
        encoding={"enum": ["text", "base64"]},
        truncated={"type": "boolean"},
    ),
    response=_object_schema(**_MESSAGE, status=_WHOLE),
)
_DELAYED: Final = {"anyOf": [{"type": "null"}, _object_schema(after=_WHOLE, order=_WHOLE)]}
_IS_EXCHANGE: Final = compile_schema({**_EXCHANGE, "properties": {**_EXCHANGE["properties"], "delayed": _DELAYED}})
_ATTEMPT: Final = _object_schema(
    ended_at=_TEXT,
    status={"type": ["integer", "null"]},
    error={"type": ["string", "null"]},
    headers=_HEADERS,
    body=_TEXT,
    truncated={"type": "boolean"},
)
_IS_DELIVERY: Final = compile_schema(
    _object_schema(
        delivery=_object_schema(
            number=_WHOLE,
            id=_TEXT,
            status=_TEXT,
            request=_object_schema(url=_TEXT, headers=_HEADERS, body=_TEXT),
            attempts={"type": "array", "items": _ATTEMPT},
        )
    )
)
_KEYS: Final = {digest_header(f"Bearer {key.secret}".encode()): f"Bearer {key.secret}".encode() for key in DEFAULT.keys}


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between an answer and the journal's answer."""

    number: int
    request: str
    what: str
    expected: str
    got: str
    journal: int = 1
    """The place of its journal in the file, counted from 1."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of a replay."""

    exchanges: int
    differing: tuple[Difference, ...]
    deliveries: int = 0
    """How many webhook deliveries the journal holds."""
    left_out: tuple[str, ...] = ()
    """Why some of several journals were not replayed, one line for each."""

    def format_text(self) -> str:
        """The result as text."""
        has_several = any(one.journal > 1 for one in self.differing)
        lines = [
            (f"journal {one.journal}, " if has_several else "")
            + f"number {one.number}, {one.request}: {one.what} differs\n"
            f"  journal: {one.expected[:_LONGEST]}\n  now:     {one.got[:_LONGEST]}"
            for one in self.differing
        ]
        same = self.exchanges - len(
            {(one.journal, one.number) for one in self.differing if one.request[:9] != "delivery "}
        )
        lines += self.left_out
        if self.deliveries:
            counted = "1 webhook delivery was" if self.deliveries == 1 else f"{self.deliveries} webhook deliveries were"
            lines.append(f"{counted} compared, and nobody was called")
        return "\n".join((*lines, f"{same} of {self.exchanges} answers are the same, byte for byte"))

    def format_json(self) -> str:
        """The result as JSON."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2).decode()


class IncompleteJournal(UnusableFile):
    """A journal lacks what a replay needs."""


class _Section(NamedTuple):
    """A journal in a file, which may hold several."""

    about: Mapping[str, Any]
    """The description of its world."""
    exchanges: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]


@click.command("replay", short_help="Compare a journal with a new world, byte for byte.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def replay_command(file: Path, *, as_json: bool) -> int:
    """Send a journal to a new world, and compare the answers byte for byte.

    FILE holds the answer to GET /_emulator/journal.ndjson, or the journals that `zof-emulator exec --journal` wrote.
    Exit status: 0 no difference, 1 differences, 2 a journal could not be replayed; the others of the file are.
    """
    found = replay(read_file(file))
    if not found.exchanges:
        raise UnusableFile(f"cannot replay {file}: the journal holds no exchange")
    print_line(found.format_json() if as_json else found.format_text())
    return 1 if found.differing else 2 if found.left_out else 0


def replay(journal: bytes) -> ReplayResult:
    """Send each journal of a file (NDJSON) to a new world, and compare the answers.

    Raises:
        UnusableFile: the content is no journal, or no journal in it is complete.
    """
    sections = _split(journal)
    exchanges, deliveries, differing, left_out = 0, 0, list[Difference](), list[str]()
    for place, (lines, number) in enumerate(sections, 1):
        try:
            result = _replay_section(_read_section(lines, number))
        except IncompleteJournal as error:
            if len(left_out) + 1 == len(sections):
                raise
            left_out.append(f"journal {place} was not replayed: {error}")
            continue
        exchanges += result.exchanges
        deliveries += result.deliveries
        differing += [replace(one, journal=place) for one in result.differing]
    return ReplayResult(exchanges, tuple(differing), deliveries, tuple(left_out))


def _replay_section(section: _Section) -> ReplayResult:
    about, exchanges, recorded = section
    deliveries = RecordedDeliveries(recorded)
    now = [about["began_ms"]]
    try:
        described = WorldConfig.from_json({one.name: about[one.name] for one in fields(WorldConfig)})
        world, keys = _give_stand_ins(described)
        given = {one.name: getattr(world, one.name) for one in fields(world)}
        settings = Settings(**given, public_url=about["public_url"])
    except ValueError as error:
        raise UnusableFile(f"this is no journal: {error}") from error
    app = create_app(replace(settings, journal=0), system=lambda: now[0], deliveries=deliveries)
    if about["world"] != DEFAULT_WORLD:
        app.worlds.create(about["world"], world)
    differing: list[Difference] = []
    replayed = ReplayedRequests(app, app.worlds.find(about["world"]).mount, keys, exchanges)
    for one in exchanges:
        now[0] = one["at_ms"] - app.worlds.find(about["world"]).world.clock.offset
        differing += _find_differences(one, replayed.send(one))
    deliveries.finish(app.worlds.find(about["world"]).world)
    differing += [Difference(*one) for one in deliveries.differences]
    return ReplayResult(len(exchanges), tuple(differing), len(recorded))


def _give_stand_ins(config: WorldConfig) -> tuple[WorldConfig, Mapping[str, bytes]]:
    """The configuration with a stand-in for the secret of each key whose digest alone the journal holds.

    Returns:
        It, and the header to send for each key, by the digest that the journal shows.
    """
    data = config.scenario.data
    if data is None:
        return config, _KEYS
    keys = tuple(key if key.secret else replace(key, secret=f"stand-in-{key.digest}") for key in data.keys)
    headers = {key.digest[:_SHOWN]: f"Bearer {key.secret}".encode() for key in keys}
    return replace(config, scenario=replace(config.scenario, data=replace(data, keys=keys))), headers


def _split(journal: bytes) -> list[tuple[list[Any], int]]:
    """The lines of each journal in a file, and the number of the first of them. Raises `UnusableFile`."""
    try:
        lines = [orjson.loads(line) for line in journal.splitlines() if line]
    except ValueError as error:
        raise UnusableFile("this is no journal: a line is not valid JSON") from error
    starts = [place for place, one in enumerate(lines) if _is_header(one)]
    if not starts or starts[0]:
        raise UnusableFile("this is no journal: its first line lacks the format of GET /_emulator/journal.ndjson")
    ends = [*starts[1:], len(lines)]
    return [(lines[start:end], start + 1) for start, end in zip(starts, ends, strict=True)]


def _is_header(line: object) -> bool:
    return isinstance(line, dict) and line.get("format") == FORMAT


def _read_section(lines: Sequence[Any], number: int) -> _Section:
    """The journal in these lines, the first of which has this number. Raises `UnusableFile`."""
    about, *exchanges = lines
    if about.get("version") != VERSION:
        raise UnusableFile(f"this journal has version {about.get('version')}, and this emulator reads {VERSION}")
    if not _IS_ABOUT(about) or not is_saved_scenario(about["scenario"]):
        raise UnusableFile("this is no journal: its first line lacks the description of its world")
    if about["dropped"]:
        raise IncompleteJournal(
            f"the first {about['dropped']} exchanges of the world {about['world']} are gone: the journal was cleared, "
            "or must keep more of them (serve --journal)"
        )
    if about["from_snapshot"]:
        raise IncompleteJournal(
            f"the journal of the world {about['world']} begins with a snapshot or a fork, not with a fresh world"
        )
    recorded = [one["delivery"] for one in exchanges if _IS_DELIVERY(one)]
    exchanges = [one for one in exchanges if not _IS_DELIVERY(one)]
    for line, one in enumerate(exchanges, number + 1):
        _check_exchange(line, one)
    return _Section(about, exchanges, recorded)


def _check_exchange(line: int, one: Any) -> None:  # noqa: ANN401  JSON
    """Raise `UnusableFile` if a line of a journal is no exchange, or its request cannot be sent again."""
    if not _IS_EXCHANGE(one):
        raise UnusableFile(f"this is no journal: line {line} is no exchange")
    if one["request"]["truncated"] and one["request"]["sha256"]:  # a body without a digest was too large to be read
        raise IncompleteJournal(f"the request of exchange {one['number']} is cut, so it cannot be sent again")
    if one["request"]["encoding"] == "base64" and not _is_base64(one["request"]["body"]):
        raise UnusableFile(f"this is no journal: line {line} has a request body that is not valid base64")


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _find_differences(one: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[Difference]:
    before, request = one["response"], f"{one['request']['method']} {one['request']['target']}"
    own = one["request"]["path"].startswith(OWN)
    for what in ("status", "headers", "body", "sha256"):
        expected, found = before[what], got[what]
        if not before["sha256"] and what in {"body", "sha256"}:  # the journal was written while the answer was sent
            expected, found = (before["body"], got["body"][: len(before["body"])]) if what == "body" else ("", "")
        if has_mask(before["body"]) and what in {"headers", "sha256"}:  # the secret that was sent is not known
            expected, found = _remove_length(expected, found) if what == "headers" else ("", "")
        if what == "headers" and own:  # answers that belong to no world are numbered by themselves
            continue
        if expected != found:
            yield Difference(one["number"], request, what, str(expected), str(found))
            if what == "body":
                return


def _remove_length(*headers: Iterable[Sequence[str]]) -> list[list[Sequence[str]]]:
    """Lists of headers without the length of the body."""
    return [[pair for pair in one if pair[0] != "content-length"] for one in headers]
