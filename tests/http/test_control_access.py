"""Access to the control operations, and the answers to requests that reach no control operation."""

from __future__ import annotations

import warnings
from copy import copy
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.spec.document import find_document, load_document

from tests.zof import ADMIN, EXPIRED, Answer, Zof

with warnings.catch_warnings():  # Starlette 1.10 prefers httpx2, which the tests do not need otherwise
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN: Final = "a-token-of-nobody"  # noqa: S105  it is the test's own
ANYWHERE: Final = "0.0.0.0"  # noqa: S104  nothing listens
CROSS_SITE: Final = ("sec-fetch-site", "cross-site")
CLIENTS: Final = ("127.0.0.1", "::1", "192.0.2.7", "")


def ask(
    zof: Zof, path: str = "/_emulator/clock", client: str = "127.0.0.1", host: str = "localhost", **more: str
) -> Answer:
    """The answer to a client at an address for a host; `_` in a header's name stands for `-`."""
    headers = [(name.replace("_", "-"), value) for name, value in more.items()]
    return zof.send("GET", path, key=None, headers=headers, client=client, base=f"http://{host}")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", [ANYWHERE, "127.0.0.1"])
@pytest.mark.parametrize("world", ["", "/w/a"])
def test_token(client: str, host: str, world: str) -> None:
    """If a token is set, every client needs it, also on this machine."""
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
    """Without a token, only clients on this machine are admitted."""
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
        "zof.test :9630 .localhost.test"
    ),
    "",
    ANYWHERE,
)


