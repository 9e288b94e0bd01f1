"""Bad input in valid JSON: text, queries, cursors, keys. The client gets an error, and all runs are intact."""

from __future__ import annotations

from typing import Final

import pytest

from tests.served import BAD, START, World, ask, request
from tests.zof import OTHER

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
    """A malformed ID is 400, and `param` names the field."""
    refusal = world.refusal(request("POST", "/v1/runs", {**START, "project_id": f"proj_{text}"}))
    assert refusal == (400, "invalid_request", "project_id")


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_text_in_a_name(world: World, text: str) -> None:
    """An unknown field is 400, and `param` repeats its name."""
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
    """An unknown query parameter is 400, whatever its name encodes."""
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
    """A byte that is not allowed in a request target is 400."""
    assert world.refusal(request("GET", target % text)) == BAD


@pytest.mark.parametrize("text", [b"\0", b"\x01", b"\x7f", b"\n", b"\r"], ids=repr)
def test_a_control_in_a_header(world: World, text: bytes) -> None:
    """A control character in a header's value is 400."""
    assert world.refusal(request("POST", "/v1/runs", START, b"X-Note: a%sb" % text)) == BAD


@pytest.mark.parametrize("text", [b"\xe9", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80"], ids=repr)
def test_other_bytes_in_a_header_that_matters(world: World, text: bytes) -> None:
    """Bytes beyond ASCII in a header that an operation reads are refused as its rule says."""
    key = world.refusal(request("POST", "/v1/runs", START, b"Idempotency-Key: k" + text))
    assert key == (400, "invalid_request", "Idempotency-Key")
    authorization = world.refusal(request("GET", "/v1/runs", b"", b"Authorization: Bearer " + text, key=None))
    assert authorization == (401, "unauthorized", None)


def test_other_bytes_in_a_header_that_does_not_matter(world: World) -> None:
    """Non-ASCII bytes in a header that no operation reads are ignored."""
    world.record_accepted(ask(world.port, request("POST", "/v1/runs", START, b"X-Note: \xff\xed\xa0\x80")))


@pytest.mark.direct(reason="links lead to the port of the server itself")
@pytest.mark.parametrize("host", [b"", b":80", b"x!$&'()*+,;=y", b"%41", b"x:99999999", b"[v1.x]"], ids=repr)
def test_an_odd_host(world: World, host: bytes) -> None:
    """A Host that no usual URL has does not appear in the links of an answer."""
    content = request("POST", "/v1/runs", START).replace(b"Host: localhost", b"Host: " + host)
    answer = ask(world.port, content)
    name = world.record_accepted(answer)
    assert answer["location"] == f"http://127.0.0.1:{world.port}/v1/runs/{name}"


@pytest.mark.parametrize("host", [b"\xff", b"a b", b"x/../y", b"<script>", b"[::1", b"u@x", b"x:y"], ids=repr)
def test_a_host_that_is_none(world: World, host: bytes) -> None:
    """A Host that is no host with an optional port is 400."""
    content = request("POST", "/v1/runs", START).replace(b"Host: localhost", b"Host: " + host)
    assert world.refusal(content) == (400, "invalid_request", "Host")


@pytest.mark.parametrize(
    "lines",
    [[b" folded: x"], [b"X y: 1"], [b": 1"], [b"no colon"], [b"X\xff: 1"], [b"X\0: 1"], [b"X: 1", b"\tfolded"]],
    ids=repr,
)
def test_a_header_line_that_is_none(world: World, lines: list[bytes]) -> None:
    """A line that is no header is 400."""
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
    """A query without parameters is the same as no query."""
    assert ask(world.port, request("GET", f"/v1/runs?{query}")).status == 200


def test_a_parameter_without_a_name(world: World) -> None:
    """A parameter with an empty name is unknown, and the message calls it a parameter."""
    answer = ask(world.port, request("GET", "/v1/runs?=1"))
    assert answer.refusal[:2] == (400, "invalid_request")
    assert "body" not in answer.json["error"]["message"].lower()


def test_many_parameters(world: World) -> None:
    """Of 5,000 unknown parameters, `param` names the first."""
    query = "&".join(f"a{i}=1" for i in range(5000))
    assert world.refusal(request("GET", f"/v1/runs?{query}")) == (400, "invalid_request", "a0")


# --- cursors


def forge_cursors(cursor: str, other: str) -> dict[str, str]:
    """Cursors that the server never handed out; `other` belongs to another list."""
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


@pytest.mark.parametrize("case", forge_cursors("cur_00", ""))
def test_a_forged_cursor(world: World, case: str) -> None:
    """A cursor that this list did not hand out is 400."""
    cursor = ask(world.port, request("GET", "/v1/runs?limit=1")).json["next_cursor"]
    other = ask(world.port, request("GET", "/v1/results?limit=1")).json["next_cursor"]
    target = f"/v1/runs?limit=1&starting_after={forge_cursors(cursor, other)[case]}"
    assert world.refusal(request("GET", target)) == (400, "invalid_request", "starting_after")


def test_a_cursor_of_another_organization(world: World) -> None:
    """A cursor of another organization is 400."""
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
    """An Idempotency-Key of 255 characters is valid, and two requests with it start one run."""
    content = request("POST", "/v1/runs", START, b"Idempotency-Key: " + b"k" * 255)
    first = ask(world.port, content)
    world.record_accepted(first)
    again = ask(world.port, content)
    assert (again["idempotency-replayed"], again.content) == ("true", first.content)


@pytest.mark.parametrize("lines", [[b""], [b" "], [b"a\tb"], [b"a", b"a"]], ids=["empty", "a space", "a tab", "twice"])
def test_an_odd_idempotency_key(world: World, lines: list[bytes]) -> None:
    """An Idempotency-Key that is empty, not printable ASCII, or repeated is 400."""
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
    """A malformed Authorization header is 401, with `WWW-Authenticate`."""
    answer = ask(world.port, request("GET", "/v1/runs", b"", b"Authorization: " + value, key=None))
    assert (answer.refusal, answer["www-authenticate"]) == ((401, "unauthorized", None), "Bearer")


def test_two_authorizations(world: World) -> None:
    """Two Authorization headers are 401."""
    content = request("GET", "/v1/runs", b"", b"Authorization: Bearer zof_test_ci")
    assert world.refusal(content) == (401, "unauthorized", None)
