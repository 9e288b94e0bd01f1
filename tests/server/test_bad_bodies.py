"""Bad bodies: invalid JSON, too large, wrong type. The client gets an error, and all runs are intact."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.served import BAD, LIST, MIB, START, Wire, World, ask, request

# --- JSON

NOT_JSON: Final = {
    "cut short": b'{"project_id":"proj_abc123","environ',
    "a comma too many": b'{"environment":"staging",}',
    "single quotes": b"{'environment':'staging'}",
    "a comment": b'{"environment":"staging"} // yes',
    "two values": b"{}{}",
    "a NUL at the end": json.dumps(START).encode() + b"\0",
    "only spaces": b" \r\n\t ",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(START).encode(),
    "UTF-16": json.dumps(START).encode("utf-16"),
    "10,000 open lists": b"[" * 10_000,
    "10,000 lists": b"[" * 10_000 + b"]" * 10_000,
    "10,000 objects": b'{"environment":' * 10_000 + b"1" + b"}" * 10_000,
    "a list 10,000 deep in a field": b'{"environment":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "NaN": b'{"environment":NaN}',
    "Infinity": b'{"environment":Infinity}',
    "-Infinity": b'{"environment":-Infinity}',
    "a leading zero": b'{"environment":01}',
    "a plus sign": b'{"environment":+1}',
    "a lone surrogate, escaped": rb'{"environment":"\ud800"}',
    "surrogates in the wrong order": rb'{"environment":"\udc00\ud800"}',
    "a lone surrogate in a name": rb'{"\ud800":1}',
    "a lone surrogate, raw": b'{"environment":"\xed\xa0\x80"}',
    "an overlong slash": b'{"environment":"\xc0\xaf"}',
    "beyond Unicode": b'{"environment":"\xf4\x90\x80\x80"}',
    "half a character": b'{"environment":"\xc3"}',
    "a raw NUL": b'{"environment":"\0"}',
    "a raw newline": b'{"environment":"\n"}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_body_that_is_not_json(world: World, body: bytes) -> None:
    """A body that is not valid JSON in UTF-8 is 400, without `param`."""
    assert world.refusal(request("POST", "/v1/runs", body)) == BAD


@pytest.mark.parametrize("body", [b"null", b"[]", b'"run"', b"0", b"-0", b"true"], ids=bytes.decode)
def test_json_that_is_no_object(world: World, body: bytes) -> None:
    """A body that is JSON but no object is 400."""
    assert world.refusal(request("POST", "/v1/runs", body)) == BAD


@pytest.mark.parametrize("depth", [100, 127, 128, 200, 255, 256, 300, 500, 1000])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_json_nested_as_deep_as_a_parser_takes_it(world: World, left: bytes, right: bytes, depth: int) -> None:
    """A value that is nested too deeply is 400, whether or not the parser accepts it."""
    nested = left * depth + b"0" + right * depth
    body = b'{"project_id":"proj_abc123","environment":%s,"test_case_ids":["tc_a"]}' % nested
    status, code, param = world.refusal(request("POST", "/v1/runs", body))
    assert (status, code, param in {None, "environment"}) == (400, "invalid_request", True)


TWICE: Final = {
    "the same value": (b'"environment":"staging","environment":"staging"', "environment"),
    "another value": (b'"environment":"staging","environment":"production"', "environment"),
    "another spelling of the name": (rb'"environment":"staging","environmen\u0074":"staging"', "environment"),
    "a field that is unknown": (b'"environment":"staging","nonsense":1,"nonsense":1', "nonsense"),
    "the wrong type first": (b'"environment":1,"environment":"staging"', "environment"),
}


@pytest.mark.parametrize(("fields", "param"), TWICE.values(), ids=TWICE.keys())
def test_a_field_given_twice(world: World, fields: bytes, param: str) -> None:
    """A body that names a field twice is 400, and `param` names the field."""
    body = b'{"project_id":"proj_abc123",%s,"test_case_ids":["tc_a"]}' % fields
    assert world.refusal(request("POST", "/v1/runs", body)) == (400, "invalid_request", param)


HUGE: Final = [
    b"-0",
    b"-0.0",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"0." + b"1" * 5000,
    b"1e5",
]
HUGE_NAMES: Final = [
    "-0",
    "-0.0",
    "1e999",
    "-1e999",
    "1e-999",
    "5,000 digits",
    "minus 5,000 digits",
    "5,000 places",
    "1e5",
]


@pytest.mark.parametrize("number", HUGE, ids=HUGE_NAMES)
def test_an_odd_number_where_text_belongs(world: World, number: bytes) -> None:
    """A number in place of a text is 400, whatever its spelling."""
    body = b'{"project_id":"proj_abc123","environment":%s,"test_case_ids":["tc_a"]}' % number
    status, code, param = world.refusal(request("POST", "/v1/runs", body))
    assert (status, code, param in {None, "environment"}) == (400, "invalid_request", True)


def test_a_value_of_the_wrong_type_is_told_the_rule_of_its_field(world: World) -> None:
    """An environment that is a number is refused in the words of S4."""
    answer = ask(world.port, request("POST", "/v1/runs", {**START, "environment": 5}))
    message = "environment must be one of: staging, production"
    assert answer.json["error"] == {"code": "invalid_request", "message": message, "param": "environment"}


@pytest.mark.parametrize(
    "number",
    [*HUGE, b"1.5", b"10.0", b"1e3", b"9" * 400 + b"e-399", b"9007199254740993", b"18446744073709551616", b"1e300"],
    ids=[*HUGE_NAMES, "1.5", "10.0", "1e3", "10.0 in 400 digits", "2**53+1", "2**64", "1e300"],
)
def test_an_odd_number_where_a_number_belongs(world: World, number: bytes) -> None:
    """A number of milliseconds is accepted exactly or refused, and the clock stays a whole number."""
    answer = ask(world.port, request("POST", "/_emulator/clock/advance", b'{"by_ms":%s}' % number))
    if answer.status != 200:
        assert answer.refusal[0] == 400
    now = ask(world.port, request("GET", "/_emulator/clock")).json["now_ms"]
    assert type(now) is int


# --- sizes

TWO_MIB: Final = {
    "spaces": b" " * (2 * MIB),
    "a long text": b'{"project_id":"' + b"a" * (2 * MIB) + b'"}',
    "many cases": json.dumps({**START, "test_case_ids": [f"tc_{i}" for i in range(200_000)]}).encode(),
}


@pytest.mark.parametrize("body", TWO_MIB.values(), ids=TWO_MIB.keys())
def test_two_mib_of_json(world: World, body: bytes) -> None:
    """A body of over 1 MiB is 413; if the client sends it all, the connection stays usable."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", body))
        assert wire.answer().refusal == (413, "payload_too_large", None)
        wire.send(LIST)
        assert wire.answer().status == 200


