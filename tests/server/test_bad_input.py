"""Bad input that is HTTP: bodies, text, queries, cursors, keys. A client is told, and no run is lost or half-made."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.served import BAD, LIST, MIB, START, Wire, World, ask, request
from tests.zof import OTHER

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
    """A body that is not JSON, in UTF-8 and within reason, is 400, and no field is to blame."""
    assert world.refusal(request("POST", "/v1/runs", body)) == BAD


@pytest.mark.parametrize("body", [b"null", b"[]", b'"run"', b"0", b"-0", b"true"], ids=bytes.decode)
def test_json_that_is_no_object(world: World, body: bytes) -> None:
    """A body that is JSON but no object is 400."""
    assert world.refusal(request("POST", "/v1/runs", body)) == BAD


@pytest.mark.parametrize("depth", [100, 127, 128, 200, 255, 256, 300, 500, 1000])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_json_nested_as_deep_as_a_parser_takes_it(world: World, left: bytes, right: bytes, depth: int) -> None:
    """A value nested deeper than any of ours is 400, whether or not the parser still reads it."""
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
    """A body that names a field twice says no one thing: 400, and the field is to blame."""
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
    """A number in place of a text is 400, however it is written."""
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
    """A number of milliseconds is taken exactly or refused, and the clock stays a whole number either way."""
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
    """A body of over 1 MiB is 413; a client that sends it all is heard out, and may go on with its connection."""
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
        world.accepted(answer)


def test_many_unknown_fields(world: World) -> None:
    """A body of 30,000 unknown fields is refused like one of one."""
    body = {f"field_{i}": i for i in range(30_000)}
    assert world.refusal(request("POST", "/v1/runs", START | body)) == (400, "invalid_request", "field_0")


def test_truncated_json(world: World) -> None:
    """A body that is shorter than its Content-Length, and never comes, starts no run; the connection is closed."""
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
    """A content type that is given twice is none, though both be the same."""
    content = request("POST", "/v1/runs", START, b"Content-Type: application/json")
    assert world.refusal(content) == (415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("kind", [b"Application/JSON", b"application/json; charset=utf-8", b"application/json ;x=\xe4"])
def test_json_by_another_name(world: World, kind: bytes) -> None:
    """A media type is JSON's in any case, and with any parameters."""
    world.accepted(ask(world.port, request("POST", "/v1/runs", START, kind=kind)))


# --- odd text

ODD: Final = {
    "NUL": "\0",
    "a control": "\x1b[31m",
    "DEL": "\x7f",
    "an accent": "é",
    "right to left": "\u202e",
    "an Arabic digit": "٣",
    "a full-width letter": "\uff21",
    "a no-break space": "\u00a0",
    "a joiner": "\u200d",
    "an emoji": "😀",
    "a noncharacter": "\uffff",
    "a newline": "\n",
    "braces": "{id}{0}",
    "a percent sign": "%s%n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_text_in_a_value(world: World, text: str) -> None:
    """Text that an ID cannot have is 400, with the field that has it."""
    refusal = world.refusal(request("POST", "/v1/runs", {**START, "project_id": f"proj_{text}"}))
    assert refusal == (400, "invalid_request", "project_id")


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_text_in_a_name(world: World, text: str) -> None:
    """An unknown field is 400 whatever its name, and the name comes back as it was."""
    refusal = world.refusal(request("POST", "/v1/runs", {**START, f"x{text}": 1}))
    assert refusal == (400, "invalid_request", f"x{text}")


ENCODED: Final = {
    "NUL": b"%00",
    "a newline": b"%0D%0A",
    "an accent": b"%C3%A9",
    "an Arabic digit": b"%D9%A3",
    "a lone surrogate": b"%ED%A0%80",
    "invalid UTF-8": b"%FF%FE",
    "half a character": b"%C3",
    "an overlong slash": b"%C0%AF",
    "an emoji": b"%F0%9F%98%80",
    "no hex digits": b"%zz",
    "a bare percent sign": b"%",
    "a percent sign": b"%25",
}


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED.keys())
def test_odd_text_in_a_path(world: World, text: bytes) -> None:
    """A path ID that names nothing is 404, whatever is encoded in it."""
    assert world.refusal(request("GET", b"/v1/runs/run_" + text)) == (404, "not_found", None)


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED.keys())
def test_odd_text_in_a_query_value(world: World, text: bytes) -> None:
    """A query value that breaks its rule is 400, whatever is encoded in it."""
    assert world.refusal(request("GET", b"/v1/runs?status=" + text)) == (400, "invalid_request", "status")
    assert world.refusal(request("GET", b"/v1/runs?limit=" + text)) == (400, "invalid_request", "limit")


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED.keys())
def test_odd_text_in_a_query_name(world: World, text: bytes) -> None:
    """A query parameter that is not known is 400, whatever is encoded in its name."""
    status, code, param = world.refusal(request("GET", b"/v1/runs?x%s=1" % text))
    assert (status, code, (param or "")[:1]) == (400, "invalid_request", "x")


