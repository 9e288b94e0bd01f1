"""`FaultRule`: a failure that a world answers with on purpose, as one frozen value with one JSON form.

A rule in JSON, with every field; only `effect` is required, and a field that is left out has the value in brackets:

    {
      "match": {                        which requests [all]; all conditions that are given must hold
        "operation": "startRun",        the operation's ID
        "organization": "org_abc",      the organization of a valid key
        "key": "zof_test_ci",           a valid key; only its digest is kept, and shown as "sha256:..."
        "path": "/v1/runs/run_1",       the decoded path, without /w/NAME
        "header": {"X-Trace": "1"},     one header and its value
        "body": {"environment": "staging"}  one field of the JSON body and its value, or an item of a list
      },
      "schedule": {"nth": 2},           which of these requests [every one, until the rule is removed]:
                                        one of nth, first, every, percent
      "place": "after",                 before | after | body [see `Effect`]
      "effect": {"error": "rate_limited"}
    }

`before` means that the request changes nothing and does not count against the rate limit. `after` means that the
request is carried out, and then the client gets something else. `body` means that the request is carried out, and that
the effect is on its real answer, most often from the middle of the body on.

An effect has one of these fields:

    error            a documented error, by the name of its example in openapi.yaml     before, after
      retry_after      with it: the seconds in Retry-After
    status           a status, with `body` (any JSON) or `text`, and `headers`          before, after
      undocumented     must be true if the document has no such status for the operation
    latency_ms       milliseconds, or [least, most], drawn from the world's seed        before, after, body
    reset            true: the connection is reset                                      before, after, body
    stall            true: nothing more is sent until the rule is removed               before, after, body
    truncate         true: the connection is closed in the middle of the body           body
    malformed_json   true: the end of the JSON is missing, and the framing is right     body
    content_type     another media type, such as text/html                              body
    drip_ms          the body is sent in pieces of `drip_bytes`, this number of ms apart body

`latency_ms` may also accompany each other effect, and delays it. `after_bytes` says where the middle of the body is,
for an effect in the place `body`; it is half of the body otherwise. Latencies are real milliseconds, under every clock
mode: they test the time-outs of a client, which knows no other time. The world's clock does not move for them.

`FaultRule.from_json` raises `InvalidField`, a `ValueError` that names the field by its path, such as `effect.status`.
Names that only the document or the world knows (operations, errors, body fields, organizations) are judged in
`spec.fault_rules`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from zof_emulator.core.canonical_json import LONGEST_TEXT, write_canonical
from zof_emulator.core.fields import (
    LONGEST_ECHO,
    LONGEST_NAME,
    InvalidField,
    check_integer,
    check_text,
    read_alternative,
    read_object,
    read_pair,
)
from zof_emulator.core.tenants import digest_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_RULES: Final = 10_000
"""The largest number of fault rules in a world."""
NO_CONTENT: Final = (204, 304)
"""The statuses whose answers have no body (RFC 9110, 6.4.1)."""
_WITHOUT_BODY: Final = (*NO_CONTENT, 205)
"""The statuses with which a rule gives no body; the body of a 205 has the length 0 (RFC 9110, 15.3.6)."""
LONGEST_MS: Final = 600_000
"""The longest latency, and the longest time that a stalled or dripping answer takes, in ms."""
_LARGEST: Final = 1_000_000_000
_STATUSES: Final = (200, 599)
_MOST_HEADERS: Final = 50
DIGEST: Final = "sha256:"
"""The beginning of the form in which a rule keeps a key; the digest of the key follows."""
_IS_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*")
_OF_EMULATOR: Final = frozenset({"connection", "content-length", "date", "transfer-encoding", "x-request-id"})
"""The headers that an effect cannot set, because they belong to the framing or to every answer."""


class Place(StrEnum):
    """When an effect takes place."""

    BEFORE = "before"
    """The request is not carried out."""
    AFTER = "after"
    """The request is carried out, and the client does not get its answer."""
    BODY = "body"
    """The request is carried out, and the effect begins in the middle of the answer's body."""


class ScheduleKind(StrEnum):
    """Which of the requests that match a rule get its effect."""

    ALWAYS = "always"
    """Every one, until the rule is removed."""
    NTH = "nth"
    """One alone, counted from 1."""
    FIRST = "first"
    """The first ones."""
    EVERY = "every"
    """Every k-th one: with 3 the third, the sixth and so on."""
    PERCENT = "percent"
    """A share of them in percent, drawn from the world's seed."""