@pytest.mark.parametrize(("over", "status"), [(0, 201), (1, 413)])
def test_one_mib_is_the_limit(world: World, over: int, status: int) -> None:
    """A body of exactly 1 MiB is read; one more byte is too many."""
    answer = ask(world.port, request("POST", "/v1/runs", json.dumps(START).encode().ljust(MIB + over)))
    assert answer.status == status
    if status == 201:
        world.record_accepted(answer)


def test_many_unknown_fields(world: World) -> None:
    """A body of 30,000 unknown fields is refused like a body with one."""
    body = {f"field_{i}": i for i in range(30_000)}
    assert world.refusal(request("POST", "/v1/runs", START | body)) == (400, "invalid_request", "field_0")


def test_truncated_json(world: World) -> None:
    """A body shorter than its Content-Length starts no run, and the connection is closed."""
    content = request("POST", "/v1/runs", json.dumps(START).encode() + b" " * 20)
    with Wire(world.port) as wire:
        wire.send(content[:-10])
        wire.finish()
        wire.rest()


# --- content type

NOT_DECLARED: Final = {
    "empty": b"",
    "text": b"text/plain",
    "a form": b"application/x-www-form-urlencoded",
    "almost": b"application/jsonx",
    "JSON's relative": b"application/vnd.api+json",
    "two": b"application/json, application/json",
    "Latin-1": b"\xe4\xf6\xfc",
    "invalid UTF-8": b"application/json\xff",
    "a lone surrogate": b"\xed\xa0\x80",
}


@pytest.mark.parametrize("kind", NOT_DECLARED.values(), ids=NOT_DECLARED.keys())
def test_a_content_type_that_is_not_json(world: World, kind: bytes) -> None:
    """A body that is not declared to be JSON is 415, though it may be JSON."""
    refusal = world.refusal(request("POST", "/v1/runs", START, kind=kind))
    assert refusal == (415, "unsupported_media_type", "Content-Type")


def test_no_content_type(world: World) -> None:
    """A body without a content type is 415."""
    content = request("POST", "/v1/runs", START).replace(b"Content-Type: application/json\r\n", b"")
    assert world.refusal(content) == (415, "unsupported_media_type", "Content-Type")


def test_two_content_types(world: World) -> None:
    """A content type that is given twice is 415, even if both are equal."""
    content = request("POST", "/v1/runs", START, b"Content-Type: application/json")
    assert world.refusal(content) == (415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("kind", [b"Application/JSON", b"application/json; charset=utf-8", b"application/json ;x=\xe4"])
def test_json_by_another_name(world: World, kind: bytes) -> None:
    """A media type is JSON's in any case, and with any parameters."""
    world.record_accepted(ask(world.port, request("POST", "/v1/runs", START, kind=kind)))