@pytest.mark.parametrize("host", OURS)
def test_own_host(host: str) -> None:
    """A request for localhost, a subdomain of it, or a loopback address is admitted."""
    assert ask(Zof(), host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_host(host: str) -> None:
    """A request for another host is refused, as DNS rebinding produces it."""
    zof = Zof()
    for path in ("/_emulator/version", "/_emulator/nothing", "/w/a/_emulator/clock"):
        assert ask(zof, path, host=host).error == (403, "forbidden", None)


@pytest.mark.parametrize("host", [*FOREIGN, *OURS])
def test_the_api_for_every_host(host: str) -> None:
    """The API admits every host and every origin: only the control operations check them."""
    zof = Zof()
    expected = ask(zof, "/v1/runs").status
    assert ask(zof, "/v1/runs", host=host, origin="https://evil.test").status == expected == 401
    assert zof.send("GET", "/v1/projects", base=f"http://{host}", headers=[("origin", "null")]).status == 200


@pytest.mark.parametrize("host", ["zof.test", "zof.test:443", "ZOF.test"])
def test_public_host(host: str) -> None:
    """The host of the public URL is admitted, and no other is."""
    zof = Zof(public_url="https://zof.test:8443/a/path")
    assert ask(zof, host=host).status == 200
    assert ask(zof, host="other.test").status == 403
    assert ask(zof, host=host, origin="https://zof.test:8443").status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "http://evil.test:9630", "null", "", "file://", "localhost",
               "http://localhost.evil.test", "http://127.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("token", ["", TOKEN])
def test_foreign_origin(origin: str, token: str) -> None:
    """A request from a page of another site is refused, with or without a token."""
    zof = Zof(token=token)
    more = {"authorization": f"Bearer {token}"} if token else {}
    assert ask(zof, origin=origin, **more).error == (403, "forbidden", None)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none", "unheard-of", ""])
@pytest.mark.parametrize("world", ["", "/w/a"])
def test_site_of_a_request_without_an_origin(site: str, world: str) -> None:
    """A request that a page of another site caused changes nothing; reading is harmless, as the page gets no answer."""
    zof, headers = Zof(), [("sec-fetch-site", site)]
    before = zof.tell("GET", "/worlds").content
    answer = zof.send("POST", f"{world}/_emulator/reset", key=None, headers=headers)
    if site in {"same-origin", "none"}:
        assert answer.status == 200
    else:
        assert answer.error == (403, "forbidden", None)
        assert zof.tell("GET", "/worlds").content == before
    assert zof.send("GET", f"{world}/_emulator/clock", key=None, headers=headers).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_origin_that_is_let_in_from_another_site(site: str) -> None:
    """An origin that `--cors` names may change something, although it is another site."""
    zof = Zof(cors=("https://app.test",))
    headers = [("sec-fetch-site", site), ("origin", "https://app.test")]
    assert zof.send("POST", "/_emulator/reset", key=None, headers=headers).status == 200


@pytest.mark.parametrize(
    ("host", "origin", "is_own"),
    [
        ("localhost:9630", "http://localhost:9630", True),
        ("localhost", "http://localhost", True),
        ("localhost", "http://localhost:80", True),
        ("LOCALHOST:80", "http://localhost", True),
        ("[::1]:9630", "http://[::1]:9630", True),
        ("localhost:9630", "http://localhost:3000", False),
        ("localhost:9630", "https://localhost:9630", False),
        ("localhost:9630", "http://127.0.0.1:9630", False),
        ("127.0.0.1:9630", "http://127.0.0.1:3000", False),
        ("localhost:9630", "http://localhost", False),
        ("localhost", "http://localhost/", False),
        ("localhost", "http://u@localhost", False),
    ],
)
@pytest.mark.parametrize("path", ["/_emulator/clock", "/"])
def test_same_origin(host: str, origin: str, path: str, *, is_own: bool) -> None:
    """A page is one of ours when its origin has the scheme, the host and the port that the request was sent to."""
    answer = ask(Zof(), path, host=host, origin=origin)
    assert answer.status == 200 if is_own else answer.error == (403, "forbidden", None)


@pytest.mark.parametrize("listening", ["127.0.0.1", ANYWHERE])
@pytest.mark.parametrize("path", ["/", "/w/a/"])
def test_host_of_the_start_page(path: str, listening: str) -> None:
    """The start page answers loopback names and the public host alone, so that no foreign name reads the keys."""
    zof = Zof(host=listening, public_url="https://public.test:8443", token=TOKEN)
    for host in (*OURS, "public.test:8443"):
        assert ask(zof, path, host=host).status == 200
    for host in FOREIGN:
        answer = ask(zof, path, host=host)
        assert answer.error[:2] == (403, "forbidden")
        assert ADMIN.encode() not in answer.content


@pytest.mark.parametrize("host", [*FOREIGN, *OURS])
@pytest.mark.parametrize("client", CLIENTS)
def test_pages_of_runs_are_where_the_api_is(host: str, client: str) -> None:
    """The page of a run is shown to every client that reaches the API, under the host that it used."""
    zof = Zof(host=ANYWHERE, token=TOKEN)
    for path in ("/runs/run_sample_failed", "/w/a/runs/run_sample_failed"):
        answer = ask(zof, path, client, host, origin="https://evil.test")
        assert answer.status == 200
        assert b"run_sample_failed" in answer.content
        assert ADMIN.encode() not in answer.content


@pytest.mark.parametrize("path", ["/_emulator/health", "/_emulator/ready", "/w/a/_emulator/health"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("host", ["evil.test", "10.0.0.9:9630", "localhost", ""])
def test_health_checks_come_from_anywhere(path: str, client: str, host: str) -> None:
    """Health and readiness are answered without a token, for any host and any client, and to GET and HEAD alone."""
    zof = Zof(host=ANYWHERE, token=TOKEN)
    base = f"http://{host}"
    for method in ("GET", "HEAD"):
        assert zof.send(method, path, key=None, client=client, base=base).status == 200
    assert zof.send("POST", path, key=None, client=client, base=base).status == 401
    assert ask(zof, "/_emulator/version", client, host).status == 401


def test_the_host_of_starlettes_test_client() -> None:
    """Starlette's test client, whose host is `testserver`, reaches everything; over a socket that host is foreign."""
    with TestClient(Zof().app) as client:
        for path in ("/_emulator/clock", "/", "/runs/run_sample_failed"):
            assert client.get(path).status_code == 200
        url = client.get("/v1/runs/run_sample_failed", headers={"authorization": f"Bearer {ADMIN}"}).json()["url"]
        assert client.get(url).status_code == 200
    assert ask(Zof(), host="testserver").error == (403, "forbidden", None)


def ask_with_hosts(zof: Zof, path: str, version: str, *hosts: bytes) -> Answer:
    """The answer to a request of an HTTP version with these headers `Host`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI's
        named = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changed = {"http_version": version, "headers": [(b"host", host) for host in hosts] + named}
        await zof.app({**scope, **changed}, receive, send)

    other = copy(zof)
    other.app = app  # type: ignore[assignment]
    return other.send("GET", path)


@pytest.mark.parametrize(
    "host", ["a b", "[::1", "[", "@", "localhost@evil.test", "a/b", "a:b", "a:80:80", "évil", "[]", "%4", "a\t"]
)
@pytest.mark.parametrize("path", ["/v1/runs", "/_emulator/health", "/", "/nothing", "/w/a/v1/runs"])
def test_a_host_that_is_none(path: str, host: str) -> None:
    """A header `Host` that is no host with an optional port is refused everywhere, and creates no world."""
    zof = Zof()
    assert ask_with_hosts(zof, path, "1.1", host.encode()).error == (400, "invalid_request", "Host")
    assert len(zof.tell("GET", "/worlds").json["data"]) == 1


@pytest.mark.parametrize("host", ["", "a", "a:", "A.b_c-d~1:80", "[::1]", "[::1]:9630", "[v1.a]", "a%41", "testserver"])
def test_any_host(host: str) -> None:
    """A header `Host` that RFC 9110 allows is accepted by the API, with or without a port."""
    assert ask_with_hosts(Zof(), "/v1/runs", "1.1", host.encode()).status == 200


@pytest.mark.parametrize("name", ["", "-", "a b", "a/b", "a" * 65, "é"])
def test_a_header_that_names_no_world(name: str) -> None:
    """An error about the header `X-Zof-World` names the header, also beside a path that names a world."""
    for path in ("/v1/runs", "/_emulator/clock", "/w/a/v1/runs"):
        answer = Zof().send("GET", path, headers=[("x-zof-world", name)])
        assert answer.error == (400, "invalid_request", "X-Zof-World")
    assert Zof().send("GET", "/w/-/v1/runs").error == (400, "invalid_request", "name")


@pytest.mark.parametrize("path", ["/v1/runs", "/_emulator/health", "/", "/nothing", "/w/a/v1/runs"])
def test_no_host(path: str) -> None:
    """HTTP/1.1 without `Host`, or with two, is refused everywhere and creates no world."""
    zof = Zof()
    for hosts in ((), (b"localhost", b"localhost")):
        assert ask_with_hosts(zof, path, "1.1", *hosts).error == (400, "invalid_request", "Host")
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default"]
    assert ask_with_hosts(zof, "/v1/runs", "1.0").status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR "])
def test_scheme_of_the_token(scheme: str) -> None:
    """The scheme of the token's header is taken in any case (RFC 9110, 11.1)."""
    assert ask(Zof(token=TOKEN), authorization=f"{scheme} {TOKEN}").status == 200


def test_refused_means_unchanged() -> None:
    """A refused request changes nothing."""
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
    """A refused control request to an unknown world does not create that world."""
    zof = Zof()
    assert ask(zof, "/w/new/_emulator/clock", **more).status == 403
    assert ask(zof, "/_emulator/clock", x_zof_world="new", **more).status == 403
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default"]


REFUSED: Final[dict[str, Callable[[Zof], Answer]]] = {
    "no key": lambda zof: zof.send("GET", "/w/new/v1/runs", key=None),
    "unknown key": lambda zof: zof.send("GET", "/w/new/v1/runs", key="zof_test_nobody"),
    "expired key": lambda zof: zof.send("GET", "/v1/runs", key=EXPIRED, headers=[("x-zof-world", "new")]),
    "no path": lambda zof: zof.send("GET", "/w/new/v1/nothing"),
    "no method": lambda zof: zof.send("DELETE", "/w/new/v1/runs"),
    "control elsewhere": lambda zof: zof.send("POST", "/w/new/_emulator/nothing", key=None),
    "control, no method": lambda zof: zof.send("POST", "/w/new/_emulator/clock", key=None),
}
READ: Final = ("clock", "health", "version", "journal", "journal.har", "journal.ndjson", "snapshot", "worlds")


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_refused_requests_make_no_world(kind: str) -> None:
    """A request that is not let in creates no world, however often it comes, and each answer has an ID of its own."""
    zof = Zof(max_worlds=1)
    answers = [REFUSED[kind](zof) for _ in range(3)]
    assert {one.status for one in answers} <= {401, 404, 405}
    assert len({one.headers["x-request-id"] for one in answers}) == 3
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default"]


@pytest.mark.parametrize("path", [*(f"/_emulator/{name}" for name in READ), "/", "/runs/run_sample_failed"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_makes_no_world(path: str, method: str) -> None:
    """A request that only reads shows the world as it would begin, and does not create it."""
    zof = Zof()
    assert zof.send(method, f"/w/new{path}", key=None).status == 200
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default"]
    before = zof.send("GET", f"/w/new{path}", key=None)
    assert zof.send("GET", "/w/new/v1/projects").status == 200
    assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default", "new"]
    if path in {"/_emulator/clock", "/runs/run_sample_failed"}:
        assert zof.send("GET", f"/w/new{path}", key=None).content == before.content


def test_the_first_answer_of_a_world() -> None:
    """The answers of a world do not depend on requests that were refused before it existed."""
    zof, other = Zof(), Zof()
    for refused in REFUSED.values():
        refused(zof)
    assert zof.send("GET", "/w/new/v1/runs") == other.send("GET", "/w/new/v1/runs")


ELSEWHERE: Final[dict[str, Callable[[], Answer]]] = {
    "invalid_world": lambda: Zof().send("GET", "/w/-/v1/runs"),
    "host_invalid": lambda: ask_with_hosts(Zof(), "/v1/runs", "1.1", b"a b"),
    "host_missing": lambda: ask_with_hosts(Zof(), "/v1/runs", "1.1"),
    "conflicting_world": lambda: Zof().send("GET", "/w/a/v1/runs", headers=[("x-zof-world", "b")]),
    "invalid_preference": lambda: Zof().send("GET", "/v1/runs", headers=[("prefer", "=")]),
    "token_missing": lambda: ask(Zof(token=TOKEN)),
    "token_wrong": lambda: ask(Zof(token=TOKEN), authorization="Bearer x"),
    "not_loopback": lambda: ask(Zof(host=ANYWHERE), client="192.0.2.7"),
    "foreign_host": lambda: ask(Zof(), host="evil.test"),
    "foreign_origin": lambda: ask(Zof(), origin="https://evil.test"),
    "foreign_site": lambda: Zof().send("POST", "/_emulator/reset", key=None, headers=[CROSS_SITE]),
    "too_many_worlds": lambda: Zof(max_worlds=1).send("GET", "/w/a/v1/runs"),
    "unknown_path": lambda: ask(Zof(), "/_emulator/nothing"),
    "method_not_allowed": lambda: Zof().send("GET", "/_emulator/reset"),
}
EXAMPLES: Final[dict[str, tuple[int, Any]]] = {
    name: (int(status), example["value"])
    for status, response in load_document(find_document("control.yaml")).root["x-elsewhere"].items()
    for name, example in response.get("content", {}).get("application/json", {}).get("examples", {}).items()
}


@pytest.mark.parametrize("reason", sorted(EXAMPLES.keys() | ELSEWHERE.keys()))
def test_examples_are_alive(reason: str) -> None:
    """Requests that reach no operation get exactly the documented examples."""
    answer = ELSEWHERE[reason]()
    assert (answer.status, answer.json) == EXAMPLES[reason]
    assert answer.headers["x-request-id"].startswith("req_")