class EffectKind(StrEnum):
    """The kinds of effect on an answer. The value is the field's name in the JSON form."""

    ERROR = "error"
    STATUS = "status"
    LATENCY = "latency_ms"
    RESET = "reset"
    STALL = "stall"
    TRUNCATE = "truncate"
    MALFORMED_JSON = "malformed_json"
    CONTENT_TYPE = "content_type"
    DRIP = "drip_ms"


_EARLY: Final = (Place.BEFORE, Place.AFTER)
_ANYWHERE: Final = (Place.BEFORE, Place.AFTER, Place.BODY)
_BODY: Final = (Place.BODY,)
PLACES: Final[Mapping[EffectKind, tuple[Place, ...]]] = {
    EffectKind.ERROR: _EARLY,
    EffectKind.STATUS: _EARLY,
    EffectKind.LATENCY: _ANYWHERE,
    EffectKind.RESET: _ANYWHERE,
    EffectKind.STALL: _ANYWHERE,
    EffectKind.TRUNCATE: _BODY,
    EffectKind.MALFORMED_JSON: _BODY,
    EffectKind.CONTENT_TYPE: _BODY,
    EffectKind.DRIP: _BODY,
}
"""The places of each effect; the first is the default."""


@dataclass(frozen=True, slots=True)
class Match:
    """The conditions of a rule on a request; empty or None where there is none."""

    operation: str = ""
    organization: str = ""
    key: str = ""
    """The digest of a key, with the prefix `sha256:`."""
    path: str = ""
    header: tuple[str, str] | None = None
    """The name in lower case, and the value."""
    body: tuple[str, str] | None = None
    """The name of a field of the body, and its value as JSON in the form of `write_canonical`."""

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The conditions in a JSON object. Raises `InvalidField`."""
        given = read_object(value, "match", ("operation", "organization", "key", "path", "header", "body"))
        for name in ("operation", "organization", "key", "path"):
            if name in given:
                check_text(given[name], f"match.{name}", "a text of 1 to 1000 characters")
        header = body = None
        if "header" in given:
            name, text = read_pair(given["header"], "match.header", "an object with one header and its value")
            _check_header(name, text, "match.header")
            if name.lower() == "authorization":
                raise InvalidField("match.header", name, "match.key for the key of a request")
            header = name.lower(), text
        if "body" in given:
            name, item = read_pair(given["body"], "match.body", "an object with one field and its value")
            body = name, write_canonical(item, f"match.body.{name[:LONGEST_ECHO]}")
        key = given.get("key", "")
        return cls(
            given.get("operation", ""),
            given.get("organization", ""),
            key if not key or _IS_DIGEST.fullmatch(key) else digest_key(key),
            given.get("path", ""),
            header,
            body,
        )

    def to_json(self) -> dict[str, Any]:
        """The conditions as a JSON object, without those that are not given."""
        names = ("operation", "organization", "key", "path")
        found: dict[str, Any] = {name: value for name in names if (value := getattr(self, name))}
        if self.header is not None:
            found["header"] = dict((self.header,))
        if self.body is not None:
            found["body"] = {self.body[0]: json.loads(self.body[1])}
        return found


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which of the requests that match get the effect."""

    kind: ScheduleKind = ScheduleKind.ALWAYS
    number: int = 0
    """The number that belongs to the kind; 0 for `always`."""

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The schedule in a JSON object. Raises `InvalidField`."""
        kinds = [kind.value for kind in ScheduleKind if kind is not ScheduleKind.ALWAYS]
        given = read_object(value, "schedule", kinds)
        if not given:
            return cls()
        kind = ScheduleKind(read_alternative(given, kinds, "schedule"))
        most = 100 if kind is ScheduleKind.PERCENT else _LARGEST
        return cls(kind, check_integer(given[kind], f"schedule.{kind}", 1, most))

    def to_json(self) -> dict[str, Any]:
        """The schedule as a JSON object; empty for every request."""
        return {} if self.kind is ScheduleKind.ALWAYS else {self.kind.value: self.number}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The effect of a rule. The fields that do not belong to the kind have their defaults."""

    kind: EffectKind
    latency_ms: tuple[int, int] | None = None
    """The least and the greatest delay before the effect, in real ms; None for no delay."""
    error: str = ""
    """The name of an example of a documented error."""
    retry_after: int | None = None
    """In seconds."""
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    body: str | None = None
    """A JSON text."""
    is_undocumented: bool = False
    content_type: str = ""
    drip_ms: int = 0
    drip_bytes: int = 1
    after_bytes: int | None = None
    """Where in the body the effect begins; None for its half."""

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The effect in a JSON object. Raises `InvalidField`."""
        given = read_object(value, "effect", _EFFECT_FIELDS)
        kinds = [kind.value for kind in EffectKind]
        named = [kind for kind in kinds if kind in given]
        if len(named) > 1 and EffectKind.LATENCY in named:
            named.remove(EffectKind.LATENCY.value)
        kind = EffectKind(read_alternative(named, kinds, "effect"))
        for name in given:
            if name not in (kind, EffectKind.LATENCY, *_BELONGING.get(kind, ()), "after_bytes"):
                owners = [one.value for one in EffectKind if name in _BELONGING.get(one, ())]
                raise InvalidField(f"effect.{name}", given[name], f"it only with {' or '.join(owners)}")
        if "text" in given and "body" in given:
            raise InvalidField("effect.text", given["text"], "only one of body and text")
        for name in ("text", "body"):
            if name in given and given["status"] in _WITHOUT_BODY:
                raise InvalidField(f"effect.{name}", given[name], f"no body with the status {given['status']}")
        if kind in _SWITCHES and given[kind] is not True:
            raise InvalidField(f"effect.{kind}", given[kind], "true")
        return cls(kind=kind, **_read_effect(given))

    def to_json(self) -> dict[str, Any]:
        """The effect as a JSON object, without the fields that have their defaults."""
        found: dict[str, Any] = {self.kind.value: True} if self.kind in _SWITCHES else {}
        if self.latency_ms is not None:
            least, most = self.latency_ms
            found["latency_ms"] = least if least == most else [least, most]
        shown = {
            "error": self.error or None,
            "retry_after": self.retry_after,
            "status": self.status or None,
            "headers": dict(self.headers) or None,
            "text": self.text,
            "undocumented": self.is_undocumented or None,
            "content_type": self.content_type or None,
            "drip_ms": self.drip_ms or None,
            "drip_bytes": self.drip_bytes if self.drip_bytes != 1 else None,
            "after_bytes": self.after_bytes,
        }
        found |= {name: value for name, value in shown.items() if value is not None}
        return found if self.body is None else found | {"body": json.loads(self.body)}


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A fault: which requests, which of them, when, and what happens."""

    match: Match
    schedule: Schedule
    place: Place
    effect: Effect

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The rule in a JSON object.

        Raises:
            InvalidField: a field is unknown, missing or not allowed; the first one is named by its path.
        """
        given = read_object(value, "", ("match", "schedule", "place", "effect"))
        if "effect" not in given:
            raise InvalidField("effect", None, f"an object with one of {', '.join(EffectKind)}")
        match = Match.from_json(given.get("match", {}))
        schedule = Schedule.from_json(given.get("schedule", {}))
        effect = Effect.from_json(given["effect"])
        allowed = PLACES[effect.kind]
        place = given.get("place", allowed[0])
        if place not in list(allowed):
            raise InvalidField("place", place, f"{' or '.join(allowed)} with the effect {effect.kind}")
        if effect.after_bytes is not None and place != Place.BODY:
            raise InvalidField("effect.after_bytes", effect.after_bytes, "it only in the place body")
        return cls(match, schedule, Place(place), effect)

    def to_json(self) -> dict[str, Any]:
        """The rule as a JSON object, which `from_json` reads. It shows the digest of a key, not the key."""
        return {
            "match": self.match.to_json(),
            "schedule": self.schedule.to_json(),
            "place": self.place.value,
            "effect": self.effect.to_json(),
        }


class FaultMark(NamedTuple):
    """Which fault answered a request, as the journal and the log show it."""

    id: str
    """The rule's ID, or `prefer` if the request asked for it."""
    place: Place
    effect: EffectKind


