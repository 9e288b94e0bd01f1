"""Cross-origin requests: the origins that `--cors` names are let in, and no answer names any other origin."""

from __future__ import annotations

from typing import Final

import pytest
from zof_emulator import Settings
from zof_emulator.http.dispatch import Dispatcher

from tests.zof import Answer, Zof

PAGE: Final = "http://localhost:3000"
OTHER_PAGE: Final = "https://evil.test"
PATHS: Final = ("/v1/runs", "/_emulator/clock", "/w/a/v1/runs")


def ask(zof: Zof, method: str, path: str, origin: str, **headers: str) -> Answer:
    """The answer to a request of a page; `_` in a header's name stands for `-`."""
    more = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return zof.send(method, path, headers=[("origin", origin), *more])


@pytest.mark.parametrize("path", [*PATHS, "/v1/runs/run_missing", "/nothing"])
def test_a_page_reads_answers(path: str) -> None:
    """Every answer to a page of a named origin, errors included, names that origin and the headers it may read."""
    answer = ask(Zof(cors=(PAGE,)), "GET", path, PAGE)
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    exposed = answer.headers["access-control-expose-headers"]
    for name in ("X-Request-Id", "X-RateLimit-Remaining", "Retry-After", "Location", "Idempotency-Replayed",
                 "Content-Disposition"):  # fmt: skip
        assert name in exposed


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_preflight(path: str, method: str) -> None:
    """A preflight of a named origin needs no key, allows method and headers, and changes nothing."""
    zof = Zof(cors=(PAGE,), max_worlds=1)
    more = {"access_control_request_method": method, "access_control_request_headers": "authorization,content-type"}
    answers = [ask(zof, "OPTIONS", path, PAGE, **more) for _ in range(2)]
    for answer in answers:
        assert (answer.status, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert method in answer.headers["access-control-allow-methods"].split(", ")
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
        assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    assert zof.tell("GET", "/journal").json["data"] == []


@pytest.mark.parametrize("origin", [OTHER_PAGE, "http://localhost:3001", "https://localhost:3000", "null", "*"])
@pytest.mark.parametrize("path", PATHS)
def test_other_origins(origin: str, path: str) -> None:
    """A page of another origin gets the answer that it would get without the setting, which caches keep apart."""
    zof, plain = Zof(cors=(PAGE,)), Zof()
    for method, more in (("GET", {}), ("OPTIONS", {"access_control_request_method": "POST"})):
        answer = ask(zof, method, path, origin, **more)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        expected = ask(plain, method, path, origin, **more)
        assert (answer.status, answer.content) == (expected.status, expected.content)
        assert answer.headers == {**expected.headers, "vary": "Origin"}


@pytest.mark.parametrize("cors", [(), (PAGE,)])
def test_the_preflight_of_another_origin_names_the_flag(cors: tuple[str, ...]) -> None:
    """The answer to a preflight that is not allowed names `--cors`; no other answer to OPTIONS does."""
    zof = Zof(cors=cors)
    answer = ask(zof, "OPTIONS", "/v1/runs", OTHER_PAGE, access_control_request_method="POST")
    assert "--cors ORIGIN" in answer.headers["x-zof-hint"]
    refused = ask(zof, "OPTIONS", "/_emulator/clock", OTHER_PAGE, access_control_request_method="POST")
    assert "--cors" in refused.json["error"]["message"]
    assert "x-zof-hint" not in zof.send("OPTIONS", "/v1/runs").headers
    allowed = ask(Zof(cors=(PAGE,)), "OPTIONS", "/v1/runs", PAGE, access_control_request_method="POST")
    assert "x-zof-hint" not in allowed.headers


def test_the_guard_lets_named_origins_in() -> None:
    """A page of a named origin may use the control operations, with the token where one is set."""
    assert ask(Zof(), "GET", "/_emulator/clock", PAGE).error == (403, "forbidden", None)
    assert ask(Zof(cors=(PAGE,)), "GET", "/_emulator/clock", PAGE).status == 200
    guarded = Zof(cors=(PAGE,), token="a-token")  # noqa: S106  the test's own
    assert guarded.send("GET", "/_emulator/clock", key=None, headers=[("origin", PAGE)]).status == 401
    assert guarded.send("GET", "/_emulator/clock", key="a-token", headers=[("origin", PAGE)]).status == 200


def test_no_origin() -> None:
    """Clients that are no pages get the same answers as without the setting, except that caches are told of it."""
    answer = Zof(cors=(PAGE,)).get("/projects")
    plain = Zof().get("/projects")
    assert answer.content == plain.content
    assert {**plain.headers, "vary": "Origin"} == answer.headers


def test_without_the_setting() -> None:
    """Without the setting no request passes the middleware, and no answer has headers of CORS."""
    zof = Zof()
    assert type(zof.app) is Dispatcher
    assert not [name for name in ask(zof, "GET", "/v1/runs", PAGE).headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("HTTPS://App.Test:443/", "https://app.test"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_as_browsers_write_them(given: str, origin: str) -> None:
    """An origin is stored as browsers send it: lower case, and without the default port."""
    assert Settings(cors=(given,)).cors == (origin,)


@pytest.mark.parametrize("bad", ["*", "null", "", "localhost:3000", "http://", "http://a.test/path", "ftp://a.test",
                                 "http://*.test", "http://a.test:99999", "http://u@a.test", 5])  # fmt: skip
def test_no_origins(bad: object) -> None:
    """A value that is no origin is refused, wildcards included, and the message names it."""
    with pytest.raises(ValueError, match=r"^invalid origin "):
        Settings(cors=(bad,))  # type: ignore[arg-type]
