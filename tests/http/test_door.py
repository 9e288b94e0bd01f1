"""The door: who may use the emulator's own operations; and all that is said of requests that reach none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.spec.document import find, load

from tests.zof import ADMIN, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN: Final = "a-token-of-nobody"  # noqa: S105  it is the test's own
ANYWHERE: Final = "0.0.0.0"  # noqa: S104  nothing listens
CLIENTS: Final = ("127.0.0.1", "::1", "192.0.2.7", "")


def ask(
    zof: Zof, path: str = "/_emulator/health", client: str = "127.0.0.1", host: str = "localhost", **more: str
) -> Answer:
    """The answer to a client at an address that asks for a host; a header's `_` stands for `-`."""
    headers = [(name.replace("_", "-"), value) for name, value in more.items()]
    return zof.send("GET", path, key=None, headers=headers, client=client, base=f"http://{host}")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", [ANYWHERE, "127.0.0.1"])
@pytest.mark.parametrize("world", ["", "/w/a"])
def test_token(client: str, host: str, world: str) -> None:
    """Where there is a token everybody must bring it, clients on this machine too."""
    zof = Zof(host=host, token=TOKEN)
    path = f"{world}/_emulator/clock"
    for wrong in (
        "",
        "Bearer",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        f"Bearer {ADMIN}",
    ):
        answer = ask(zof, path, client, authorization=wrong)
        assert answer.error == (401, "unauthorized", None)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN.encode() not in answer.content
    assert ask(zof, path, client).error == (401, "unauthorized", None)
    assert ask(zof, path, client, authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize("client", ["192.0.2.7", "2001:db8::1", ""])
def test_no_token_to_bring(client: str) -> None:
    """Where there is no token, only clients on this machine are let in."""
    assert ask(Zof(host=ANYWHERE), client=client).error == (403, "forbidden", None)
    assert ask(Zof(host=ANYWHERE), client="127.0.0.1").status == 200


def _words(text: str) -> list[str]:
    return text.split()


OURS: Final = _words(
    "localhost localhost:9630 LOCALHOST app.localhost a.b.localhost:80 127.0.0.1:1 127.9.9.9 [::1] [::1]:9630 "
    "[::ffff:127.0.0.1]"
)
FOREIGN: Final = (
    *_words(
        "evil.test evil.test:9630 localhost.evil.test notlocalhost 192.0.2.7 [2001:db8::1] 127.0.0.1.evil.test "
        "localhost@evil.test [ zof.test :9630 \xe9vil .localhost.test"
    ),
    "",
    ANYWHERE,
)


@pytest.mark.parametrize("host", OURS)
def test_own_host(host: str) -> None:
    """A request for localhost, a name below it, or a loopback address is let in."""
    assert ask(Zof(), host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_host(host: str) -> None:
    """A request that was meant for another host is refused, as a browser sends it whose page has moved here."""
    zof = Zof()
    for path in ("/_emulator/health", "/_emulator/nothing", "/w/a/_emulator/clock"):
        assert ask(zof, path, host=host).error == (403, "forbidden", None)


@pytest.mark.parametrize("host", [*FOREIGN, *OURS])
def test_the_api_for_every_host(host: str) -> None:
    """The API itself knows no foreign host and no foreign origin: the door is control's alone."""
    zof = Zof()
    expected = ask(zof, "/v1/runs").status
    assert ask(zof, "/v1/runs", host=host, origin="https://evil.test").status == expected == 401
    assert zof.send("GET", "/v1/projects", base=f"http://{host}", headers=[("origin", "null")]).status == 200


@pytest.mark.parametrize("host", ["zof.test", "zof.test:443", "ZOF.test"])
def test_public_host(host: str) -> None:
    """The host that links begin with is our own, and no other is."""
    zof = Zof(public_url="https://zof.test:8443")
    assert ask(zof, host=host).status == 200
    assert ask(zof, host="other.test").status == 403
    assert ask(zof, host=host, origin="https://zof.test:8443").status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "http://evil.test:9630", "null", "", "file://", "localhost",
               "http://localhost.evil.test", "http://127.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("token", ["", TOKEN])
def test_foreign_origin(origin: str, token: str) -> None:
    """A page of another site is refused, token or not."""
    zof = Zof(token=token)
    more = {"authorization": f"Bearer {token}"} if token else {}
    assert ask(zof, origin=origin, **more).error == (403, "forbidden", None)


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:3000", "https://localhost"])
def test_own_origin(origin: str) -> None:
    """A page of the same host is let in."""
    assert ask(Zof(), origin=origin).status == 200


def test_refused_means_unchanged() -> None:
    """Who is refused changes nothing."""
    zof = Zof()
    zof.start()
    before = zof.tell("GET", "/snapshot").content
    headers = [("content-type", "application/json"), ("origin", "https://evil.test")]
    for path in ("reset", "clock/advance", "worlds"):
        body = b'{"by_ms": 5}' if path != "worlds" else b'{"name": "a"}'
        assert zof.send("POST", f"/_emulator/{path}", headers=headers, body=body).status == 403
    assert zof.tell("GET", "/snapshot").content == before
    assert len(zof.tell("GET", "/worlds").json["data"]) == 1


@pytest.mark.parametrize("more", [{"host": "evil.test"}, {"origin": "https://evil.test"}])
def test_who_is_refused_makes_no_world(more: dict[str, str]) -> None:
    """A request to the operations of a world that there is not, from who may not use them, leaves none behind."""
    zof = Zof()
    assert ask(zof, "/w/new/_emulator/clock", **more).status == 403
    assert ask(zof, "/_emulator/clock", x_zof_world="new", **more).status == 403
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default"]


ELSEWHERE: Final[dict[str, Callable[[], Answer]]] = {
    "invalid_world": lambda: Zof().send("GET", "/w/-/v1/runs"),
    "conflicting_world": lambda: Zof().send("GET", "/w/a/v1/runs", headers=[("x-zof-world", "b")]),
    "token_missing": lambda: ask(Zof(token=TOKEN)),
    "token_wrong": lambda: ask(Zof(token=TOKEN), authorization="Bearer x"),
    "not_loopback": lambda: ask(Zof(host=ANYWHERE), client="192.0.2.7"),
    "foreign_host": lambda: ask(Zof(), host="evil.test"),
    "foreign_origin": lambda: ask(Zof(), origin="https://evil.test"),
    "too_many_worlds": lambda: Zof(max_worlds=1).send("GET", "/w/a/v1/runs"),
    "unknown_path": lambda: ask(Zof(), "/_emulator/nothing"),
    "method_not_allowed": lambda: Zof().send("GET", "/_emulator/reset"),
}
EXAMPLES: Final[dict[str, tuple[int, Any]]] = {
    name: (int(status), example["value"])
    for status, response in load(find("control.yaml")).root["x-elsewhere"].items()
    for name, example in response.get("content", {}).get("application/json", {}).get("examples", {}).items()
}


@pytest.mark.parametrize("reason", sorted(EXAMPLES.keys() | ELSEWHERE.keys()))
def test_examples_are_alive(reason: str) -> None:
    """Every example of a request that reaches no operation is what such a request gets, to the letter."""
    answer = ELSEWHERE[reason]()
    assert (answer.status, answer.json) == EXAMPLES[reason]
    assert answer.headers["x-request-id"].startswith("req_")