def build_schema() -> dict[str, Any]:
    """The JSON Schema of a rule, for editors; `FaultRule.from_json` also judges what a schema cannot say."""
    text: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
    pair: dict[str, Any] = {"type": "object", "minProperties": 1, "maxProperties": 1}
    names: dict[str, Any] = {**dict.fromkeys(("operation", "organization", "key", "path"), text)}
    match = {**names, "header": {**pair, "additionalProperties": {"type": "string"}}, "body": pair}
    schedule = {"nth": _LARGEST, "first": _LARGEST, "every": _LARGEST, "percent": 100}
    latency: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": LONGEST_MS}
    effect: dict[str, Any] = {
        "error": text,
        "retry_after": _integer_schema(0, _LARGEST),
        "status": _integer_schema(*_STATUSES),
        "headers": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": _MOST_HEADERS},
        "body": {},
        "text": {"type": "string", "maxLength": LONGEST_TEXT},
        "undocumented": {"type": "boolean"},
        "latency_ms": {"anyOf": [latency, {"type": "array", "items": latency, "minItems": 2, "maxItems": 2}]},
        **{kind.value: {"const": True} for kind in sorted(_SWITCHES)},
        "content_type": text,
        "drip_ms": _integer_schema(1, LONGEST_MS),
        "drip_bytes": _integer_schema(1, _LARGEST),
        "after_bytes": _integer_schema(0, _LARGEST),
    }
    return _object_schema(
        {
            "match": _object_schema(match),
            "schedule": _object_schema({name: _integer_schema(1, most) for name, most in schedule.items()})
            | {"maxProperties": 1},
            "place": {"enum": [place.value for place in Place]},
            "effect": _object_schema(effect) | {"anyOf": [{"required": [kind.value]} for kind in EffectKind]},
        }
    ) | {"required": ["effect"]}