RAW: Final = {
    "NUL": b"\0",
    "a control": b"\x01",
    "DEL": b"\x7f",
    "a space": b" ",
    "invalid UTF-8": b"\xff",
    "an accent": b"\xc3\xa9",
    "a lone surrogate": b"\xed\xa0\x80",
}


@pytest.mark.parametrize(
    "target", [b"/v1/runs/run_%sx", b"/v1/runs?status=%sx", b"/v1/runs?x%s=1"], ids=["path", "value", "name"]
)
@pytest.mark.parametrize("text", RAW.values(), ids=RAW.keys())
def test_a_raw_byte_in_a_target(world: World, target: bytes, text: bytes) -> None:
    """A byte that no request target may have makes it no request: 400."""
    assert world.refusal(request("GET", target % text)) == BAD


@pytest.mark.parametrize("text", [b"\0", b"\x01", b"\x7f", b"\n", b"\r"], ids=repr)
def test_a_control_in_a_header(world: World, text: bytes) -> None:
    """A control character in a header's value makes it no request: 400."""
    assert world.refusal(request("POST", "/v1/runs", START, b"X-Note: a%sb" % text)) == BAD


@pytest.mark.parametrize("text", [b"\xe9", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80"], ids=repr)
def test_other_bytes_in_a_header_that_matters(world: World, text: bytes) -> None:
    """Bytes beyond ASCII in a header that an operation reads are refused as its rule says."""
    key = world.refusal(request("POST", "/v1/runs", START, b"Idempotency-Key: k" + text))
    assert key == (400, "invalid_request", "Idempotency-Key")
    authorization = world.refusal(request("GET", "/v1/runs", b"", b"Authorization: Bearer " + text, key=None))
    assert authorization == (401, "unauthorized", None)


def test_other_bytes_in_a_header_that_does_not_matter(world: World) -> None:
    """Bytes beyond ASCII in a header that nothing reads are nobody's business."""
    world.accepted(ask(world.port, request("POST", "/v1/runs", START, b"X-Note: \xff\xed\xa0\x80")))


@pytest.mark.parametrize("host", [b"", b"\xff", b"a b", b"x/../y", b"<script>", b"x:99999999", b"[::1"], ids=repr)
def test_an_odd_host(world: World, host: bytes) -> None:
    """A Host that is none does not stand in the links of an answer."""
    content = request("POST", "/v1/runs", START).replace(b"Host: localhost", b"Host: " + host)
    answer = ask(world.port, content)
    name = world.accepted(answer)
    assert answer["location"] == f"http://127.0.0.1:{world.port}/v1/runs/{name}"


@pytest.mark.parametrize(
    "lines",
    [[b" folded: x"], [b"X y: 1"], [b": 1"], [b"no colon"], [b"X\xff: 1"], [b"X\0: 1"], [b"X: 1", b"\tfolded"]],
    ids=repr,
)
def test_a_header_line_that_is_none(world: World, lines: list[bytes]) -> None:
    """A line that is no header makes it no request: 400."""
    assert world.refusal(request("POST", "/v1/runs", START, *lines)) == BAD


# --- queries


@pytest.mark.parametrize(
    "limit",
    [
        "1e9",
        "1E9",
        "0",
        "101",
        "-1",
        "-0",
        "1.0",
        "1_0",
        "0x10",
        "00",
        "%D9%A3",
        "%EF%BC%95",
        "+5",
        "%2B5",
        "%205",
        "5%20",
        "5%00",
        "NaN",
        "null",
        "true",
        "%C2%BD",
        "",
        "9" * 5000,
        "-" + "9" * 5000,
        "1" * 60_000,
    ],
    ids=lambda limit: limit[:10] or "empty",
)
def test_a_limit_that_is_none(world: World, limit: str) -> None:
    """A limit outside 1 to 100, or that is no integer in ASCII digits, is 400."""
    for path in ("/v1/runs", "/v1/results", "/v1/projects", "/v1/runs/run_sample_failed/logs"):
        assert world.refusal(request("GET", f"{path}?limit={limit}")) == (400, "invalid_request", "limit")


@pytest.mark.parametrize("limit", ["05", "001"])
def test_a_limit_with_leading_zeros(world: World, limit: str) -> None:
    """A limit may have leading zeros, as a path of a client that pads its numbers has: 05 is 5 (our reading)."""
    page = ask(world.port, request("GET", f"/v1/runs?limit={limit}")).json
    assert len(page["data"]) == min(int(limit), len(world.runs))


@pytest.mark.parametrize(
    "query", ["limit=5&limit=5", "limit=5&limit=6", "limit=5&li%6Dit=5", "limit&limit=", "limit=5&x=1&limit=5"]
)
def test_a_repeated_parameter(world: World, query: str) -> None:
    """A query parameter that is given twice is 400, however its name is written."""
    assert world.refusal(request("GET", f"/v1/runs?{query}")) == (400, "invalid_request", "limit")


@pytest.mark.parametrize("query", ["", "&", "&&&"])
def test_a_query_of_nothing(world: World, query: str) -> None:
    """A query that holds no parameter is none."""
    assert ask(world.port, request("GET", f"/v1/runs?{query}")).status == 200


def test_a_parameter_without_a_name(world: World) -> None:
    """A parameter with an empty name is unknown, and the message speaks of a parameter."""
    answer = ask(world.port, request("GET", "/v1/runs?=1"))
    assert answer.refusal[:2] == (400, "invalid_request")
    assert "body" not in answer.json["error"]["message"].lower()


def test_many_parameters(world: World) -> None:
    """Of 5,000 unknown parameters the first is to blame."""
    query = "&".join(f"a{i}=1" for i in range(5000))
    assert world.refusal(request("GET", f"/v1/runs?{query}")) == (400, "invalid_request", "a0")


# --- cursors


def forged(cursor: str, other: str) -> dict[str, str]:
    """Cursors that nobody was given; `other` is another list's."""
    return {
        "another list's": other,
        "empty": "",
        "a word": "next",
        "cut": cursor[:-1],
        "longer": cursor + "0",
        "in capitals": cursor.upper(),
        "with a space": cursor + "%20",
        "with a newline": cursor + "%0A",
        "with a NUL": cursor + "%00",
        "another place": cursor.replace("cur_0", "cur_1", 1),
        "another seal": cursor[:-1] + ("1" if cursor.endswith("0") else "0"),
        "with Arabic digits": cursor[:-1] + "%D9%A3",
        "a lone surrogate": "%ED%A0%80",
        "a million": "9" * 60_000,
    }


@pytest.mark.parametrize("case", forged("cur_00", ""))
def test_a_forged_cursor(world: World, case: str) -> None:
    """A cursor that this list did not give out is 400."""
    cursor = ask(world.port, request("GET", "/v1/runs?limit=1")).json["next_cursor"]
    other = ask(world.port, request("GET", "/v1/results?limit=1")).json["next_cursor"]
    target = f"/v1/runs?limit=1&starting_after={forged(cursor, other)[case]}"
    assert world.refusal(request("GET", target)) == (400, "invalid_request", "starting_after")


def test_a_cursor_of_another_organization(world: World) -> None:
    """A cursor that another organization was given is forged."""
    cursor = ask(world.port, request("GET", "/v1/runs?limit=1")).json["next_cursor"]
    content = request("GET", f"/v1/runs?limit=1&starting_after={cursor}", key=OTHER)
    assert world.refusal(content) == (400, "invalid_request", "starting_after")


# --- keys


@pytest.mark.parametrize("size", [256, 300, 60_000])
def test_a_long_idempotency_key(world: World, size: int) -> None:
    """An Idempotency-Key of over 255 characters is 400, and starts nothing."""
    content = request("POST", "/v1/runs", START, b"Idempotency-Key: " + b"k" * size)
    assert world.refusal(content) == (400, "invalid_request", "Idempotency-Key")


def test_the_longest_idempotency_key(world: World) -> None:
    """An Idempotency-Key of 255 characters is good, and two requests with it make one run."""
    content = request("POST", "/v1/runs", START, b"Idempotency-Key: " + b"k" * 255)
    first = ask(world.port, content)
    world.accepted(first)
    again = ask(world.port, content)
    assert (again["idempotency-replayed"], again.content) == ("true", first.content)


@pytest.mark.parametrize("lines", [[b""], [b" "], [b"a\tb"], [b"a", b"a"]], ids=["empty", "a space", "a tab", "twice"])
def test_an_odd_idempotency_key(world: World, lines: list[bytes]) -> None:
    """An Idempotency-Key that is empty, no printable ASCII, or there twice is 400."""
    content = request("POST", "/v1/runs", START, *(b"Idempotency-Key: " + line for line in lines))
    assert world.refusal(content) == (400, "invalid_request", "Idempotency-Key")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic em9m",
        b"zof_test_admin",
        b"Bearer zof_test_admin, Bearer zof_test_ci",
        b"Bearer\tzof_test_admin",
        b"Bearer zof_test_ADMIN",
        b"Bearer zof_test_admin\xa0",
        b"Bearer " + b"x" * 60_000,
    ],
    ids=lambda value: repr(value[:24]),
)
def test_an_odd_authorization(world: World, value: bytes) -> None:
    """What is no key in order is 401, and says what is wanted."""
    answer = ask(world.port, request("GET", "/v1/runs", b"", b"Authorization: " + value, key=None))
    assert (answer.refusal, answer["www-authenticate"]) == ((401, "unauthorized", None), "Bearer")


def test_two_authorizations(world: World) -> None:
    """Two keys are none."""
    content = request("GET", "/v1/runs", b"", b"Authorization: Bearer zof_test_ci")
    assert world.refusal(content) == (401, "unauthorized", None)