@lru_cache(maxsize=1024)
def digest_key(key: str) -> str:
    """The form in which a rule keeps a key."""
    return DIGEST + digest_secret(key)


_SWITCHES: Final = frozenset(
    {EffectKind.RESET, EffectKind.STALL, EffectKind.TRUNCATE, EffectKind.MALFORMED_JSON},
)
_BELONGING: Final[Mapping[EffectKind, tuple[str, ...]]] = {
    EffectKind.ERROR: ("retry_after",),
    EffectKind.STATUS: ("body", "text", "headers", "undocumented"),
    EffectKind.DRIP: ("drip_bytes",),
}
_EFFECT_FIELDS: Final = (
    *(kind.value for kind in EffectKind),
    *(name for names in _BELONGING.values() for name in names),
    "after_bytes",
)


def _read_effect(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an effect, judged."""
    return {_ATTRIBUTES.get(name, name): _READ[name](value) for name, value in given.items() if name in _READ}


def _read_number(name: str, least: int, most: int) -> Callable[[object], int]:
    return lambda value: check_integer(value, f"effect.{name}", least, most)


def _read_text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise InvalidField("effect.text", value, f"a text of at most {LONGEST_TEXT} characters")
    return value


def _read_mark(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidField("effect.undocumented", value, "true or false")
    return value


def _read_media_type(value: object) -> str:
    if not isinstance(value, str) or not _MEDIA_TYPE.fullmatch(value):
        raise InvalidField("effect.content_type", value, "a media type such as text/html")
    return value


def _read_latency(value: object) -> tuple[int, int]:
    path = "effect.latency_ms"
    if not isinstance(value, list):
        latency = check_integer(value, path, 0, LONGEST_MS)
        return latency, latency
    expected = f"an integer from 0 to {LONGEST_MS}, or two of them in ascending order"
    if len(value) != 2:  # noqa: PLR2004  the least and the greatest
        raise InvalidField(path, value, expected)
    least, most = (check_integer(one, f"{path}[{place}]", 0, LONGEST_MS) for place, one in enumerate(value))
    if least > most:
        raise InvalidField(path, value, expected)
    return least, most


def _read_headers(value: object) -> tuple[tuple[str, str], ...]:
    path = "effect.headers"
    if not isinstance(value, dict) or len(value) > _MOST_HEADERS:
        raise InvalidField(path, value, f"an object with at most {_MOST_HEADERS} headers and their values")
    for name, text in value.items():
        _check_header(name, text, path)
        if name.lower() in _OF_EMULATOR:
            raise InvalidField(f"{path}.{name}", text, "another header; the emulator sets this one")
    if len({name.lower() for name in value}) != len(value):
        raise InvalidField(path, value, "each header once")
    return tuple(value.items())


def _check_header(name: object, value: object, path: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidField(path, name, "the name of a header, as in X-Trace")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise InvalidField(f"{path}.{name}", value, "a value of printable ASCII characters")


_READ: Final[Mapping[str, Callable[[object], object]]] = {
    "error": lambda value: check_text(value, "effect.error", "the name of a documented error, as in rate_limited"),
    "retry_after": _read_number("retry_after", 0, _LARGEST),
    "status": _read_number("status", *_STATUSES),
    "headers": _read_headers,
    "body": lambda value: write_canonical(value, "effect.body"),
    "text": _read_text,
    "undocumented": _read_mark,
    "latency_ms": _read_latency,
    "content_type": _read_media_type,
    "drip_ms": _read_number("drip_ms", 1, LONGEST_MS),
    "drip_bytes": _read_number("drip_bytes", 1, _LARGEST),
    "after_bytes": _read_number("after_bytes", 0, _LARGEST),
}
_ATTRIBUTES: Final = {"undocumented": "is_undocumented"}
"""The attributes of `Effect` that have another name than their JSON field."""


def _integer_schema(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
